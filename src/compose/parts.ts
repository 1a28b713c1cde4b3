import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Config } from '../config/config.ts';
import { type WatchOptions, watchConfig } from '../config/watch.ts';
import type { Recovery } from '../core/credential-choice.ts';
import { Keyring } from '../credentials/keyring.ts';
import type { Environment } from '../credentials/source.ts';
import { HttpServer } from '../http/server.ts';
import { TokenEndpoint } from '../oauth/endpoint.ts';
import { createLogger, logLevel } from '../observe/log.ts';
import { type FleetFigures, Metrics } from '../observe/metrics.ts';
import { REFRESH_QUEUE, RefreshQueue } from '../queue/refresh-queue.ts';
import { Bulkhead } from '../refresh/bulkhead.ts';
import { CarryOut } from '../refresh/carry-out.ts';
import { RedisClock } from '../refresh/clock-back.ts';
import { Credentials } from '../refresh/credential-choice.ts';
import { Lifetimes } from '../refresh/lifetimes.ts';
import { ManageTenants } from '../refresh/manage-tenants.ts';
import { Member } from '../refresh/member.ts';
import { Memory } from '../refresh/memory.ts';
import { Reconciler } from '../refresh/reconcile.ts';
import { wakeClient } from '../refresh/recovery.ts';
import { RefreshTarget } from '../refresh/refresh-target.ts';
import { checkServer, connectRedis, whenReady } from '../store/connection.ts';
import { Fleet } from '../store/fleet.ts';
import { Gates } from '../store/gates.ts';
import { Indexes } from '../store/indexes.ts';
import { Keys } from '../store/keys.ts';
import { SharedLifetimes } from '../store/lifetimes.ts';
import { Marks } from '../store/marks.ts';
import { RequestsStream } from '../store/requests.ts';
import { States } from '../store/states.ts';
import { Acquirer } from './acquirer.ts';
import { ClockWatch } from './clock-watch.ts';
import { RunningConfiguration } from './configuration.ts';
import { CredentialWatch } from './credential-watch.ts';
import { fleetFigures } from './figures.ts';
import { HealthState } from './health.ts';
import { OutageWatch } from './outage-watch.ts';
import { ReadsWatch } from './reads-watch.ts';
import { memberEvents } from './report.ts';
import { resolveTenant, tenantIntervals } from './tenants.ts';

/** What a process takes part in: dispatching and commands, refreshing, or both. */
export type Role = 'all' | 'scheduler' | 'worker';

export interface ComposeOptions {
  readonly config: Config;
  readonly role: Role;
  readonly env: Environment;
  readonly version: string;
  /** Jobs that this process refreshes at once; one host holds at most half of them. */
  readonly slots: number;
  /** Wakes the dispatchers of this process. */
  readonly wake: () => void;
}

export type Parts = ReturnType<typeof composeParts>;

/** Builds the parts of one process and brings them together. Nothing is connected or running yet. */
export function composeParts({ config, role, env, version, slots, wake }: ComposeOptions) {
  const log = createLogger(logLevel(env), { role });
  const metrics = new Metrics();
  const health = new HealthState();
  const keys = new Keys(config.namespace);
  const redis = connectRedis(config.redis, 'commands', 'daemon');
  // Each command that fails says so to its caller.
  redis.on('error', () => {});
  const states = new States(redis, keys);
  const indexes = new Indexes(redis, keys, REFRESH_QUEUE);
  const gates = new Gates(redis, keys);
  const marks = new Marks(redis, keys);
  const fleet = new Fleet(redis, keys);
  const sharedLifetimes = new SharedLifetimes(redis, keys);
  const lifetimes = new Lifetimes(sharedLifetimes);
  const memory = new Memory();
  const bulkhead = new Bulkhead(slots);
  const endpoint = new TokenEndpoint({ version, env, connections: Math.max(1, Math.floor(slots / 2)) });
  const draw = Math.random;
  const configuration = new RunningConfiguration(config.clients);
  const self = { id: randomUUID(), role, host: hostname(), pid: process.pid, version, startedAt: Date.now() };

  const reconciler = new Reconciler({
    catalogue: () => member.catalogue,
    states,
    indexes,
    clock: fleet,
    memory,
    draw,
    elapsed: () => performance.now(),
    sleep,
    alive: () => health.turned(),
  });
  const member: Member = new Member({
    id: self.id,
    schedules: role !== 'worker',
    fleet: {
      heartbeat: ({ configHash, writtenHash, limits }) =>
        fleet.heartbeat({ ...self, configHash, writtenHash, limits }),
      leave: () => fleet.leave(self.id),
      beginEpoch: (id, graceMs) => fleet.beginEpoch(id, graceMs),
      now: () => fleet.now(),
      tenantOverrides: () => fleet.tenantOverrides(),
      confirmations: () => fleet.confirmations(),
      pauses: (now) => fleet.pauses(now),
      dropOtherLimits: async () => {
        const clients = new Set(configuration.clients.map(({ name }) => name));
        await Promise.all([fleet.dropTenantIntervals(clients), sharedLifetimes.drop(clients)]);
      },
      publishLimits: (agreed) => fleet.setTenantIntervals(tenantIntervals(configuration), agreed),
      serverRunId: () => fleet.serverRunId(),
    },
    reconciler,
    configuration,
    newEpochId: randomUUID,
    clock: new RedisClock(() => performance.now()),
    events: memberEvents({ log, metrics, health }),
  });
  const keyring = new Keyring({ env, clock: Date.now });
  const acquire = new Acquirer(endpoint, keyring);
  const wakeTargets = (client: string, recovery: Recovery): Promise<number> =>
    wakeClient(client, recovery, { catalogue: () => member.catalogue, states, indexes, clock: fleet, wake });
  const credentials = new Credentials({
    marks,
    acquire,
    recovered: (client, recovery) => credentialWatch.recovered(client, recovery),
    scopes: ({ name }) => member.catalogue.scopes(name),
  });
  const credentialWatch: CredentialWatch = new CredentialWatch({
    ...{ keyring, credentials, wakeTargets, log, metrics, health },
    clients: () => configuration.clients,
    clock: Date.now,
  });
  const clockWatch = new ClockWatch({ endpoint, log, metrics, health, clients: () => configuration.clients });
  const readsWatch = new ReadsWatch({
    ...{ log, health },
    clients: () => configuration.clients,
    whyUnknown: () => states.whyReadsAreUnknown(),
  });
  const outageWatch = new OutageWatch({
    ...{ lifetimes, log, metrics, health },
    clock: fleet,
    catalogue: () => member.catalogue,
    perHost: (host) => member.perHost(host),
  });
  const refreshTarget = new RefreshTarget({
    catalogue: () => member.catalogue,
    perHost: (host) => member.perHost(host),
    states,
    indexes,
    gates,
    clock: fleet,
    acquire,
    credentials,
    memory,
    bulkhead,
    draw,
    elapsed: () => performance.now(),
  });
  const carryOut = new CarryOut({
    catalogue: () => member.catalogue,
    states,
    indexes,
    marks,
    clock: fleet,
    orders: fleet,
    memory,
    pausedUntil: (target) => member.pausedUntil(target),
    reload: () => member.reload(),
    wake,
  });
  const tenants = new ManageTenants({
    catalogue: () => member.catalogue,
    resolve: (client, tenant) => resolveTenant(configuration, member.catalogue, client, tenant),
    agrees: () => member.agrees(),
    readsTheSame: () => member.readsTheSame(),
    kept: () => configuration.awaiting,
    indexes,
    clock: fleet,
    orders: fleet,
    reconciler,
    reload: () => member.reload(),
    wake,
    sleep,
  });
  const refreshQueue = new RefreshQueue(redis, keys.queuePrefix);
  const figures = (): Promise<FleetFigures> =>
    fleetFigures({
      ...{ indexes, gates, fleet, marks, member, refreshQueue },
      clients: () => configuration.clients.map(({ name }) => name),
    });
  return {
    ...{ config, configuration, role, keys, log, metrics, health, draw },
    ...{
      redis,
      states,
      indexes,
      gates,
      marks,
      fleet,
      memory,
      bulkhead,
      endpoint,
      keyring,
      credentialWatch,
      clockWatch,
      readsWatch,
      outageWatch,
      lifetimes,
      member,
      refreshTarget,
      carryOut,
      tenants,
      refreshQueue,
    },
    http: (): HttpServer =>
      new HttpServer({
        health: () => health.now(member.epoch !== ''),
        metrics: async () => metrics.expose(await figures().catch(() => undefined)),
      }),
    checkServer: () => checkServer(config.redis),
    /** Follows the configuration's files; they are read in `env`, as at the start. */
    watchConfig: (told: Pick<WatchOptions, 'onChange' | 'onProblem'>) =>
      watchConfig({ file: config.file, env, current: config, ...told }),
    connected: () => whenReady(redis),
    /** A connection that waits for work; whoever opens it closes it. */
    openBlocking: (name: string): Redis => connectRedis(config.redis, 'blocking', name),
    openSubscriber: (): Redis => connectRedis(config.redis, 'subscriber', 'changes'),
    requestsStream: (blocking: Redis): RequestsStream => new RequestsStream(blocking, keys),
  };
}
