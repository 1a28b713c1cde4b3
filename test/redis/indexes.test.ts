import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import type { Keys } from '../../src/store/keys.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example:443';

async function setUp(): Promise<{ redis: Redis; keys: Keys; indexes: Indexes; now: number }> {
  const { url, namespace } = sharedRedis();
  const { redis, keys } = await openStore({ url, namespace });
  return {
    ...{ redis, keys, indexes: new Indexes(redis, keys, 'refresh') },
    now: await new Fleet(redis, keys).now(),
  };
}

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `c/tenant-${i}/graph`);

test('of two moments a plan takes the one whose slot is emptier', async () => {
  const { indexes, now } = await setUp();
  const [full, empty] = [now + 100_000, now + 200_000];
  const planned = many(5).map((target, i) => ({ target, dueAt: full + i }));
  await indexes.enlist(HOST, [...planned, { target: 'c/one/graph', dueAt: now }]);
  expect(await indexes.plan(HOST, 'c/one/graph', now, 1000, [full, empty])).toBe(empty);
  expect(await indexes.plan(HOST, 'c/one/graph', empty, 1000, [empty + 50_000, full])).toBe(empty + 50_000);
  expect(await indexes.dueAt(HOST, ['c/one/graph'])).toEqual([empty + 50_000]);
});

test('a slot ends before the next one begins', async () => {
  const { indexes, now } = await setUp();
  await indexes.enlist(HOST, [
    { target: 'c/one/graph', dueAt: now },
    { target: 'c/two/graph', dueAt: now + 11_000 },
    { target: 'c/three/graph', dueAt: now + 20_000 },
  ]);
  expect(await indexes.plan(HOST, 'c/one/graph', now, 1000, [now + 20_000, now + 10_000])).toBe(now + 10_000);
});

test('a plan takes the target out of ready', async () => {
  const { indexes, redis, keys, now } = await setUp();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  await redis.zadd(keys.ready(HOST), now, 'c/one/graph');
  await indexes.plan(HOST, 'c/one/graph', now, 1000, [now + 1, now + 1]);
  expect(await indexes.inReady(HOST, ['c/one/graph'])).toEqual([false]);
});

test('a plan by who has not seen the last move changes nothing', async () => {
  const { indexes, redis, keys, now } = await setUp();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  await indexes.setDue(HOST, ['c/one/graph'], now + 5);
  await redis.zadd(keys.ready(HOST), now, 'c/one/graph');
  expect(await indexes.plan(HOST, 'c/one/graph', now, 1000, [now + 99, now + 99])).toBeUndefined();
  expect(await indexes.dueAt(HOST, ['c/one/graph'])).toEqual([now + 5]);
  expect(await indexes.inReady(HOST, ['c/one/graph'])).toEqual([true]);
});

test('planning, moving or giving back what is not managed does not make it managed', async () => {
  const { indexes, now } = await setUp();
  expect(await indexes.plan(HOST, 'c/one/graph', now, 1000, [now, now])).toBeUndefined();
  await indexes.setDue(HOST, ['c/one/graph'], now);
  await indexes.giveBack(HOST, 'c/one/graph', now, { count: 1, windowMs: 1000 }, 1000);
  expect(await indexes.count(HOST)).toBe(0);
  expect(await indexes.dueAt(HOST, ['c/one/graph'])).toEqual([undefined]);
});

test('enlisting leaves what is managed already as it was planned', async () => {
  const { indexes, now } = await setUp();
  await indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now + 5000 }]);
  await indexes.enlist(HOST, [
    { target: 'c/one/graph', dueAt: now },
    { target: 'c/two/graph', dueAt: now + 0.9 },
  ]);
  expect(await indexes.dueAt(HOST, ['c/one/graph', 'c/two/graph'])).toEqual([now + 5000, now]);
});

test('thousands are enlisted, moved and removed in one call each', async () => {
  const { indexes, redis, keys, now } = await setUp();
  const targets = many(2500);
  await indexes.enlist(
    HOST,
    targets.map((target) => ({ target, dueAt: now + 60_000 })),
  );
  expect(await indexes.count(HOST)).toBe(2500);
  expect(await indexes.dueCount(HOST, now)).toBe(0);
  await indexes.setDue(HOST, targets, now - 1);
  expect(await indexes.dueCount(HOST, now)).toBe(2500);
  await redis.zadd(keys.ready(HOST), ...targets.flatMap((target) => [now, target]));
  expect(await indexes.readyCount(HOST)).toBe(2500);
  await indexes.remove(HOST, targets.slice(100));
  expect([await indexes.count(HOST), await indexes.readyCount(HOST)]).toEqual([100, 100]);
});

test('calls with nothing in them do nothing', async () => {
  const { indexes, redis, keys } = await setUp();
  await indexes.enlist(HOST, []);
  await indexes.setDue(HOST, [], 1);
  await indexes.remove(HOST, []);
  expect(await indexes.dueAt(HOST, [])).toEqual([]);
  expect(await indexes.inReady(HOST, [])).toEqual([]);
  expect(await redis.exists(keys.hosts)).toBe(0);
});

test('a host is known while it manages something, and dropped when it does not', async () => {
  const { indexes, redis, keys, now } = await setUp();
  await indexes.enlist('b.example:443', [{ target: 'c/one/graph', dueAt: now }]);
  await indexes.enlist('a.example:443', [{ target: 'c/two/graph', dueAt: now }]);
  expect(await indexes.hosts()).toEqual(['a.example:443', 'b.example:443']);
  await indexes.remove('b.example:443', ['c/one/graph']);
  expect(await indexes.hosts()).toEqual(['a.example:443']);
  expect(await redis.smembers(keys.hosts)).toEqual(['a.example:443']);
  await indexes.enlist('b.example:443', [{ target: 'c/one/graph', dueAt: now }]);
  expect(await indexes.hosts()).toEqual(['a.example:443', 'b.example:443']);
});

test('a host in which something is enlisted just after it was seen empty is not dropped', async () => {
  const { indexes, redis, keys, now } = await setUp();
  await redis.sadd(keys.hosts, HOST);
  const enlist = () => indexes.enlist(HOST, [{ target: 'c/one/graph', dueAt: now }]);
  // Whichever command it is that looks, something is enlisted right after it.
  for (const command of ['zcard', 'evalsha'] as const) {
    const look = (redis[command] as (...args: unknown[]) => Promise<unknown>).bind(redis);
    vi.spyOn(redis, command as 'zcard').mockImplementation((async (...args: unknown[]) => {
      const seen = await look(...args);
      await enlist();
      return seen;
    }) as never);
  }
  await indexes.hosts();
  vi.restoreAllMocks();
  expect(await indexes.count(HOST)).toBe(1);
  expect(await indexes.hosts()).toEqual([HOST]);
});

test.each([
  ['each at its own moment', 1, 7],
  ['several at each moment', 3, 7],
  ['more at each moment than a page holds', 20, 7],
  ['all on one page', 1, 100],
  ['pages that fit exactly', 1, 10],
])('what is due beyond a moment comes once and in order: %s', async (_what, together, pageSize) => {
  const { indexes, now } = await setUp();
  const entries = many(60).map((target, i) => ({ target, dueAt: now + Math.floor(i / together) * together }));
  await indexes.enlist(HOST, entries);
  const at = now + 19;
  const seen: { target: string; dueAt: number }[] = [];
  for await (const page of indexes.beyond(HOST, at, pageSize)) {
    expect(page.length).toBeLessThanOrEqual(pageSize + together);
    seen.push(...page);
    // What has been dealt with is moved: none of the others is missed for it.
    await indexes.setDue(
      HOST,
      page.filter((_entry, i) => i % 2 === 0).map(({ target }) => target),
      now,
    );
  }
  expect(seen.map(({ target }) => target).toSorted()).toEqual(
    entries
      .filter(({ dueAt }) => dueAt > at)
      .map(({ target }) => target)
      .toSorted(),
  );
  expect(seen).toEqual(seen.toSorted((a, b) => a.dueAt - b.dueAt));
});

test.each([0, 1, 100, 5000])('a scan of %d targets shows each with its score', async (count) => {
  const { indexes, now } = await setUp();
  const entries = many(count).map((target, i) => ({ target, dueAt: now + i }));
  await indexes.enlist(HOST, entries);
  const seen = new Map<string, number>();
  let pages = 0;
  for await (const page of indexes.scan(HOST)) {
    pages += 1;
    for (const { target, dueAt } of page) seen.set(target, dueAt);
  }
  expect(seen).toEqual(new Map(entries.map(({ target, dueAt }) => [target, dueAt])));
  if (count === 5000) expect(pages).toBeGreaterThan(1);
});
