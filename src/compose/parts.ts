import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { Catalogue } from '../config/catalogue.ts';
import type { Config } from '../config/config.ts';
import type { Environment } from '../credentials/source.ts';
import { HttpServer } from '../http/server.ts';
import { TokenEndpoint } from '../oauth/endpoint.ts';
import { createLogger, logLevel } from '../observe/log.ts';
import { type FleetFigures, Metrics } from '../observe/metrics.ts';
import { REFRESH_QUEUE, RefreshQueue } from '../queue/refresh-queue.ts';
import { Bulkhead } from '../refresh/bulkhead.ts';
import { CarryOut } from '../refresh/carry-out.ts';
import { ManageTenants } from '../refresh/manage-tenants.ts';
import { Member } from '../refresh/member.ts';
import { Memory } from '../refresh/memory.ts';
import { Reconciler } from '../refresh/reconcile.ts';
import { RefreshTarget } from '../refresh/refresh-target.ts';
import { checkServer, connectRedis, whenReady } from '../store/connection.ts';
import { Fleet } from '../store/fleet.ts';
import { Gates } from '../store/gates.ts';
import { Indexes } from '../store/indexes.ts';
import { Keys } from '../store/keys.ts';
import { RequestsStream } from '../store/requests.ts';
import { States } from '../store/states.ts';
import { Acquirer } from './acquirer.ts';
import { fleetFigures } from './figures.ts';
import { HealthState } from './health.ts';
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
  const fleet = new Fleet(redis, keys);
  const memory = new Memory();
  const bulkhead = new Bulkhead(slots);
  const endpoint = new TokenEndpoint({ version, connections: Math.max(1, Math.floor(slots / 2)) });
  const draw = Math.random;
  const self = { id: randomUUID(), role, host: hostname(), pid: process.pid, version, startedAt: Date.now() };

  const reconciler = new Reconciler({
    catalogue: () => member.catalogue,
    states,
    indexes,
    clock: fleet,
    memory,
    draw,
  });
  const member: Member = new Member({
    id: self.id,
    schedules: role !== 'worker',
    fleet: {
      heartbeat: ({ configHash }) => fleet.heartbeat({ ...self, configHash }),
      leave: () => fleet.leave(self.id),
      beginEpoch: (id, graceMs) => fleet.beginEpoch(id, graceMs),
      tenantOverrides: () => fleet.tenantOverrides(),
      pauses: (now) => fleet.pauses(now),
      dropOtherLimits: () => fleet.dropTenantIntervals(new Set(tenantIntervals(config).keys())),
      publishLimits: () => fleet.setTenantIntervals(tenantIntervals(config)),
      serverRunId: () => fleet.serverRunId(),
    },
    reconciler,
    buildCatalogue: (overrides) => new Catalogue(config.clients, overrides),
    newEpochId: randomUUID,
    events: memberEvents(log, metrics),
  });
  const refreshTarget = new RefreshTarget({
    catalogue: () => member.catalogue,
    states,
    indexes,
    gates,
    clock: fleet,
    acquire: new Acquirer(endpoint, env),
    memory,
    bulkhead,
    draw,
    elapsed: () => performance.now(),
  });
  const carryOut = new CarryOut({
    catalogue: () => member.catalogue,
    states,
    indexes,
    clock: fleet,
    orders: fleet,
    memory,
    pausedUntil: (target) => member.pausedUntil(target),
    reload: () => member.reload(),
    wake,
  });
  const tenants = new ManageTenants({
    catalogue: () => member.catalogue,
    resolve: (client, tenant) => resolveTenant(config, member.catalogue, client, tenant),
    agrees: () => member.agrees(),
    indexes,
    clock: fleet,
    orders: fleet,
    reconciler,
    reload: () => member.reload(),
    wake,
  });
  const refreshQueue = new RefreshQueue(redis, keys.queuePrefix);
  const figures = (): Promise<FleetFigures> => fleetFigures({ indexes, gates, fleet, member, refreshQueue });
  return {
    ...{ config, role, keys, log, metrics, health, draw },
    ...{
      redis,
      states,
      indexes,
      gates,
      fleet,
      memory,
      bulkhead,
      endpoint,
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
    connected: () => whenReady(redis),
    /** A connection that waits for work; whoever opens it closes it. */
    openBlocking: (name: string): Redis => connectRedis(config.redis, 'blocking', name),
    openSubscriber: (): Redis => connectRedis(config.redis, 'subscriber', 'changes'),
    requestsStream: (blocking: Redis): RequestsStream => new RequestsStream(blocking, keys),
  };
}
