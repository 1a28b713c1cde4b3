import { randomBytes } from 'node:crypto';
import type { Target } from '../../src/core/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { REFRESH_QUEUE } from '../../src/queue/refresh-queue.ts';
import { connectRedis } from '../../src/store/connection.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { States } from '../../src/store/states.ts';
import type { BenchOptions, Figure } from './report.ts';
import { catalogueOf, guids, inChunks } from './samples.ts';
import { usedMemory } from './server-stats.ts';
import { Stage } from './stage.ts';

/** Refreshes before the look: what they leave in the request log is what a state carries at most times. */
const REFRESHES = 3;
const LEASE_MS = 10_000;
const LIFETIME_MS = 3_600_000;
/** Random bytes of a token; in Base64 they are the 1.5 KB that Entra's weigh. */
const TOKEN_BYTES = 1125;
const CHUNK = 500;

type Redis = ReturnType<typeof connectRedis>;

/** What a target costs in Redis beside its token: state, place in the index, expiry, places in the key tables. */
export async function measureMemory({ quick }: BenchOptions): Promise<readonly Figure[]> {
  await using stage = new Stage();
  const redis = connectRedis({ url: new Secret((await stage.redis()).url) }, 'commands', 'bench');
  stage.defer(() => redis.disconnect());
  await redis.connect();
  const keys = new Keys('evertoken');
  const catalogue = catalogueOf(guids(quick ? 20_000 : 100_000));
  const targets = [...catalogue.ids()].map((id) => catalogue.get(id) as Target);

  const before = await usedMemory(redis);
  await fill(redis, keys, targets);
  const after = await usedMemory(redis);
  const tokenKeys = targets.map(({ id }) => keys.token(id));
  const stateKeys = targets.map(({ id }) => keys.state(id));
  const tokens = await memoryOf(redis, tokenKeys);
  const states = await memoryOf(redis, stateKeys);
  const index = await memoryOf(redis, [keys.due(targets[0]?.host ?? '')]);
  const each = (bytes: number): number => bytes / targets.length;
  return [
    { what: 'beyond the token key', value: each(after - before - tokens), unit: 'B', aim: 'at most 600' },
    { what: '… of that the state, as MEMORY USAGE has it', value: each(states), unit: 'B' },
    { what: '… of that the place in the due index', value: each(index), unit: 'B' },
    {
      what: '… the rest: expiries and key tables',
      value: each(after - before - tokens - states - index),
      unit: 'B',
    },
    { what: 'the token key', value: each(tokens), unit: 'B' },
    { what: 'targets', value: targets.length, unit: '' },
  ];
}

async function fill(redis: Redis, keys: Keys, targets: readonly Target[]): Promise<void> {
  const indexes = new Indexes(redis, keys, REFRESH_QUEUE);
  const states = new States(redis, keys);
  const dueAt = Date.now();
  const host = targets[0]?.host ?? '';
  await indexes.enlist(
    host,
    targets.map(({ id }) => ({ target: id, dueAt })),
  );
  for (let round = 0; round < REFRESHES; round++) {
    await inChunks(targets, CHUNK, (target) => refresh(states, target));
  }
  await inChunks(targets, CHUNK, ({ id }) => {
    const moment = (): number => Math.round(dueAt + LIFETIME_MS * (0.4 + 0.2 * Math.random()));
    return indexes.plan(host, id, dueAt, 1000, [moment(), moment()]);
  });
}

async function refresh(states: States, target: Target): Promise<void> {
  const begun = await states.begin(target, LEASE_MS);
  if (begun.outcome !== 'begun') throw new Error(`expected to begin, but it is ${begun.outcome}`);
  const published = await states.publish(target, {
    accessToken: new Secret(randomBytes(TOKEN_BYTES).toString('base64url')),
    tokenType: 'Bearer',
    issuedAt: begun.now,
    expiresAt: begun.now + LIFETIME_MS,
    generation: begun.generation,
    digest: randomBytes(6).toString('base64url'),
    refreshInMs: 0,
    tenantId: '',
  });
  if (published !== 'published') throw new Error(`expected to publish, but it is ${published}`);
}

async function memoryOf(redis: Redis, keys: readonly string[]): Promise<number> {
  let sum = 0;
  await inChunks(keys, CHUNK, async (key) => {
    // All of an index is looked at, and not the five members that are the default.
    const bytes = await redis.memory('USAGE', key, 'SAMPLES', 0);
    sum += bytes ?? 0;
  });
  return sum;
}
