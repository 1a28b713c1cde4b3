import { Catalogue } from '../../src/config/catalogue.ts';
import { Secret } from '../../src/core/secret.ts';
import { REFRESH_QUEUE } from '../../src/queue/refresh-queue.ts';
import { Dispatcher } from '../../src/refresh/dispatch.ts';
import { connectRedis } from '../../src/store/connection.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { Marks } from '../../src/store/marks.ts';
import { States } from '../../src/store/states.ts';
import { type BenchOptions, type Figure, median } from './report.ts';
import { clientOf, guids } from './samples.ts';
import { commandStats } from './server-stats.ts';
import { Stage } from './stage.ts';

const SIZES = { few: 100_000, many: 1_000_000 } as const;
const PER_HOST = { count: 50, windowMs: 1000 };
const CHUNK = 1000;
/** Idle: the first target comes due long after the end of the measurement. */
const FIRST_DUE_MS = 3_600_000;
const EPOCH = 'bench';

type Redis = ReturnType<typeof connectRedis>;

interface Ticks {
  readonly wallUs: number;
  readonly serverUs: number;
}

/** What a dispatcher's step costs when nothing is due, with ten times as many targets and without. */
export async function measureIdleTick({ quick }: BenchOptions): Promise<readonly Figure[]> {
  await using stage = new Stage();
  const redis = connectRedis({ url: new Secret((await stage.redis()).url) }, 'commands', 'bench');
  stage.defer(() => redis.disconnect());
  await redis.connect();
  const keys = new Keys('evertoken');
  await new Fleet(redis, keys).beginEpoch(EPOCH, 0);
  const dispatchers = { few: dispatcher(redis, keys, 'few'), many: dispatcher(redis, keys, 'many') };
  for (const size of ['few', 'many'] as const) await fill(redis, keys.due(size), SIZES[size]);

  const ticks = { few: [] as Ticks[], many: [] as Ticks[] };
  for (let round = 0; round < (quick ? 6 : 20); round++) {
    for (const size of ['few', 'many'] as const) ticks[size].push(await measure(dispatchers[size], redis));
  }
  // The first round warms up.
  const middle = (size: keyof typeof SIZES, of: keyof Ticks): number =>
    median(ticks[size].slice(1).map((tick) => tick[of]));
  return [
    {
      what: 'script, 1,000,000 against 100,000 targets',
      value: middle('many', 'serverUs') / middle('few', 'serverUs'),
      unit: 'times',
      aim: 'the same',
    },
    {
      what: 'whole step, 1,000,000 against 100,000 targets',
      value: middle('many', 'wallUs') / middle('few', 'wallUs'),
      unit: 'times',
      aim: 'the same',
    },
    { what: 'script in Redis, 100,000 targets', value: middle('few', 'serverUs'), unit: 'µs' },
    { what: 'script in Redis, 1,000,000 targets', value: middle('many', 'serverUs'), unit: 'µs' },
    { what: 'whole step, 100,000 targets', value: middle('few', 'wallUs'), unit: 'µs' },
    { what: 'whole step, 1,000,000 targets', value: middle('many', 'wallUs'), unit: 'µs' },
    { what: 'catalogue made and hashed, 100,000 tenants', value: catalogueMs(SIZES.few), unit: 'ms' },
    { what: 'catalogue made and hashed, 1,000,000 tenants', value: catalogueMs(SIZES.many), unit: 'ms' },
  ];
}

function dispatcher(redis: Redis, keys: Keys, host: string): Dispatcher {
  return new Dispatcher(host, {
    catalogue: () => new Catalogue([]),
    states: new States(redis, keys),
    indexes: new Indexes(redis, keys, REFRESH_QUEUE),
    marks: new Marks(redis, keys),
    enqueue: async () => {},
    pausedUntil: () => undefined,
    mayRetire: () => true,
    epoch: () => EPOCH,
    draw: Math.random,
  });
}

async function fill(redis: Redis, key: string, count: number): Promise<void> {
  const first = Date.now() + FIRST_DUE_MS;
  for (let start = 0; start < count; start += CHUNK) {
    const members = guids(CHUNK).flatMap((tenant, i) => [
      first + ((start + i) * FIRST_DUE_MS) / count,
      `billing/${tenant}/graph`,
    ]);
    await redis.zadd(key, ...members);
  }
}

const STEPS = 200;

async function measure(dispatching: Dispatcher, redis: Redis): Promise<Ticks> {
  await redis.config('RESETSTAT');
  const startedAt = performance.now();
  for (let i = 0; i < STEPS; i++) await dispatching.step(PER_HOST);
  const wallUs = (1000 * (performance.now() - startedAt)) / STEPS;
  const { calls, usec } = await commandStats(redis, 'evalsha');
  return { wallUs, serverUs: usec / calls };
}

/** Not of a tick, but of every reading of what operators have added: it grows with the tenants. */
function catalogueMs(tenants: number): number {
  const client = clientOf(guids(tenants));
  const startedAt = performance.now();
  void new Catalogue([client]).hash;
  return performance.now() - startedAt;
}
