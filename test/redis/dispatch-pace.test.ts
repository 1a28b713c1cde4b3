import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import type { Rate } from '../../src/core/duration.ts';
import type { DispatchResult } from '../../src/core/filing.ts';
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
  readonly now: number;
  ready(targets: readonly string[]): Promise<void>;
  step(perHost: Rate, most?: number): Promise<Extract<DispatchResult, { outcome: 'ok' }>>;
}

async function setUp(tenantIntervalMs = 0.001): Promise<World> {
  const { url, namespace } = sharedRedis();
  const { redis, keys } = await openStore({ url, namespace });
  const indexes = new Indexes(redis, keys, 'refresh');
  const fleet = new Fleet(redis, keys);
  await fleet.beginEpoch('the epoch', 0);
  await fleet.setTenantIntervals(new Map([['c', tenantIntervalMs]]));
  const now = await fleet.now();
  return {
    ...{ redis, keys, indexes, fleet, now },
    async ready(targets) {
      await indexes.enlist(
        HOST,
        targets.map((target) => ({ target, dueAt: now + 3_600_000 })),
      );
      await redis.zadd(keys.ready(HOST), ...targets.flatMap((target, i) => [now + 600_000 + i, target]));
    },
    async step(perHost, most = 2000) {
      const result = await indexes.dispatch('the epoch', HOST, perHost, most, []);
      if (result.outcome !== 'ok') throw new Error(result.outcome);
      return result;
    },
  };
}

const tenants = (count: number): string[] => Array.from({ length: count }, (_, i) => `c/tenant-${i}/graph`);
const resources = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `c/tenant/resource-${i}`);

test.each([
  [200, 1000],
  [50, 1000],
  [7, 100],
] as const)(
  'at %d in %d ms the host gets its rate exactly, apart from a burst of 100 ms',
  async (count, windowMs) => {
    const { ready, step } = await setUp();
    await ready(tenants(400));
    const perHost = { count, windowMs };
    let [first, last, claimed, missedMs] = [0, 0, 0, 0];
    while (first === 0 || last - first < 300) {
      const result = await step(perHost);
      claimed += result.claimed.length;
      first ||= result.now;
      // Where the machine stood still for longer than the burst, nobody was there to claim.
      if (last > 0) missedMs += Math.max(0, result.now - last - 100);
      last = result.now;
    }
    const intervalMs = windowMs / count;
    const exactly = Math.floor((last - first + 100) / intervalMs) + 1;
    expect(claimed).toBeLessThanOrEqual(exactly + 1);
    expect(claimed).toBeGreaterThanOrEqual(exactly - 1 - Math.ceil(missedMs / intervalMs));
  },
);

test('dispatchers side by side share one rate', async () => {
  const { ready, step } = await setUp();
  await ready(tenants(100));
  const results = await Promise.all(Array.from({ length: 30 }, () => step({ count: 10, windowMs: 1000 })));
  const took = Math.max(...results.map(({ now }) => now)) - Math.min(...results.map(({ now }) => now));
  expect(results.flatMap(({ claimed }) => claimed).length).toBeLessThanOrEqual(2 + Math.floor(took / 100));
});

test('a rate slower than the burst gives one request and then a pause', async () => {
  const { redis, keys, now, ready, step } = await setUp();
  await ready(tenants(5));
  const perHost = { count: 1, windowMs: 60_000 };
  expect((await step(perHost)).claimed).toHaveLength(1);
  expect((await step(perHost)).claimed).toHaveLength(0);
  await redis.hset(keys.hostGate(HOST), 'nextAt', now - 1);
  expect((await step(perHost)).claimed).toHaveLength(1);
});

test('time in which nothing was asked is not saved up for a herd', async () => {
  const { redis, keys, now, ready, step } = await setUp();
  await ready(tenants(100));
  await redis.hset(keys.hostGate(HOST), 'nextAt', now - 3_600_000);
  expect((await step({ count: 50, windowMs: 1000 })).claimed).toHaveLength(6);
});

test("a host's rate that was raised holds at once, as it does when the clock has gone back", async () => {
  const { redis, keys, now, ready, step } = await setUp();
  await ready(tenants(100));
  await redis.hset(keys.hostGate(HOST), 'nextAt', now + 3_600_000);
  const first = await step({ count: 50, windowMs: 1000 });
  expect(first.claimed).toHaveLength(1);
  expect(Number(await redis.hget(keys.hostGate(HOST), 'nextAt'))).toBe(first.now + 100 + 20);
});

test("a tenant's pace that was raised holds at once, as it does when the clock has gone back", async () => {
  const { redis, keys, now, ready, step } = await setUp(200);
  await ready(resources(3));
  await redis.hset(keys.tenantGate('c/tenant'), 'nextAt', now + 3_600_000);
  const first = await step(FAST);
  expect(first.claimed).toEqual(resources(1));
  expect(Number(await redis.hget(keys.tenantGate('c/tenant'), 'nextAt'))).toBe(first.now + 1000 + 200);
});

test('a claim that is given back gives the host its request back', async () => {
  const { indexes, ready, step } = await setUp();
  await ready(tenants(10));
  const perHost = { count: 1, windowMs: 1000 };
  const [claimed] = (await step(perHost)).claimed as [string];
  expect((await step(perHost)).claimed).toEqual([]);
  const [claimEnd] = await indexes.dueAt(HOST, [claimed]);
  await indexes.giveBack(HOST, claimed, claimEnd as number, perHost, 60_000);
  expect((await step(perHost)).claimed).toHaveLength(1);
});

test('a claim is given back once, and not after it has ended or was overtaken', async () => {
  const { indexes, redis, keys, ready, step, now } = await setUp();
  await ready(tenants(10));
  const perHost = { count: 1, windowMs: 1000 };
  const [claimed] = (await step(perHost)).claimed as [string];
  const [claimEnd] = (await indexes.dueAt(HOST, [claimed])) as [number];
  await indexes.setDue(HOST, [claimed], now);
  await indexes.giveBack(HOST, claimed, claimEnd, perHost, 60_000);
  expect(await indexes.dueAt(HOST, [claimed])).toEqual([now]);
  await indexes.remove(HOST, [claimed]);
  await indexes.giveBack(HOST, claimed, claimEnd, perHost, 60_000);
  expect(await indexes.dueAt(HOST, [claimed])).toEqual([undefined]);
  expect(Number(await redis.hget(keys.hostGate(HOST), 'nextAt'))).toBeGreaterThanOrEqual(now + 1000);
});

test('giving back never takes the rate below now', async () => {
  const { indexes, redis, keys, ready, step, now } = await setUp();
  await ready(tenants(1));
  const [claimed] = (await step({ count: 1000, windowMs: 1000 })).claimed as [string];
  const [claimEnd] = (await indexes.dueAt(HOST, [claimed])) as [number];
  await indexes.giveBack(HOST, claimed, claimEnd, { count: 1, windowMs: 3_600_000 }, 60_000);
  expect(Number(await redis.hget(keys.hostGate(HOST), 'nextAt'))).toBeGreaterThanOrEqual(now);
});

test("one tenant's targets go out at its own pace, the rest one after the other, and others go past them", async () => {
  const { indexes, ready, step } = await setUp(200);
  await ready([...resources(30), ...tenants(3)]);
  const result = await step(FAST);
  const ofTenant = result.claimed.filter((target) => target.startsWith('c/tenant/'));
  expect(ofTenant).toEqual(resources(6));
  expect(result.claimed).toEqual(expect.arrayContaining(tenants(3)));
  const held = (await indexes.dueAt(HOST, resources(30))).slice(6) as number[];
  const waits = held.map((at) => at - result.now);
  expect(waits).toEqual(waits.map((_, i) => (waits[0] as number) + i * 200));
  expect(waits[0]).toBeGreaterThan(0);
  expect(waits[0]).toBeLessThanOrEqual(400);
});

test('a closed tenant holds its own targets until it opens, and nobody else', async () => {
  const { redis, keys, indexes, now, ready, step } = await setUp(200);
  await ready([...resources(3), ...tenants(3)]);
  await redis.hset(keys.tenantGate('c/tenant'), 'closedUntil', now + 60_000);
  expect((await step(FAST)).claimed).toEqual(tenants(3));
  const held = (await indexes.dueAt(HOST, resources(3))) as number[];
  expect(held).toEqual([now + 60_200, now + 60_400, now + 60_600]);
});

test('however many targets of one closed tenant come first, the others are reached', async () => {
  const { redis, keys, now, ready, step } = await setUp(200);
  await ready([...resources(600), ...tenants(3)]);
  await redis.hset(keys.tenantGate('c/tenant'), 'closedUntil', now + 600_000);
  const claimed: string[] = [];
  for (let i = 0; i < 7; i++) claimed.push(...(await step({ count: 50, windowMs: 1000 }, 100)).claimed);
  expect(claimed).toEqual(tenants(3));
});

test("a tenant's gate is forgotten soon after it has been used, and its host's within a day", async () => {
  const { redis, keys, ready, step } = await setUp(200);
  await ready(resources(6));
  await step(FAST);
  const tenantTtl = await redis.pttl(keys.tenantGate('c/tenant'));
  expect(tenantTtl).toBeGreaterThan(1200);
  expect(tenantTtl).toBeLessThanOrEqual(6 * 200 + 1000);
  const hostTtl = await redis.pttl(keys.hostGate(HOST));
  expect(hostTtl).toBeGreaterThan(86_000_000);
  expect(hostTtl).toBeLessThanOrEqual(86_400_000);
});

test('the pace of a tenant that is slower than any key lives on until it may go again', async () => {
  const { redis, keys, ready, step } = await setUp(3_600_000);
  await ready(resources(2));
  expect((await step(FAST)).claimed).toHaveLength(1);
  expect(await redis.pttl(keys.tenantGate('c/tenant'))).toBeGreaterThan(3_500_000);
});

test('a client whose pace nobody has published yet goes at 5 a second', async () => {
  const { redis, keys, ready, step } = await setUp();
  await redis.del(keys.limits);
  await ready(resources(20));
  expect((await step(FAST)).claimed).toHaveLength(6);
});
