import { setTimeout as pause } from 'node:timers/promises';
import type { Pace } from '../../src/core/pace.ts';
import { Secret } from '../../src/core/secret.ts';
import type { TargetId } from '../../src/core/target.ts';
import { REFRESH_QUEUE } from '../../src/queue/refresh-queue.ts';
import { connectRedis } from '../../src/store/connection.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { type BenchOptions, type Figure, median } from './report.ts';
import { guids } from './samples.ts';
import { commandStats } from './server-stats.ts';
import { Stage } from './stage.ts';

const EPOCH = 'bench';
/** As fast as scripts may be called: the pace is asked for with each claim and holds nothing back. */
const PER_HOST = { count: 10_000, windowMs: 1000 };
const CLAIMS = 2000;
const LIFE_MS = 3_600_000;

type Redis = ReturnType<typeof connectRedis>;

/** Which gates a refusal has lowered before. */
const LOWERED = {
  open: { host: false, tenants: false },
  'host lowered': { host: true, tenants: false },
  'host and tenants lowered': { host: true, tenants: true },
} as const;
type Setting = keyof typeof LOWERED;

interface Cost {
  readonly claimUs: number;
  readonly enterUs: number;
}

/** What the gates cost a refresh in Redis: its share of a dispatcher's step, and the taking up of its job. */
export async function measureGates({ quick }: BenchOptions): Promise<readonly Figure[]> {
  await using stage = new Stage();
  const redis = connectRedis({ url: new Secret((await stage.redis()).url) }, 'commands', 'bench');
  stage.defer(() => redis.disconnect());
  await redis.connect();
  const keys = new Keys('evertoken');
  await new Fleet(redis, keys).beginEpoch(EPOCH, 0);
  const settings = Object.keys(LOWERED) as Setting[];
  const costs = new Map<Setting, Cost[]>(settings.map((setting) => [setting, []]));
  for (let round = 0; round < (quick ? 4 : 10); round++)
    for (const setting of settings) costs.get(setting)?.push(await measure(redis, keys, setting, round));
  // The first round warms up.
  const middle = (setting: Setting, of: keyof Cost): number =>
    median((costs.get(setting) ?? []).slice(1).map((cost) => cost[of]));
  return settings.flatMap((setting): Figure[] => [
    { what: `${setting}: a claim`, value: middle(setting, 'claimUs'), unit: 'µs' },
    { what: '… taking up its job', value: middle(setting, 'enterUs'), unit: 'µs' },
    {
      what: '… both, against open gates',
      value: sumOf(middle, setting) / sumOf(middle, 'open'),
      unit: 'times',
    },
  ]);
}

const sumOf = (middle: (setting: Setting, of: keyof Cost) => number, setting: Setting): number =>
  middle(setting, 'claimUs') + middle(setting, 'enterUs');

async function measure(redis: Redis, keys: Keys, setting: Setting, round: number): Promise<Cost> {
  const indexes = new Indexes(redis, keys, REFRESH_QUEUE);
  const host = `idp-${round}-${setting.replaceAll(' ', '-')}.example`;
  const targets = guids(CLAIMS).map((tenant) => `billing/${tenant}/graph`);
  await fill(redis, keys, host, targets);
  await lower(redis, keys, setting, host, targets);

  await redis.config('RESETSTAT');
  const claimed: TargetId[] = [];
  while (claimed.length < CLAIMS) {
    const step = await indexes.dispatch(EPOCH, host, PER_HOST, CLAIMS, []);
    if (step.outcome !== 'ok') throw new Error('expected an epoch');
    claimed.push(...step.claimed);
    // A step of a busy dispatcher claims what its burst gives.
    await pause(10);
  }
  const claims = await commandStats(redis, 'evalsha');
  await redis.config('RESETSTAT');
  for (const id of claimed) await indexes.enter({ id, host, tenantScope: scopeOf(id) }, 'job');
  const enters = await commandStats(redis, 'evalsha');
  return { claimUs: claims.usec / CLAIMS, enterUs: enters.usec / CLAIMS };
}

async function fill(redis: Redis, keys: Keys, host: string, targets: readonly TargetId[]): Promise<void> {
  const now = Date.now();
  await redis.zadd(keys.due(host), ...targets.flatMap((target) => [now + LIFE_MS, target]));
  await redis.zadd(keys.ready(host), ...targets.flatMap((target, i) => [now + LIFE_MS + i, target]));
}

/** Long ago, so that the curve is walked to its end and the claims are as many as with open gates. */
async function lower(
  redis: Redis,
  keys: Keys,
  setting: Setting,
  host: string,
  targets: readonly TargetId[],
): Promise<void> {
  const pace: Pace = { rate: 1, rateAt: Date.now() - LIFE_MS, refused: 2, untested: false };
  const fields = [...['rate', pace.rate], ...['rateAt', pace.rateAt], ...['refused', pace.refused]];
  if (LOWERED[setting].host) await redis.hset(keys.hostGate(host), ...fields);
  if (!LOWERED[setting].tenants) return;
  for (const target of targets) await redis.hset(keys.tenantGate(scopeOf(target)), ...fields);
}

const scopeOf = (target: TargetId): string => target.slice(0, target.lastIndexOf('/'));
