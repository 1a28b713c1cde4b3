import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { BeginResult, TargetPolicy, TargetState } from '../../src/core/state.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { States } from '../../src/store/states.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const POLICY: TargetPolicy = {
  id: 'billing/contoso.example/graph',
  host: 'idp.example:443',
  tenantScope: 'billing/contoso.example',
  fingerprint: 'f1ngerpr',
  outageTargetMs: 1_200_000,
  identical: { count: 5, windowMs: 300_000 },
};
const LEASE_MS = 10_000;

interface World {
  readonly redis: Redis;
  readonly states: States;
  readonly key: string;
  now(): Promise<number>;
  /** Ends the lease without anything else that the end of an attempt does. */
  unlease(): Promise<unknown>;
}

async function setUp(shared = sharedRedis()): Promise<World> {
  const { redis, keys } = await openStore(shared);
  const key = keys.state(POLICY.id);
  const fleet = new Fleet(redis, keys);
  return {
    redis,
    states: new States(redis, keys),
    key,
    now: () => fleet.now(),
    unlease: () => redis.hdel(key, 'l'),
  };
}

function begun(result: BeginResult): Extract<BeginResult, { outcome: 'begun' }> {
  if (result.outcome !== 'begun')
    throw new Error(`expected an attempt to begin, but it is ${result.outcome}`);
  return result;
}

test('an attempt holds a lease that keeps a second one out until it ends', async () => {
  const { states, redis, key } = await setUp();
  const first = begun(await states.begin(POLICY, LEASE_MS));
  expect(await states.begin(POLICY, LEASE_MS)).toMatchObject({
    outcome: 'leased',
    until: first.now + LEASE_MS,
  });
  await redis.hset(key, 'l', first.now - 1);
  expect((await states.begin(POLICY, LEASE_MS)).outcome).toBe('begun');
});

test('of many that begin at once, one does', async () => {
  const shared = sharedRedis();
  const worlds = await Promise.all([setUp(shared), setUp(shared), setUp(shared)]);
  const results = await Promise.all(
    Array.from({ length: 60 }, (_, i) => (worlds[i % 3] as World).states.begin(POLICY, LEASE_MS)),
  );
  expect(results.filter(({ outcome }) => outcome === 'begun')).toHaveLength(1);
  expect(results.filter(({ outcome }) => outcome === 'leased')).toHaveLength(59);
});

test('the generation is Redis time where nothing is ahead of it', async () => {
  const { states } = await setUp();
  const attempt = begun(await states.begin(POLICY, LEASE_MS));
  expect(attempt.generation).toBe(attempt.now);
});

test.each(['a', 'g'])('the generation is above a stored %s that is ahead of the clock', async (field) => {
  const { states, redis, key, now, unlease } = await setUp();
  const ahead = (await now()) + 3_600_000;
  await redis.hset(key, field, ahead);
  expect(begun(await states.begin(POLICY, LEASE_MS)).generation).toBe(ahead + 1);
  await unlease();
  expect(begun(await states.begin(POLICY, LEASE_MS)).generation).toBe(ahead + 2);
});

test('the generation reaches what is wanted, so that the attempt fulfils it', async () => {
  const { states, redis, key, now } = await setUp();
  const wanted = (await now()) + 50_000;
  await redis.hset(key, 'w', wanted);
  expect(begun(await states.begin(POLICY, LEASE_MS)).generation).toBe(wanted);
});

test('generations stay exact whole numbers far beyond what Lua prints in full', async () => {
  const { states, redis, key } = await setUp();
  await redis.hset(key, 'a', '9007199254740000');
  expect(begun(await states.begin(POLICY, LEASE_MS)).generation).toBe(9007199254740001);
  expect(await redis.hget(key, 'a')).toBe('9007199254740001');
});

test('generations strictly increase, however fast one attempt follows another', async () => {
  const { states, unlease } = await setUp();
  const policy = { ...POLICY, identical: { count: 1000, windowMs: 300_000 } };
  const generations: number[] = [];
  for (let i = 0; i < 50; i++) {
    generations.push(begun(await states.begin(policy, LEASE_MS)).generation);
    await unlease();
  }
  expect(new Set(generations).size).toBe(50);
  expect(generations).toEqual(generations.toSorted((a, b) => a - b));
});

test('what is returned is the state before the attempt', async () => {
  const { states, redis, key } = await setUp();
  await redis.hset(key, {
    ...{ v: 1, g: 1000, a: 2000, w: 3000, b: 'by oncall', i: 400, e: 500, n: 2 },
    ...{ f: 'credential:AADSTS7000215', s: 1500, r: 600, L: '1f,2e', h: 'abcdefgh' },
    ...{ d: 'dddddddd', t: 'tid', c: '{}', x: 'id', p: 700, u: 450, z: 480 },
  });
  expect(begun(await states.begin(POLICY, LEASE_MS)).state).toEqual({
    ...{
      generation: 1000,
      attempted: 2000,
      concluded: 1500,
      wanted: 3000,
      wantedBy: 'by oncall',
      leaseUntil: 0,
    },
    ...{ refreshInMs: 700, readAt: 450, dormantSince: 480 },
    ...{ issuedAt: 400, expiresAt: 500, failures: 2, retryAt: 600, requestLog: [0x1f, 0x2e] },
    ...{ failure: { kind: 'credential', code: 'AADSTS7000215', correlationId: 'id' } },
    ...{ fingerprint: 'abcdefgh', digest: 'dddddddd', tenantId: 'tid', claims: '{}' },
  });
});

test('an attempt that was killed does not use up what an order may do once: get around parking', async () => {
  const { states, now, unlease } = await setUp();
  const failing = begun(await states.begin(POLICY, LEASE_MS));
  await states.fail(POLICY.id, failing.generation, { kind: 'credential', code: 'AADSTS7000215' }, 3_600_000);
  await states.want(POLICY.id, 'by oncall');
  begun(await states.begin(POLICY, LEASE_MS));
  await unlease();
  const [killed] = await states.read([POLICY.id]);
  expect(decide(killed as TargetState, POLICY, await now())).toMatchObject({ reason: 'wanted' });
  const second = begun(await states.begin(POLICY, LEASE_MS));
  await states.fail(POLICY.id, second.generation, { kind: 'credential', code: 'AADSTS7000215' }, 3_600_000);
  const [failed] = await states.read([POLICY.id]);
  expect(decide(failed as TargetState, POLICY, await now())).toMatchObject({ reason: 'backoff' });
});

test('the request is counted by beginning, before anything can be sent', async () => {
  const { states } = await setUp();
  const attempt = begun(await states.begin(POLICY, LEASE_MS));
  expect((await states.read([POLICY.id]))[0]?.requestLog).toEqual([attempt.now]);
});

test('not more than the limit begin in a window, and the answer says when the next may', async () => {
  const { states, unlease } = await setUp();
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    times.push(begun(await states.begin(POLICY, LEASE_MS)).now);
    await unlease();
  }
  expect(await states.begin(POLICY, LEASE_MS)).toMatchObject({
    outcome: 'limited',
    until: (times[0] as number) + 300_000,
  });
});

test('the window slides: what has left it no longer counts and is dropped from the log', async () => {
  const { states, redis, key, now, unlease } = await setUp();
  const at = await now();
  const log = [at - 300_001, at - 200_000, at - 150_000, at - 100_000, at - 50_000];
  await redis.hset(key, 'L', log.map((entry) => entry.toString(16)).join(','));
  const attempt = begun(await states.begin(POLICY, LEASE_MS));
  expect((await states.read([POLICY.id]))[0]?.requestLog).toEqual([...log.slice(1), attempt.now]);
  await unlease();
  expect(await states.begin(POLICY, LEASE_MS)).toMatchObject({ outcome: 'limited', until: at + 100_000 });
});

test('a limit that was lowered counts from the newest requests', async () => {
  const { states, redis, key, now } = await setUp();
  const at = await now();
  const log = [at - 9000, at - 8000, at - 7000, at - 6000].map((entry) => entry.toString(16));
  await redis.hset(key, 'L', log.join(','));
  const lowered = { ...POLICY, identical: { count: 2, windowMs: 10_000 } };
  expect(await states.begin(lowered, LEASE_MS)).toMatchObject({
    outcome: 'limited',
    until: at - 7000 + 10_000,
  });
});

test('two processes that begin as fast as they can, crashing each time, never get more than the limit', async () => {
  const shared = sharedRedis();
  const worlds = await Promise.all([setUp(shared), setUp(shared)]);
  const outcomes: string[] = [];
  const lane = async ({ states, unlease }: World): Promise<void> => {
    for (let i = 0; i < 10; i++) {
      outcomes.push((await states.begin(POLICY, LEASE_MS)).outcome);
      await unlease();
    }
  };
  await Promise.all([...worlds, ...worlds, ...worlds].map(lane));
  expect(outcomes.filter((outcome) => outcome === 'begun')).toHaveLength(5);
  expect(outcomes.filter((outcome) => outcome === 'limited').length).toBeGreaterThan(20);
});

test('further requests of an attempt count against the same limit', async () => {
  const { states } = await setUp();
  const { generation } = begun(await states.begin(POLICY, LEASE_MS));
  for (let i = 0; i < 4; i++) expect(await states.countRequest(POLICY, generation)).toBeTypeOf('number');
  expect(await states.countRequest(POLICY, generation)).toBeUndefined();
  expect((await states.read([POLICY.id]))[0]?.requestLog).toHaveLength(5);
});

test('an attempt that has lost its lease, to time or to another, sends nothing more', async () => {
  const { states, redis, key, now, unlease } = await setUp();
  const first = begun(await states.begin(POLICY, LEASE_MS));
  await redis.hset(key, 'l', (await now()) - 1);
  expect(await states.countRequest(POLICY, first.generation)).toBeUndefined();
  await unlease();
  begun(await states.begin(POLICY, LEASE_MS));
  expect(await states.countRequest(POLICY, first.generation)).toBeUndefined();
  expect((await states.read([POLICY.id]))[0]?.requestLog).toHaveLength(2);
});

test('after Redis has lost the state, a running attempt sends nothing more', async () => {
  const { states, redis, key } = await setUp();
  const { generation } = begun(await states.begin(POLICY, LEASE_MS));
  await redis.del(key);
  expect(await states.countRequest(POLICY, generation)).toBeUndefined();
  await states.release(POLICY.id, generation, 0, generation);
  expect(await redis.exists(key)).toBe(0);
});

test('an attempt that sends nothing gives back its lease, its entry in the log and its generation', async () => {
  const { states, redis, key } = await setUp();
  await redis.hset(key, { a: 1000, L: 'ff' });
  const attempt = begun(await states.begin({ ...POLICY, identical: { count: 5, windowMs: 9e15 } }, LEASE_MS));
  await states.release(POLICY.id, attempt.generation, attempt.state.attempted, attempt.now);
  expect((await states.read([POLICY.id]))[0]).toMatchObject({
    attempted: 1000,
    leaseUntil: 0,
    requestLog: [255],
  });
});

test('giving back drops one entry of the log where two requests fell into one millisecond', async () => {
  const { states, redis, key } = await setUp();
  const attempt = begun(await states.begin(POLICY, LEASE_MS));
  const entry = attempt.now.toString(16);
  await redis.hset(key, 'L', `${entry},${entry}`);
  await states.release(POLICY.id, attempt.generation, 0, attempt.now);
  expect(await redis.hget(key, 'L')).toBe(entry);
});

test('giving back after another attempt has begun changes nothing', async () => {
  const { states, redis, key, unlease } = await setUp();
  const first = begun(await states.begin(POLICY, LEASE_MS));
  await unlease();
  begun(await states.begin(POLICY, LEASE_MS));
  const before = await redis.hgetall(key);
  await states.release(POLICY.id, first.generation, 0, first.now);
  expect(await redis.hgetall(key)).toEqual(before);
});

test('a state that a newer daemon wrote is left alone', async () => {
  const { states, redis, key } = await setUp();
  await redis.hset(key, { v: 2, g: 5, zz: 'unknown here' });
  expect(await states.begin(POLICY, LEASE_MS)).toMatchObject({ outcome: 'newer', version: 2 });
  expect((await states.want(POLICY.id, 'by oncall')).outcome).toBe('newer');
  expect(await redis.hgetall(key)).toEqual({ v: '2', g: '5', zz: 'unknown here' });
});

test('an attempt whose state a newer daemon has taken over sends nothing more, and gives nothing back', async () => {
  const { states, redis, key } = await setUp();
  const attempt = begun(await states.begin(POLICY, LEASE_MS));
  await redis.hset(key, 'v', 2);
  const before = await redis.hgetall(key);
  expect(await states.countRequest(POLICY, attempt.generation)).toBeUndefined();
  await states.release(POLICY.id, attempt.generation, 0, attempt.now);
  expect(await redis.hgetall(key)).toEqual(before);
});
