import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, type Worker } from 'bullmq';
import { Catalogue } from '../../src/config/catalogue.ts';
import { Secret } from '../../src/core/secret.ts';
import { COMMANDS_QUEUE, startCommandsWorker } from '../../src/queue/commands-queue.ts';
import { REFRESH_QUEUE, RefreshQueue, startRefreshWorker } from '../../src/queue/refresh-queue.ts';
import { Bulkhead } from '../../src/refresh/bulkhead.ts';
import { Credentials } from '../../src/refresh/credential-choice.ts';
import { Dispatcher } from '../../src/refresh/dispatch.ts';
import { Memory } from '../../src/refresh/memory.ts';
import type { AcquirePort } from '../../src/refresh/ports.ts';
import { Reconciler } from '../../src/refresh/reconcile.ts';
import { RefreshTarget } from '../../src/refresh/refresh-target.ts';
import { connectRedis } from '../../src/store/connection.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Gates } from '../../src/store/gates.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { Marks } from '../../src/store/marks.ts';
import { States } from '../../src/store/states.ts';
import { clientOf } from './samples.ts';

/** Tenants that come and go; half of them are there at any time. */
const POOL = Array.from({ length: 40 }, (_, i) => `tenant-${i}`);
const PRESENT = POOL.length / 2;
const MOVES = 5;
const PER_HOST = { count: 10_000, windowMs: 1000 };
/** Often enough in the window for a thousand cycles that follow each other at once. */
const IDENTICAL = { count: 100, windowMs: 1000 };
const EPOCH = 'churn';
const SLOTS = 16;
/** What has at most this long to live is passing: gates of tenants, locks. */
const PASSING_MS = 60_000;

/** More than either queue keeps of completed or failed jobs. */
const MORE_THAN_KEPT = 1200;

type Redis = ReturnType<typeof connectRedis>;

/**
 * The daemon's parts with an endpoint in this process, driven through cycles in which targets come, are forced and
 * go, and others add jobs that are none of ours.
 */
export class Churn {
  readonly #redis: Redis;
  readonly #parts: ReturnType<typeof assemble>;
  #cycle = 0;
  #catalogue = catalogueAt(0);

  private constructor(redis: Redis, blocking: Redis, namespace: string) {
    this.#redis = redis;
    this.#parts = assemble(redis, blocking, namespace, () => this.#catalogue);
  }

  static async start(url: string, namespace: string, foreignJobs = MORE_THAN_KEPT): Promise<Churn> {
    const address = { url: new Secret(url) };
    const redis = connectRedis(address, 'commands', 'churn');
    await redis.connect();
    const churn = new Churn(redis, connectRedis(address, 'blocking', 'churn'), namespace);
    await churn.#parts.fleet.beginEpoch(EPOCH, 0);
    await churn.#addForeignJobs(foreignJobs);
    return churn;
  }

  async cycle(): Promise<void> {
    const { reconciler, states, indexes, fleet } = this.#parts;
    const before = this.#catalogue;
    this.#cycle += 1;
    this.#catalogue = catalogueAt(this.#cycle);
    for (const target of before.ids()) {
      if (this.#catalogue.get(target) === undefined) await reconciler.drop(this.#host, target);
    }
    await reconciler.enlist({ retryParked: false });
    const forced = [...this.#catalogue.ids()].slice(0, MOVES);
    await Promise.all(forced.map((target) => states.want(target, 'by churn')));
    await indexes.setDue(this.#host, forced, await fleet.now());
    const came = [...this.#catalogue.ids()].filter((target) => before.get(target) === undefined);
    await this.#refresh(new Set([...forced, ...came]));
    await this.#addForeignJobs(2);
  }

  /** How many keys there are of each kind, but for those that pass by themselves; numbered ones are one kind. */
  async keys(): Promise<Record<string, number>> {
    const { keys } = this.#parts;
    const names: string[] = [];
    for await (const page of this.#redis.scanStream({ match: `*${keys.namespace}*`, count: 1000 }))
      names.push(...(page as string[]));
    const kinds: Record<string, number> = {};
    for (const name of new Set(names)) {
      const ttlMs = await this.#redis.pttl(name);
      if (ttlMs !== -1 && ttlMs <= PASSING_MS) continue;
      const kind = name.replaceAll(/\d+/g, '#');
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    return kinds;
  }

  async stop(): Promise<void> {
    const { workers, queues, refreshQueue } = this.#parts;
    await Promise.all(workers.map((worker) => worker.close()));
    await Promise.all(queues.map((queue) => queue.close()));
    await refreshQueue.close();
    this.#redis.disconnect();
    this.#parts.blocking.disconnect();
  }

  get #host(): string {
    return [...this.#catalogue.hosts().keys()][0] ?? '';
  }

  async #refresh(expected: ReadonlySet<string>): Promise<void> {
    const left = new Set(expected);
    const done = Promise.withResolvers<void>();
    this.#parts.refreshed.listener = (target) => {
      left.delete(target);
      if (left.size === 0) done.resolve();
    };
    const dispatcher = this.#parts.dispatcher(this.#host);
    while (left.size > 0) {
      await dispatcher.step(PER_HOST);
      await Promise.race([done.promise, new Promise((resolve) => setTimeout(resolve, 2))]);
    }
  }

  /** Resolves when the workers are done with them. */
  async #addForeignJobs(count: number): Promise<void> {
    const { queues, workers } = this.#parts;
    const keepForEver = { removeOnComplete: false, removeOnFail: false };
    const foreign = { name: 'foreign', data: { not: 'ours' }, opts: keepForEver };
    const ordered = { name: 'resume', data: { select: '*/*/*' }, opts: keepForEver };
    const ended = workers.map((worker, i) => endOf(worker, i === 0 ? count : 2 * count));
    await Promise.all([
      queues[0].addBulk(Array.from({ length: count }, () => foreign)),
      queues[1].addBulk(Array.from({ length: count }, () => [foreign, ordered]).flat()),
    ]);
    await Promise.all(ended);
  }
}

function catalogueAt(cycle: number): Catalogue {
  const tenants = Array.from(
    { length: PRESENT },
    (_, i) => POOL[(cycle * MOVES + i) % POOL.length] as string,
  );
  return new Catalogue([clientOf(tenants, { identical: IDENTICAL })]);
}

function assemble(redis: Redis, blocking: Redis, namespace: string, catalogue: () => Catalogue) {
  const keys = new Keys(namespace);
  const prefix = keys.queuePrefix;
  const shared = {
    catalogue,
    states: new States(redis, keys),
    indexes: new Indexes(redis, keys, REFRESH_QUEUE),
    marks: new Marks(redis, keys),
    memory: new Memory(),
    draw: Math.random,
    elapsed: () => performance.now(),
    sleep,
  };
  const fleet = new Fleet(redis, keys);
  const refreshTarget = new RefreshTarget({
    ...shared,
    perHost: (host) => catalogue().hosts().get(host)?.perHost,
    gates: new Gates(redis, keys),
    clock: fleet,
    acquire: ENDPOINT,
    credentials: new Credentials({
      marks: shared.marks,
      acquire: ENDPOINT,
      recovered: () => {},
      scopes: () => 2,
    }),
    bulkhead: new Bulkhead(2 * SLOTS),
    elapsed: () => performance.now(),
  });
  const refreshed: { listener: (target: string) => void } = { listener: () => {} };
  const refresh = async (target: string, jobId: string): Promise<void> => {
    const { outcome } = await refreshTarget.run(target, jobId);
    if (outcome === 'refreshed') refreshed.listener(target);
  };
  const refreshQueue = new RefreshQueue(redis, prefix);
  const workers: readonly Worker[] = [
    startRefreshWorker(refresh, { connection: blocking, prefix, slots: SLOTS }),
    startCommandsWorker(async () => 'done', { connection: blocking, prefix }),
  ];
  for (const worker of workers) worker.on('error', () => {}).setMaxListeners(0);
  const queueOf = (name: string): Queue => new Queue(name, { connection: redis, prefix });
  return {
    ...{ keys, blocking, fleet, refreshQueue, workers, refreshed },
    ...{ states: shared.states, indexes: shared.indexes },
    reconciler: new Reconciler({ ...shared, clock: fleet }),
    queues: [queueOf(REFRESH_QUEUE), queueOf(COMMANDS_QUEUE)] as const,
    dispatcher: (host: string): Dispatcher =>
      new Dispatcher(host, {
        ...shared,
        enqueue: (targets) => refreshQueue.add(targets),
        pausedUntil: () => undefined,
        mayRetire: () => true,
        epoch: () => EPOCH,
      }),
  };
}

const ENDPOINT: AcquirePort = {
  atHand: async () => [{ fingerprint: 'only one' }],
  request: async () => ({
    ok: true,
    accessToken: new Secret('x'.repeat(1500)),
    tokenType: 'Bearer',
    expiresInSeconds: 86_400,
    refreshInSeconds: 0,
    requestId: randomUUID(),
    digest: randomBytes(6).toString('base64url'),
    tenantId: undefined,
  }),
};

/** Resolves when a worker has ended so many jobs that are not of ours. */
function endOf(worker: Worker, jobs: number): Promise<void> {
  let left = jobs;
  return new Promise((resolve) => {
    const count = (job: { name: string } | undefined): void => {
      if (job?.name === REFRESH_QUEUE) return;
      left -= 1;
      if (left > 0) return;
      worker.off('completed', count).off('failed', count);
      resolve();
    };
    worker.on('completed', count).on('failed', count);
  });
}
