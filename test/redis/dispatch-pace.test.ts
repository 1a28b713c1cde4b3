import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import type { Rate } from '../../src/core/duration.ts';
import type { DispatchResult } from '../../src/core/filing.ts';
import { type Pace, rateAt } from '../../src/core/pace.ts';
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

test('at a rate that was lowered the host gets that rate exactly, and more as it grows', async () => {
  const { redis, keys, now, ready, step } = await setUp();
  await ready(tenants(400));
  // From 20/s it rises by 200/s in a minute: over half a second by less than two.
  const pace = { rate: 20, rateAt: now, refused: 22 };
  await redis.hset(keys.hostGate(HOST), pace);
  let [first, last, claimed, missedMs] = [0, 0, 0, 0];
  while (first === 0 || last - first < 500) {
    const result = await step({ count: 200, windowMs: 1000 });
    claimed += result.claimed.length;
    first ||= result.now;
    if (last > 0) missedMs += Math.max(0, result.now - last - 100);
    last = result.now;
  }
  expect(claimed).toBeLessThanOrEqual(Math.floor((last - first + 100) / 45) + 2);
  expect(claimed).toBeGreaterThanOrEqual(Math.floor((last - first + 100 - missedMs) / 51) - 1);
});

/** Paces that core and script have to read alike: each part of the curve and its corners. */
const PACES = ((): Pace[] => {
  const paces: Pace[] = [];
  for (const rate of [0.001, 0.4, 2.5, 7, 20, 34, 60])
    for (const refused of [0, 0.5, 10, 30, 49, 50, 80])
      for (const agoMs of [0, 700, 3000, 20_000, 200_000, 400_000])
        paces.push({ rate, refused, rateAt: -agoMs, untested: false });
  return paces;
})();

test.each([
  ['a host', 50],
  ['a host', 0.2],
  ['a tenant', 5],
  ['a tenant', 400],
] as const)(
  'the script goes by the same curve as the core: %s with a ceiling of %d a second',
  async (whose, ceiling) => {
    const { redis, keys, fleet, indexes, step } = await setUp(1000 / ceiling);
    const isHost = whose === 'a host';
    const key = isHost ? keys.hostGate(HOST) : keys.tenantGate('c/tenant');
    const perHost = isHost ? { count: ceiling, windowMs: 1000 } : FAST;
    const [target] = resources(1) as [string];
    let compared = 0;
    for (const made of PACES) {
      await redis.del(keys.hostGate(HOST), keys.tenantGate('c/tenant'));
      const now = await fleet.now();
      const pace = { ...made, rateAt: now + made.rateAt };
      // The request before: so long ago that the next one may go now, by less than the burst tolerance.
      const nextAt = now + 1000 / ceiling - 1000 / rateAt(pace, ceiling, now) + 60;
      await redis.hset(key, { nextAt, rate: pace.rate, rateAt: pace.rateAt, refused: pace.refused });
      // A moment ahead can only be the end of a closure that still lasts, in which nothing is claimed.
      if (pace.rateAt > now) continue;
      await indexes.enlist(HOST, [{ target, dueAt: now + 3_600_000 }]);
      await redis.zadd(keys.ready(HOST), now + 600_000, target);
      const result = await step(perHost);
      expect(result.claimed).toEqual([target]);
      const interval = Number(await redis.hget(key, 'nextAt')) - nextAt;
      // Where the machine stood still for longer than the burst tolerance, the turn was lost and tells nothing.
      if (result.now - now > 50) continue;
      const expected = 1000 / rateAt(pace, ceiling, result.now);
      // Where the rate has doubled so fast meanwhile that the turn has passed, the claim counts from now.
      if (nextAt + expected - 1000 / ceiling < result.now) continue;
      expect(Math.abs(interval - expected) / expected, JSON.stringify(made)).toBeLessThan(0.002);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(200);
  },
);

test('a rate that begins to grow in the future, of a clock that has gone back, stays lowered and grows from now on', async () => {
  const { redis, keys, now, ready, step } = await setUp(200);
  await ready([...tenants(3), ...resources(3)]);
  const ahead = { rate: 0.5, rateAt: now + 600_000, refused: 0.6, closedUntil: now - 5 };
  await redis.hset(keys.hostGate(HOST), ahead);
  await redis.hset(keys.tenantGate('c/tenant-0'), ahead);
  const first = await step({ count: 5, windowMs: 1000 });
  expect(first.claimed).toEqual(tenants(1));
  expect((await step({ count: 5, windowMs: 1000 })).claimed).toEqual([]);
  for (const key of [keys.hostGate(HOST), keys.tenantGate('c/tenant-0')])
    expect(Number(await redis.hget(key, 'rateAt'))).toBe(first.now);
});

test('a host whose rate has just been lowered waits by the new rate since its last request', async () => {
  const { redis, keys, ready, step } = await setUp();
  await ready(tenants(5));
  const perHost = { count: 10, windowMs: 1000 };
  const { now } = await step({ ...perHost, count: 1 });
  await redis.del(keys.hostGate(HOST));
  await redis.hset(keys.hostGate(HOST), {
    nextAt: now + 100,
    rate: 0.5,
    rateAt: now + 3000,
    closedUntil: now,
  });
  expect((await step(perHost)).claimed).toEqual([]);
  await redis.hset(keys.hostGate(HOST), { nextAt: now + 100 - 2000 });
  expect((await step(perHost)).claimed).toHaveLength(1);
  expect((await step(perHost)).claimed).toEqual([]);
});

test('a rate that is far below its ceiling and grows gives no herd on its way', async () => {
  const { redis, keys, now, ready, step } = await setUp();
  await ready(tenants(50));
  const pace = { rate: 0.1, rateAt: now, refused: 0.1, untested: false };
  await redis.hset(keys.hostGate(HOST), { rate: pace.rate, rateAt: now, refused: pace.refused });
  const times: number[] = [];
  let last = now;
  while (last - now < 1500) {
    const { claimed, now: at } = await step({ count: 2, windowMs: 1000 });
    times.push(...claimed.map(() => at - now));
    last = at;
  }
  expect(times.length).toBeLessThanOrEqual(2);
});

test.each([
  ['that is grown back', { rate: 7, agoMs: 3_600_000, refused: 10 }, 20],
  ['that is lowered', { rate: 5, agoMs: 0, refused: 5 }, 200],
] as const)(
  'a claim that is given back returns its place at a rate %s',
  async (_what, { rate, agoMs, refused }, intervalMs) => {
    const { indexes, redis, keys, now, ready, step } = await setUp();
    await ready(tenants(10));
    await redis.hset(keys.hostGate(HOST), { rate, refused, rateAt: now - agoMs });
    const perHost = { count: 50, windowMs: 1000 };
    const first = await step(perHost, 1);
    const [claimed] = first.claimed as [string];
    const taken = Number(await redis.hget(keys.hostGate(HOST), 'nextAt'));
    expect(taken).toBeCloseTo(first.now + 20, 3);
    const [claimEnd] = (await indexes.dueAt(HOST, [claimed])) as [number];
    await indexes.giveBack(HOST, claimed, claimEnd, perHost, 60_000);
    const returned = Number(await redis.hget(keys.hostGate(HOST), 'nextAt'));
    expect(taken - returned).toBeLessThanOrEqual(intervalMs);
    const again = await step(perHost, 1);
    expect(again.claimed).toHaveLength(1);
  },
);

test("at a tenant's lowered rate its targets go out one by one, and none is held for longer than the rate needs to grow", async () => {
  const { redis, keys, indexes, now, ready, step } = await setUp(200);
  await ready([...resources(60), ...tenants(3)]);
  await redis.hset(keys.tenantGate('c/tenant'), {
    rate: 0.25,
    rateAt: now,
    refused: 0.25,
    nextAt: now + 200,
  });
  const result = await step(FAST);
  expect(result.claimed).toEqual(expect.arrayContaining(tenants(3)));
  expect(result.claimed.filter((target) => target.startsWith('c/tenant/'))).toEqual([]);
  const held = (await indexes.dueAt(HOST, resources(60))) as number[];
  expect((held[1] as number) - (held[0] as number)).toBeGreaterThan(3500);
  expect(Math.max(...held) - result.now).toBeLessThanOrEqual(4000 + 60_000 + 60 * 200);
});

test("a tenant's rate that was lowered outlives its claims", async () => {
  const { redis, keys, now, ready, step } = await setUp(200);
  await ready(resources(1));
  await redis.hset(keys.tenantGate('c/tenant'), { rate: 2, rateAt: now, refused: 3 });
  expect((await step(FAST)).claimed).toHaveLength(1);
  expect(await redis.pttl(keys.tenantGate('c/tenant'))).toBeGreaterThan(86_000_000);
});
