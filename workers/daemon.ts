import { composeParts, type Parts, type Role } from '../src/compose/parts.ts';
import { followChanges } from './changes.ts';
import { startCommands } from './commands.ts';
import { followConfiguration } from './configuration.ts';
import { startWatchingCredentials } from './credentials.ts';
import { awaitRedis, createTroubleLog, startHeartbeat, startSayingAlive } from './heartbeat.ts';
import { startWatchingOutages } from './outages.ts';
import { startWatchingReads } from './reads.ts';
import { startRefreshing } from './refresh.ts';
import { startRequests } from './requests.ts';
import { startScheduler } from './scheduler.ts';
import type { Service } from './service.ts';

export interface DaemonOptions {
  readonly config: Parts['config'];
  readonly role: Role;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
}

type HttpServer = ReturnType<Parts['http']>;

/** Jobs that one process refreshes at once; one host holds at most half of them. */
const SLOTS = 128;
/** What is in flight may end within this, a little more than the longest attempt. */
const STOP_DEADLINE_MS = 12_000;
/** Without Redis nothing that is in flight can be concluded, and BullMQ waits for Redis as long as it takes. */
const STOP_WITHOUT_REDIS_MS = 1500;
/** A terminal or a launcher may deliver one signal twice. */
const SAME_SIGNAL_MS = 200;

/** Runs a daemon until SIGTERM or SIGINT. Gives the exit code; throws what keeps it from starting. */
export async function runDaemon({ config, role, env, version }: DaemonOptions): Promise<number> {
  const stop = new AbortController();
  let wake = (): void => {};
  const parts = composeParts({ config, role, env, version, slots: SLOTS, wake: () => wake() });
  const { log, health } = parts;
  const onTrouble = createTroubleLog(parts);
  const configuration = followConfiguration(parts, () => wake(), onTrouble);
  const endSignals = onSignals(stop, () => configuration.reload(), log);
  const servers = await listen(parts);
  try {
    log.info({ version, config: config.file, targets: parts.member.catalogue.size }, 'starting');
    if (!(await awaitRedis(parts, onTrouble, stop.signal))) {
      log.info('stopped');
      return 0;
    }
    const running = await startServices(parts, onTrouble);
    wake = running.wake;
    await aborted(stop.signal);
    health.set('stopping', true);
    await running.stop();
    log.info('stopped');
    return 0;
  } finally {
    endSignals();
    configuration.stop();
    await Promise.all(servers.map((server) => server.close()));
    await parts.endpoint.close();
    parts.redis.disconnect();
  }
}

async function listen({ config, http, log }: Parts): Promise<HttpServer[]> {
  const addresses = [config.http.listen, ...(config.http.probes === undefined ? [] : [config.http.probes])];
  const servers: HttpServer[] = [];
  for (const address of addresses) {
    const server = http();
    try {
      const { host, port } = await server.listen(address);
      log.info({ url: `http://${host.includes(':') ? `[${host}]` : host}:${port}` }, 'listening');
    } catch (error) {
      await Promise.all(servers.map((other) => other.close()));
      throw error;
    }
    servers.push(server);
  }
  return servers;
}

async function startServices(
  parts: Parts,
  onTrouble: (error: unknown) => void,
): Promise<{ wake: () => void; stop: () => Promise<void> }> {
  const { role, member, log, health } = parts;
  parts.refreshQueue.onError(onTrouble);
  const alive = startSayingAlive(parts, onTrouble);
  await member.beat().catch(onTrouble);
  const heartbeat = startHeartbeat(parts, onTrouble);
  const changes = followChanges(parts, onTrouble);
  const scheduler = role === 'worker' ? undefined : startScheduler(parts, onTrouble);
  const wake = (): void => scheduler?.wake();
  const services: Service[] = [
    ...(scheduler === undefined ? [] : [startCommands(parts), startRequests(parts, wake, onTrouble)]),
    ...(role === 'scheduler'
      ? []
      : [startRefreshing(parts, SLOTS), startWatchingCredentials(parts, onTrouble)]),
    startWatchingReads(parts, onTrouble),
    startWatchingOutages(parts, onTrouble),
    changes,
  ];
  const stop = async (): Promise<void> => {
    // No more claims first; then what is claimed and in flight ends; the rest goes back.
    const deadlineMs = health.has('redis-unreachable') ? STOP_WITHOUT_REDIS_MS : STOP_DEADLINE_MS;
    await within(deadlineMs, scheduler?.stop() ?? Promise.resolve());
    const ended = await within(deadlineMs, Promise.all(services.map((service) => service.stop(false))));
    if (!ended) {
      log.warn('what was in flight has not ended in time: the end of its claims offers it again');
      await within(1000, Promise.all(services.map((service) => service.stop(true))));
    }
    await within(deadlineMs, Promise.all([heartbeat.stop(), alive.stop()]));
    await within(2000, giveBackClaims(parts).catch(onTrouble));
    await within(1000, parts.refreshQueue.close());
    for (const service of services) service.disconnect();
  };
  return { wake, stop };
}

/** Leaves the fleet. Where no other process is left that would do the waiting work, its claims go back. */
async function giveBackClaims({ member, refreshQueue, indexes, fleet, log }: Parts): Promise<void> {
  await member.leave();
  const isLast = !(await fleet.view()).processes.some(({ role }) => role !== 'scheduler');
  if (!isLast) return;
  const waiting = await refreshQueue.drain();
  const now = await fleet.now();
  for (const [host, targets] of Map.groupBy(waiting, (target) => member.catalogue.get(target)?.host)) {
    if (host !== undefined) await indexes.setDue(host, targets, now);
  }
  if (waiting.length > 0) log.info({ claims: waiting.length }, 'gave back the claims that were waiting');
}

/** The first signal asks to stop, the second ends at once; SIGHUP asks to read the configuration again. */
function onSignals(stop: AbortController, reload: () => void, log: Parts['log']): () => void {
  let askedAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (askedAt !== undefined && performance.now() - askedAt < SAME_SIGNAL_MS) return;
    if (askedAt !== undefined) {
      log.warn({ signal }, 'ending at once');
      process.exit(1);
    }
    askedAt = performance.now();
    log.info({ signal }, 'stopping: what is in flight may end');
    stop.abort();
  };
  const onHangUp = (): void => {
    log.info('SIGHUP: reading the configuration again');
    reload();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', onHangUp);
  return () => {
    process.off('SIGHUP', onHangUp);
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Whether work ended within a time; a rejection counts as ended. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const ended = await Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    deadline,
  ]);
  clearTimeout(timer);
  return ended;
}
