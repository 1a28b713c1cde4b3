import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { READY_BAND } from '../../src/core/rank.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import type { Keys } from '../../src/store/keys.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example:443';
const FAST = { count: 1000, windowMs: 1 };
type Class = 'live' | 'dead' | 'neverIssued' | 'failing' | 'operator';

interface World {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly indexes: Indexes;
  readonly now: number;
  /** Puts targets into ready; gives their names, in the order in which their scores ask for them. */
  ready(kind: Class, count: number): Promise<string[]>;
  claim(most: number): Promise<readonly string[]>;
}

async function setUp(): Promise<World> {
  const { url, namespace } = sharedRedis();
  const { redis, keys } = await openStore({ url, namespace });
  const indexes = new Indexes(redis, keys, 'refresh');
  const fleet = new Fleet(redis, keys);
  await fleet.beginEpoch('the epoch', 0);
  await fleet.setTenantIntervals(new Map([['c', 0.001]]));
  const now = await fleet.now();
  const scores: Record<Class, (i: number) => number> = {
    live: (i) => now + 600_000 + i,
    dead: (i) => now - 600_000 + i,
    neverIssued: (i) => READY_BAND + now - 600_000 + i,
    failing: (i) => 2 * READY_BAND + now - 600_000 + i,
    operator: (i) => 3 * READY_BAND + now - 600_000 + i,
  };
  return {
    ...{ redis, keys, indexes, now },
    async ready(kind, count) {
      const names = Array.from({ length: count }, (_, i) => `c/${kind}-${i}/graph`);
      await indexes.enlist(
        HOST,
        names.map((target) => ({ target, dueAt: now + 3_600_000 })),
      );
      for (const [i, target] of names.entries()) await redis.zadd(keys.ready(HOST), scores[kind](i), target);
      return names;
    },
    async claim(most) {
      const result = await indexes.dispatch('the epoch', HOST, FAST, most, []);
      return result.outcome === 'ok' ? result.claimed : [];
    },
  };
}

const kindOf = (target: string): string => /^c\/([a-zA-Z]+)-/.exec(target)?.[1] ?? '';
const countOf = (claimed: readonly string[], ...kinds: Class[]): number =>
  claimed.filter((target) => kinds.includes(kindOf(target) as Class)).length;

test.each(['live', 'dead', 'neverIssued', 'failing', 'operator'] as const)(
  'of the %s those come first whose scores are least, also over many pages, and no turn is wasted',
  async (kind) => {
    const { ready, claim } = await setUp();
    const names = await ready(kind, 90);
    const claimed: string[] = [];
    for (const most of [1, 3, 70, 16, 5]) claimed.push(...(await claim(most)));
    expect(claimed).toEqual(names);
  },
);

test('a backlog of everything is claimed by shares: operators 1, never issued 2, dead or failing 1 in 10', async () => {
  const { ready, claim } = await setUp();
  for (const kind of ['live', 'dead', 'neverIssued', 'failing', 'operator'] as const) await ready(kind, 100);
  const claimed: string[] = [];
  for (let i = 0; i < 10; i++) claimed.push(...(await claim(10)));
  expect(claimed).toHaveLength(100);
  expect(countOf(claimed, 'operator')).toBe(10);
  expect(countOf(claimed, 'neverIssued')).toBe(20);
  expect(countOf(claimed, 'dead', 'failing')).toBe(10);
  expect(countOf(claimed, 'live')).toBe(60);
});

test('shares hold as well when claims come one by one', async () => {
  const { ready, claim } = await setUp();
  for (const kind of ['live', 'neverIssued', 'failing', 'operator'] as const) await ready(kind, 40);
  const claimed: string[] = [];
  for (let i = 0; i < 30; i++) claimed.push(...(await claim(1)));
  expect(countOf(claimed, 'operator')).toBe(3);
  expect(countOf(claimed, 'neverIssued')).toBe(6);
  expect(countOf(claimed, 'failing')).toBe(3);
  expect(countOf(claimed, 'live')).toBe(18);
});

test.each(['dead', 'failing'] as const)(
  '%s targets take at most 1 turn in 10 while others wait',
  async (kind) => {
    for (const others of ['live', 'neverIssued', 'operator'] as const) {
      const { ready, claim } = await setUp();
      await ready(kind, 50);
      await ready(others, 50);
      const claimed = await claim(40);
      expect(countOf(claimed, others), others).toBe(36);
      expect(countOf(claimed, kind), others).toBe(4);
    }
  },
);

test('a turn that a class has nothing for goes to the live first', async () => {
  const { ready, claim } = await setUp();
  await ready('live', 50);
  await ready('dead', 50);
  const claimed = await claim(20);
  expect(countOf(claimed, 'live')).toBe(18);
});

test('a token that ends while it waits changes its class by the clock alone', async () => {
  const { redis, keys, indexes, now, ready, claim } = await setUp();
  await ready('live', 18);
  await indexes.enlist(HOST, [{ target: 'c/ended-1/graph', dueAt: now + 3_600_000 }]);
  await redis.zadd(keys.ready(HOST), now - 1, 'c/ended-1/graph');
  expect((await claim(9)).some((target) => target.includes('ended'))).toBe(false);
  expect((await claim(1))[0]).toBe('c/ended-1/graph');
});

async function probe(world: World): Promise<void> {
  await world.redis.hset(world.keys.hostGate(HOST), { probing: 1, closedUntil: world.now - 1 });
}

test('a closed gate gives nothing, and says until when', async () => {
  const { redis, keys, indexes, now, ready } = await setUp();
  await ready('live', 3);
  await redis.hset(keys.hostGate(HOST), 'closedUntil', now + 60_000);
  const result = await indexes.dispatch('the epoch', HOST, FAST, 10, []);
  expect(result).toMatchObject({ claimed: [], waiting: 3, closedUntil: now + 60_000 });
});

test('after the clock went back a gate that is closed for longer than any Retry-After is open', async () => {
  const { redis, keys, indexes, now, ready } = await setUp();
  const [name] = await ready('live', 1);
  const ahead = { closedUntil: now + 7_200_000, why: 'throttled' };
  await redis.hset(keys.hostGate(HOST), ahead);
  const tenantScope = (name as string).slice(0, (name as string).lastIndexOf('/'));
  await redis.hset(keys.tenantGate(tenantScope), ahead);
  const result = await indexes.dispatch('the epoch', HOST, FAST, 10, []);
  expect(result).toMatchObject({ claimed: [name], closedUntil: 0 });
  const entered = await indexes.enter({ id: name as string, host: HOST, tenantScope }, 'job');
  expect([entered.hostGate.closedUntil, entered.tenantGate.closedUntil]).toEqual([0, 0]);
});

test('after the clock went back a probe that is out for longer than any probe makes way for the next', async () => {
  const world = await setUp();
  const { redis, keys, now, ready, claim } = world;
  const [name] = await ready('live', 1);
  await probe(world);
  await redis.hset(keys.hostGate(HOST), 'probeUntil', now + 7_200_000);
  expect(await claim(10)).toEqual([name]);
});

test('a gate that is closed for an hour, the longest there is, holds', async () => {
  const { redis, keys, now, ready, claim } = await setUp();
  await ready('live', 1);
  await redis.hset(keys.hostGate(HOST), 'closedUntil', now + 3_600_000);
  expect(await claim(10)).toEqual([]);
});

test('a host that was down gets one probe at a time, whoever dispatches, until it is concluded or given up', async () => {
  const world = await setUp();
  const { redis, keys, indexes, ready, claim } = world;
  await ready('live', 10);
  await probe(world);
  const rounds = await Promise.all(Array.from({ length: 10 }, () => claim(10)));
  expect(rounds.flat()).toHaveLength(1);
  expect(await indexes.dispatch('the epoch', HOST, FAST, 10, [])).toMatchObject({ waiting: 9 });
  await redis.hset(keys.hostGate(HOST), 'probeUntil', world.now - 1);
  expect(await claim(10)).toHaveLength(1);
});

test.each([
  [['live', 'dead', 'failing', 'operator', 'neverIssued'], 'live'],
  [['dead', 'failing', 'operator', 'neverIssued'], 'dead'],
  [['failing', 'operator', 'neverIssued'], 'failing'],
  [['operator', 'neverIssued'], 'operator'],
  [['neverIssued'], 'neverIssued'],
] as const)('of %j the probe goes to one that is %s, whosever turn it is', async (kinds, expected) => {
  const world = await setUp();
  for (const kind of kinds) await world.ready(kind, 10);
  await probe(world);
  for (let seq = 0; seq < 10; seq++) {
    await world.redis.hset(world.keys.hostGate(HOST), { seq, probeUntil: 0 });
    expect((await world.claim(10)).map(kindOf)).toEqual([expected]);
  }
});

test('of the live the probe goes to the one that ends last, so that tries in vain cost none that is about to end', async () => {
  const world = await setUp();
  const names = await world.ready('live', 60);
  await probe(world);
  expect(await world.claim(10)).toEqual([names.at(-1)]);
});

test('a probe goes to one that has failed since it worked before one that has never worked', async () => {
  const world = await setUp();
  const { redis, keys, indexes, now, ready, claim } = world;
  const [worked] = await ready('failing', 1);
  await indexes.enlist(HOST, [{ target: 'c/hopeless-0/graph', dueAt: now + 3_600_000 }]);
  await redis.zadd(keys.ready(HOST), 2 * READY_BAND, 'c/hopeless-0/graph');
  await probe(world);
  expect(await claim(10)).toEqual([worked]);
  await redis.hset(keys.hostGate(HOST), 'probeUntil', 0);
  expect(await claim(10)).toEqual(['c/hopeless-0/graph']);
});

test('a probe that was given back unsent makes way for the next one at once', async () => {
  const world = await setUp();
  const { indexes, ready, claim } = world;
  const [second, first] = await ready('live', 2);
  const [dueAt] = await indexes.dueAt(HOST, [second as string]);
  await probe(world);
  expect(await claim(10)).toEqual([first]);
  await indexes.giveBack(HOST, second as string, dueAt as number, FAST, 60_000);
  expect(await claim(10)).toEqual([]);
  const [claimEnd] = await indexes.dueAt(HOST, [first as string]);
  await indexes.giveBack(HOST, first as string, claimEnd as number, FAST, 60_000);
  expect(await claim(10)).toEqual([second]);
});
