import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import type { DispatchResult, Filed } from '../../src/core/filing.ts';
import { READY_BAND } from '../../src/core/rank.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import type { Keys } from '../../src/store/keys.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example:443';
const FAST = { count: 1000, windowMs: 1 };

interface World {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly indexes: Indexes;
  readonly fleet: Fleet;
  step(filed?: readonly Filed[], most?: number): Promise<Extract<DispatchResult, { outcome: 'ok' }>>;
}

async function setUp(shared = sharedRedis()): Promise<World> {
  const { redis, keys } = await openStore(shared);
  const indexes = new Indexes(redis, keys, 'refresh');
  const fleet = new Fleet(redis, keys);
  await fleet.beginEpoch('the epoch', 0);
  await fleet.setTenantIntervals(new Map([['c', 0.001]]));
  return {
    ...{ redis, keys, indexes, fleet },
    async step(filed = [], most = 100) {
      const result = await indexes.dispatch('the epoch', HOST, FAST, most, filed);
      if (result.outcome !== 'ok') throw new Error(result.outcome);
      return result;
    },
  };
}

const targets = (count: number): string[] => Array.from({ length: count }, (_, i) => `c/tenant-${i}/graph`);

test('what is due is shown, filed into ready, claimed, and offered again when its claim has ended', async () => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now - 5 }]);

  const first = await step();
  expect(first).toMatchObject({ claimed: [], waiting: 0, due: [{ target: 'c/one/graph', dueAt: now - 5 }] });
  const second = await step([{ target: 'c/one/graph', seen: now - 5, as: 'ready', score: now + 60_000 }]);
  expect(second).toMatchObject({ claimed: ['c/one/graph'], waiting: 0, due: [] });
  const [claimEnd] = await indexes.dueAt(HOST, ['c/one/graph']);
  expect(second.nextDueAt).toBe(claimEnd);
  expect((await step()).claimed).toEqual([]);

  await redis.zadd(keys.due(HOST), now - 1, 'c/one/graph');
  expect((await step()).due).toEqual([{ target: 'c/one/graph', dueAt: now - 1 }]);
});

test('what has to wait is filed at its moment and taken out of ready', async () => {
  const { indexes, fleet, step } = await setUp();
  const now = await fleet.now();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  await step([{ target: 'c/one/graph', seen: now, as: 'ready', score: now + 60_000 }], 0);
  expect(await indexes.inReady(HOST, ['c/one/graph'])).toEqual([true]);
  await indexes.setDue(HOST, ['c/one/graph'], now);
  const result = await step([{ target: 'c/one/graph', seen: now, as: 'wait', score: now + 5000 }]);
  expect(result).toMatchObject({ claimed: [], waiting: 0, due: [], nextDueAt: now + 5000 });
});

test('what was filed by a view that has changed since is left as it is', async () => {
  const { indexes, fleet, step } = await setUp();
  const now = await fleet.now();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now - 10 }]);
  await indexes.setDue(HOST, ['c/one/graph'], now - 5);
  for (const as of ['ready', 'wait'] as const) {
    const result = await step([{ target: 'c/one/graph', seen: now - 10, as, score: now + 60_000 }]);
    expect(result).toMatchObject({ claimed: [], waiting: 0, due: [{ dueAt: now - 5 }] });
  }
});

test.each([0.1, 0.25, 1 / 3])(
  'a due score with a fraction (%d) is filed, planned and given back like any other',
  async (fraction) => {
    const { indexes, redis, keys, fleet, step } = await setUp();
    const now = await fleet.now();
    const due = now - 1000 + fraction;
    const put = (): Promise<unknown> => redis.zadd(keys.due(HOST), String(due), 'c/one/graph');
    await put();
    const seen = (await step()).due[0]?.dueAt as number;
    await step([{ target: 'c/one/graph', seen, as: 'wait', score: now + 5000 }]);
    expect(await indexes.dueAt(HOST, ['c/one/graph'])).toEqual([now + 5000]);
    await put();
    expect(await indexes.plan(HOST, 'c/one/graph', seen, 1000, [now + 7000, now + 7000])).toBe(now + 7000);
    await put();
    await indexes.giveBack(HOST, 'c/one/graph', seen, FAST, 60_000);
    expect((await indexes.dueAt(HOST, ['c/one/graph']))[0]).toBeGreaterThanOrEqual(now + 60_000);
  },
);

test('what is no longer managed is neither filed nor claimed', async () => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  const filed = { target: 'c/one/graph', seen: now, as: 'ready', score: now + 60_000 } as const;
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  await indexes.remove(HOST, ['c/one/graph']);
  expect(await step([filed])).toMatchObject({ claimed: [], waiting: 0, due: [] });

  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  await step([filed], 0);
  await indexes.remove(HOST, ['c/one/graph']);
  expect((await step()).claimed).toEqual([]);

  await redis.zadd(keys.ready(HOST), now + 60_000, 'c/stray/graph');
  expect(await step()).toMatchObject({ claimed: [], waiting: 0 });
  expect(await indexes.count(HOST)).toBe(0);
});

test.each([
  ['a short life', 5_000, 2000 + 3000],
  ['a life in between', 30_000, 2000 + 9000],
  ['a long life', 3_600_000, 2000 + 18_000],
  ['no life, for it has ended', -10, 2000 + 10_000],
  ['no life, for it was never issued', 2 ** 42, 2000 + 10_000],
])('a claim lasts as long as %s that is left allows', async (_what, left, expected) => {
  const { indexes, fleet, step } = await setUp();
  const now = await fleet.now();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  const result = await step([{ target: 'c/one/graph', seen: now, as: 'ready', score: now + left }]);
  expect(result.claimed).toEqual(['c/one/graph']);
  const lasts = (result.nextDueAt as number) - result.now;
  expect(Math.abs(lasts - expected)).toBeLessThan(20);
});

test('no work is claimed beyond what may wait in the queue', async () => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  await indexes.enlist(
    HOST,
    targets(20).map((target) => ({ target, dueAt: now })),
  );
  const filed = targets(20).map((target) => ({
    target,
    seen: now,
    as: 'ready' as const,
    score: now + 60_000,
  }));
  await redis.lpush(keys.waiting('refresh'), ...Array.from({ length: 6 }, (_, i) => i));
  expect(await step(filed, 10)).toMatchObject({ claimed: { length: 4 }, waiting: 16 });
  expect((await step([], 6)).claimed).toEqual([]);
  expect((await step([], 2)).claimed).toEqual([]);
  await redis.del(keys.waiting('refresh'));
  expect((await step([], 10)).claimed).toHaveLength(10);
});

test('a dispatcher of another epoch, or of a Redis that has none, changes nothing', async () => {
  const { indexes, fleet, redis, keys } = await setUp();
  const now = await fleet.now();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  const filed = [{ target: 'c/one/graph', seen: now, as: 'ready', score: now + 60_000 }] as const;
  for (const known of ['another', '', 'false']) {
    expect(await indexes.dispatch(known, HOST, FAST, 10, filed)).toEqual({ outcome: 'epoch' });
  }
  await redis.del(keys.epoch);
  for (const known of ['the epoch', '']) {
    expect(await indexes.dispatch(known, HOST, FAST, 10, filed)).toEqual({ outcome: 'epoch' });
  }
  expect(await indexes.dueAt(HOST, ['c/one/graph'])).toEqual([now]);
  expect(await indexes.readyCount(HOST)).toBe(0);
});

test('before an epoch opens nothing is claimed, and what is due is filed all the same', async () => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  await redis.hset(keys.epoch, 'opensAt', now + 60_000);
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  const filed = [{ target: 'c/one/graph', seen: now, as: 'ready', score: now + 60_000 }] as const;
  expect(await step(filed)).toMatchObject({ claimed: [], waiting: 1 });
  await redis.hset(keys.epoch, 'opensAt', now);
  expect((await step()).claimed).toEqual(['c/one/graph']);
});

test('after the clock went back an epoch that opens later than any grace allows is open', async () => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  await redis.hset(keys.epoch, 'opensAt', now + 7_200_000);
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  const filed = [{ target: 'c/one/graph', seen: now, as: 'ready', score: now + 60_000 }] as const;
  expect((await step(filed)).claimed).toEqual(['c/one/graph']);
});

test.each([
  ['never issued', 1],
  ['ordered by an operator', 3],
])('what is %s keeps its place in ready when it is looked at again', async (_what, band) => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  const base = band * READY_BAND;
  await indexes.enlist(HOST, [{ target: 'c/first/graph', dueAt: now }]);
  const fileAt = async (score: number): Promise<void> => {
    await indexes.setDue(HOST, ['c/first/graph'], now);
    await step([{ target: 'c/first/graph', seen: now, as: 'ready', score }], 0);
  };
  const score = async (): Promise<number> => Number(await redis.zscore(keys.ready(HOST), 'c/first/graph'));
  await fileAt(base + now - 600_000);
  await fileAt(base + now);
  expect(await score()).toBe(base + now - 600_000);
  await fileAt(base + now - 900_000);
  expect(await score()).toBe(base + now - 900_000);
});

test.each([
  ['from never issued to failing', READY_BAND + 5, 2 * READY_BAND + 9],
  ['from an order back to a plan', 3 * READY_BAND + 5, 9],
  ['from an order to never issued', 3 * READY_BAND + 9, READY_BAND + 5],
  ['from one expiry to a later one', 5, 9],
  ['from failing to failing with a later expiry', 2 * READY_BAND + 5, 2 * READY_BAND + 9],
  ['from never issued to an order', READY_BAND + 5, 3 * READY_BAND + 9],
])('what changes %s is ranked anew', async (_what, before, after) => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  await redis.zadd(keys.ready(HOST), before, 'c/one/graph');
  await step([{ target: 'c/one/graph', seen: now, as: 'ready', score: after }], 0);
  expect(Number(await redis.zscore(keys.ready(HOST), 'c/one/graph'))).toBe(after);
});

test('many dispatchers side by side claim each target once, and none is left over', async () => {
  const shared = sharedRedis();
  const worlds = await Promise.all([setUp(shared), setUp(shared), setUp(shared), setUp(shared)]);
  const { indexes, fleet } = worlds[0] as World;
  const all = targets(800);
  const now = await fleet.now();
  await indexes.enlist(
    HOST,
    all.map((target, i) => ({ target, dueAt: now - i })),
  );
  const claimed: string[] = [];
  const dispatcher = async ({ step }: World): Promise<void> => {
    let filed: Filed[] = [];
    for (let i = 0; i < 400 && claimed.length < all.length; i++) {
      const result = await step(filed, 7);
      claimed.push(...result.claimed);
      filed = result.due.map(({ target, dueAt }) => ({
        target,
        seen: dueAt,
        as: 'ready',
        score: now + 3_600_000,
      }));
    }
  };
  await Promise.all([...worlds, ...worlds].map(dispatcher));
  expect(claimed).toHaveLength(all.length);
  expect(new Set(claimed).size).toBe(all.length);
});

test('at most 500 of what is due are shown at once, the longest due first, and what is idle is not touched', async () => {
  const { indexes, fleet, redis, keys, step } = await setUp();
  const now = await fleet.now();
  const idle = Array.from({ length: 20_000 }, (_, i) => ({
    target: `c/idle-${i}/graph`,
    dueAt: now + 600_000 + i,
  }));
  await indexes.enlist(HOST, idle);
  expect(await step()).toMatchObject({ claimed: [], due: [], waiting: 0, nextDueAt: now + 600_000 });
  expect(await redis.zcount(keys.due(HOST), now + 600_000, now + 620_000)).toBe(20_000);

  await indexes.enlist(
    HOST,
    targets(700).map((target, i) => ({ target, dueAt: now - 10_000 + i })),
  );
  const { due } = await step();
  expect(due).toHaveLength(500);
  expect(due[0]).toEqual({ target: targets(1)[0], dueAt: now - 10_000 });
  expect(due.every(({ target }) => !target.includes('idle'))).toBe(true);
});

test('two hosts of one namespace have indexes of their own', async () => {
  const { indexes, fleet, step } = await setUp();
  const now = await fleet.now();
  await indexes.enlist('other.example:443', [{ target: 'c/one/graph', dueAt: now - 1 }]);
  expect(await step()).toMatchObject({ due: [], nextDueAt: 0 });
});
