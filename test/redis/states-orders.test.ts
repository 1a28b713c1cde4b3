import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { isWanted, type TargetPolicy, type TargetState } from '../../src/core/state.ts';
import type { Token } from '../../src/core/token.ts';
import { Fleet } from '../../src/store/fleet.ts';
import type { Keys } from '../../src/store/keys.ts';
import { States } from '../../src/store/states.ts';
import { connect, sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const POLICY: TargetPolicy = {
  id: 'billing/contoso.example/graph',
  host: 'idp.example:443',
  tenantScope: 'billing/contoso.example',
  fingerprint: 'f1ngerpr',
  outageTargetMs: 1_200_000,
  identical: { count: 5, windowMs: 300_000 },
};
const DAY_MS = 86_400_000;

interface World {
  readonly url: string;
  readonly redis: Redis;
  readonly states: States;
  readonly keys: Keys;
  readonly stateKey: string;
  readonly tokenKey: string;
  now(): Promise<number>;
  begin(): Promise<{ generation: number; now: number }>;
  state(): Promise<TargetState>;
}

async function setUp(): Promise<World> {
  const { url, namespace } = sharedRedis();
  const { redis, keys } = await openStore({ url, namespace });
  const [stateKey, tokenKey] = [keys.state(POLICY.id), keys.token(POLICY.id)];
  const states = new States(redis, keys);
  const fleet = new Fleet(redis, keys);
  return {
    ...{ url, redis, states, keys, stateKey, tokenKey },
    now: () => fleet.now(),
    async begin() {
      const result = await states.begin(POLICY, 10_000);
      if (result.outcome !== 'begun') throw new Error(result.outcome);
      return result;
    },
    state: async () => (await states.read([POLICY.id]))[0] as TargetState,
  };
}

function tokenOf({ generation, now }: { generation: number; now: number }, lifeMs = 3_600_000): Token {
  const accessToken = new Secret(`token of ${generation}`);
  const times = { issuedAt: now, expiresAt: now + lifeMs };
  return {
    accessToken,
    tokenType: 'Bearer',
    ...times,
    refreshInMs: 0,
    generation,
    digest: 'AAAAAAAA',
    tenantId: '',
  };
}

test('an order is newer than every attempt that began before it, and is fulfilled by the next', async () => {
  const { states, begin, state } = await setUp();
  const running = await begin();
  await states.want(POLICY.id, 'by oncall: secret rotated');
  expect((await state()).wanted).toBeGreaterThan(running.generation);
  await states.publish(POLICY, tokenOf(running));
  expect(isWanted(await state())).toBe(true);
  expect((await state()).wantedBy).toBe('by oncall: secret rotated');
  expect((await begin()).generation).toBeGreaterThanOrEqual((await state()).wanted);
});

test('saying one order twice is saying it once, also after it was fulfilled', async () => {
  const { states, begin, state, now } = await setUp();
  const order = (await now()) + 1;
  expect(await states.want(POLICY.id, 'by one', order)).toEqual({ outcome: 'wanted', generation: order });
  expect(await states.want(POLICY.id, 'by another', order)).toEqual({ outcome: 'wanted', generation: order });
  expect(await state()).toMatchObject({ wanted: order, wantedBy: 'by one' });
  await states.publish(POLICY, tokenOf(await begin()));
  await states.want(POLICY.id, 'by one', order);
  expect(isWanted(await state())).toBe(false);
});

test('an older order does not take back a newer one', async () => {
  const { states, state, now } = await setUp();
  const order = (await now()) + 5000;
  await states.want(POLICY.id, 'by one', order);
  await states.want(POLICY.id, 'by another', order - 1000);
  expect(await state()).toMatchObject({ wanted: order, wantedBy: 'by one' });
});

test('a rejection counts only against the generation that is published', async () => {
  const { states, begin, state } = await setUp();
  expect((await states.want(POLICY.id, 'by a consumer', 0, 77)).outcome).toBe('superseded');
  const attempt = await begin();
  await states.publish(POLICY, tokenOf(attempt));
  expect(await states.want(POLICY.id, 'by a consumer', 0, attempt.generation - 1)).toEqual({
    outcome: 'superseded',
    generation: attempt.generation,
  });
  expect(isWanted(await state())).toBe(false);
  expect((await states.want(POLICY.id, 'by a consumer', 0, attempt.generation)).outcome).toBe('wanted');
  expect(isWanted(await state())).toBe(true);
});

test('after the clock went back an order still asks for more than what was attempted before it', async () => {
  const { states, redis, stateKey, state, now } = await setUp();
  const ahead = (await now()) + 3_600_000;
  await redis.hset(stateKey, { g: ahead, a: ahead });
  await states.want(POLICY.id, 'by oncall');
  expect((await state()).wanted).toBe(ahead + 1);
  expect(isWanted(await state())).toBe(true);
});

test('what is remembered of who wanted it is short, and no half of a character', async () => {
  const { states, redis, stateKey, state } = await setUp();
  await states.want(POLICY.id, `by ${'ü'.repeat(400)}`);
  expect(Buffer.byteLength((await state()).wantedBy)).toBeLessThanOrEqual(64);
  expect((await state()).wantedBy).toMatch(/^by ü+…$/);
  expect(await redis.object('ENCODING', stateKey)).toBe('listpack');
});

test('a purge deletes the token at once and fences off what is being acquired', async () => {
  const { states, redis, tokenKey, begin, state } = await setUp();
  await states.publish(POLICY, tokenOf(await begin()));
  const running = await begin();
  expect(await states.erase(POLICY.id, false)).toBe(true);
  expect(await redis.exists(tokenKey)).toBe(0);
  expect(await states.publish(POLICY, tokenOf(running))).toBe('stale');
  expect(await redis.exists(tokenKey)).toBe(0);
  expect(await state()).toMatchObject({ issuedAt: 0, expiresAt: 0, leaseUntil: 0, fingerprint: '' });
  expect(await states.erase(POLICY.id, false)).toBe(false);
});

test('a purge fences off a running attempt whose generation is ahead of the clock', async () => {
  const { states, redis, stateKey, tokenKey, begin, now } = await setUp();
  await redis.hset(stateKey, 'a', (await now()) + 3_600_000);
  const running = await begin();
  await states.erase(POLICY.id, false);
  expect(await states.publish(POLICY, tokenOf({ ...running, now: await now() }))).toBe('stale');
  expect(await redis.exists(tokenKey)).toBe(0);
});

test('after a purge the next attempt publishes, and its requests were not forgotten', async () => {
  const { states, redis, tokenKey, begin, state } = await setUp();
  const first = await begin();
  await states.erase(POLICY.id, false);
  const second = await begin();
  expect(second.generation).toBeGreaterThan(first.generation);
  expect(await states.publish(POLICY, tokenOf(second))).toBe('published');
  expect(await redis.get(tokenKey)).toContain(`token of ${second.generation}`);
  expect((await state()).requestLog).toEqual([first.now, second.now]);
});

test('a purge ends failures and orders', async () => {
  const { states, begin, state } = await setUp();
  const { generation } = await begin();
  await states.fail(POLICY.id, generation, { kind: 'credential', code: 'AADSTS7000215' }, 60_000);
  await states.want(POLICY.id, 'by oncall');
  await states.erase(POLICY.id, false);
  expect(await state()).toMatchObject({
    failures: 0,
    failure: undefined,
    retryAt: 0,
    wanted: 0,
    wantedBy: '',
  });
  expect(await states.fail(POLICY.id, generation, { kind: 'transient', code: 'timeout' }, 1)).toBeUndefined();
});

test('what is left of a removed target goes within a day, however long its token lived', async () => {
  const { states, redis, stateKey, begin } = await setUp();
  await states.publish(POLICY, tokenOf(await begin(), 30 * DAY_MS));
  await states.erase(POLICY.id, true);
  expect(await redis.pttl(stateKey)).toBeLessThanOrEqual(DAY_MS);
  expect(await redis.pttl(stateKey)).toBeGreaterThan(DAY_MS - 60_000);
});

test('an emptied Redis is given back the token, its end, its generation and the log', async () => {
  const { states, redis, stateKey, tokenKey, begin, state } = await setUp();
  const attempt = await begin();
  const token = tokenOf(attempt);
  await states.publish(POLICY, token);
  const [record, before] = [await redis.get(tokenKey), await state()];
  await redis.del(tokenKey, stateKey);
  expect(await states.restore(POLICY, token, [attempt.now])).toBe(true);
  expect(await redis.get(tokenKey)).toBe(record);
  expect(await redis.pexpiretime(tokenKey)).toBe(token.expiresAt);
  expect(await state()).toEqual(before);
  expect((await begin()).generation).toBeGreaterThan(attempt.generation);
});

test('what is given back never replaces a newer token, nor one of the same generation', async () => {
  const { states, redis, tokenKey, begin, now } = await setUp();
  const attempt = await begin();
  await states.publish(POLICY, tokenOf(attempt));
  const record = await redis.get(tokenKey);
  const at = await now();
  expect(await states.restore(POLICY, tokenOf({ generation: attempt.generation - 1, now: at }), [])).toBe(
    false,
  );
  expect(await states.restore(POLICY, tokenOf({ generation: attempt.generation, now: at }), [])).toBe(false);
  expect(await redis.get(tokenKey)).toBe(record);
  expect(await redis.pexpiretime(tokenKey)).toBe(attempt.now + 3_600_000);
});

test('a dead token is not given back, and does not delete the live one', async () => {
  const { states, redis, tokenKey, begin, now } = await setUp();
  const attempt = await begin();
  await states.publish(POLICY, tokenOf(attempt));
  const dead = tokenOf({ generation: attempt.generation + 5, now: (await now()) - 10_000 }, 9000);
  expect(await states.restore(POLICY, dead, [])).toBe(false);
  expect(await redis.get(tokenKey)).toContain(`token of ${attempt.generation}`);
});

test('a purged token is not given back by who still remembers it', async () => {
  const { states, redis, tokenKey, begin } = await setUp();
  const token = tokenOf(await begin());
  await states.publish(POLICY, token);
  await states.erase(POLICY.id, false);
  expect(await states.restore(POLICY, token, [])).toBe(false);
  expect(await redis.exists(tokenKey)).toBe(0);
});

test('logs are merged in order and without duplicates, and the merged log limits', async () => {
  const { states, redis, stateKey, state, now } = await setUp();
  const at = await now();
  const [one, two, three, four, five] = [5, 4, 3, 2, 1].map((s) => at - s * 1000) as [
    number,
    number,
    number,
    number,
    number,
  ];
  await redis.hset(stateKey, 'L', [one, three, five].map((entry) => entry.toString(16)).join(','));
  await states.restore(POLICY, undefined, [one, two, four, five]);
  expect((await state()).requestLog).toEqual([one, two, three, four, five]);
  expect(await states.begin(POLICY, 10_000)).toMatchObject({ outcome: 'limited', until: one + 300_000 });
});

test('what has left the window is not given back, so that the state stays small', async () => {
  const { states, redis, stateKey, state, now } = await setUp();
  const at = await now();
  const old = Array.from({ length: 20 }, (_, i) => at - 400_000 + i);
  await states.restore(POLICY, undefined, [...old, at - 1000]);
  expect((await state()).requestLog).toEqual([at - 1000]);
  expect(await redis.object('ENCODING', stateKey)).toBe('listpack');
});

test('a token that Redis could not take at the time concludes its attempt when it is given back', async () => {
  const { url, states, keys, begin, state } = await setUp();
  const subscriber = connect(url);
  const messages: string[] = [];
  subscriber.on('message', (_channel, message) => messages.push(message));
  await subscriber.subscribe(keys.refreshed);
  const failed = await begin();
  await states.fail(POLICY.id, failed.generation, { kind: 'transient', code: 'timeout' }, 60_000);
  await states.want(POLICY.id, 'by oncall');
  const attempt = await begin();
  await states.restore(POLICY, tokenOf(attempt), [attempt.now]);
  expect(await state()).toMatchObject({
    ...{ generation: attempt.generation, failures: 0, failure: undefined, retryAt: 0 },
    ...{ wanted: 0, wantedBy: '', leaseUntil: 0 },
  });
  await subscriber.unsubscribe(keys.refreshed);
  expect(messages).toEqual([`${POLICY.id} ${attempt.generation}`]);
});

test('giving back an older token leaves a later attempt its lease and its failure', async () => {
  const { states, redis, stateKey, begin, state } = await setUp();
  const older = await begin();
  await redis.hdel(stateKey, 'l');
  const failed = await begin();
  await states.fail(POLICY.id, failed.generation, { kind: 'transient', code: 'timeout' }, 60_000);
  const running = await begin();
  expect(await states.restore(POLICY, tokenOf(older), [])).toBe(true);
  expect(await state()).toMatchObject({
    failures: 1,
    leaseUntil: running.now + 10_000,
    attempted: running.generation,
  });
});
