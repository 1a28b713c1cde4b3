import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { TargetPolicy, TargetState } from '../../src/core/state.ts';
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
  identical: { count: 50, windowMs: 300_000 },
};
const FAILURE = { kind: 'transient', code: 'HTTP 503' } as const;

interface World {
  readonly url: string;
  readonly redis: Redis;
  readonly states: States;
  readonly keys: Keys;
  readonly stateKey: string;
  readonly tokenKey: string;
  now(): Promise<number>;
  /** Begins an attempt although another may be running, as happens when that one's lease has ended. */
  begin(): Promise<{ generation: number; now: number }>;
  state(): Promise<TargetState>;
  /** Everything that an attempt could change. */
  everything(): Promise<unknown>;
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
      await redis.hdel(stateKey, 'l');
      const result = await states.begin(POLICY, 10_000);
      if (result.outcome !== 'begun') throw new Error(result.outcome);
      return result;
    },
    state: async () => (await states.read([POLICY.id]))[0] as TargetState,
    everything: async () => [
      await redis.hgetall(stateKey),
      await redis.get(tokenKey),
      await redis.pexpiretime(tokenKey),
    ],
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

test("the token's record is the contract's JSON and nothing else", async () => {
  const { states, redis, tokenKey, begin } = await setUp();
  const attempt = await begin();
  expect(await states.publish(POLICY, { ...tokenOf(attempt), expiresAt: attempt.now + 3_599_999 })).toBe(
    'published',
  );
  expect(await redis.get(tokenKey)).toBe(
    JSON.stringify({
      v: 1,
      access_token: `token of ${attempt.generation}`,
      token_type: 'Bearer',
      expires_at: Math.floor((attempt.now + 3_599_999) / 1000),
      refreshed_at: Math.floor(attempt.now / 1000),
      generation: attempt.generation,
    }),
  );
});

test("the key ends with the token's life, so that a key that is there is a token that lives", async () => {
  const { states, redis, tokenKey, begin } = await setUp();
  const token = tokenOf(await begin(), 600_123);
  await states.publish(POLICY, token);
  expect(await redis.pexpiretime(tokenKey)).toBe(token.expiresAt);
});

test('each new token is told of on the channel, once', async () => {
  const { url, states, keys, begin } = await setUp();
  const subscriber = connect(url);
  const messages: string[] = [];
  subscriber.on('message', (channel, message) => messages.push(`${channel} ${message}`));
  await subscriber.subscribe(keys.refreshed);
  const attempt = await begin();
  await states.publish(POLICY, tokenOf(attempt));
  await states.publish(POLICY, tokenOf(attempt));
  await subscriber.unsubscribe(keys.refreshed);
  expect(messages).toEqual([`${keys.refreshed} ${POLICY.id} ${attempt.generation}`]);
});

test('a new token ends the lease and clears the failures', async () => {
  const { states, begin, state } = await setUp();
  const first = await begin();
  await states.fail(POLICY.id, first.generation, FAILURE, 60_000);
  const second = await begin();
  await states.publish(POLICY, tokenOf(second));
  expect(await state()).toMatchObject({
    ...{ generation: second.generation, attempted: second.generation, leaseUntil: 0 },
    ...{ issuedAt: second.now, expiresAt: second.now + 3_600_000, fingerprint: POLICY.fingerprint },
    ...{ failures: 0, failure: undefined, retryAt: 0 },
  });
});

test('an older token changes nothing: neither the token nor its status nor the lease of who is running', async () => {
  const { states, begin, everything } = await setUp();
  const late = await begin();
  await states.publish(POLICY, tokenOf(await begin()));
  const newest = await begin();
  const before = await everything();
  expect(await states.publish(POLICY, tokenOf(late, 9_000_000))).toBe('stale');
  expect(await everything()).toEqual(before);
  expect(await states.countRequest(POLICY, newest.generation)).toBeTypeOf('number');
});

test('a token that is dead on arrival is refused, and the live key survives it', async () => {
  const { states, redis, tokenKey, begin, everything } = await setUp();
  const first = await begin();
  await states.publish(POLICY, tokenOf(first));
  const second = await begin();
  const before = await everything();
  expect(await states.publish(POLICY, tokenOf({ ...second, now: second.now - 3_600_001 }))).toBe('dead');
  expect(await states.publish(POLICY, tokenOf(second, 0))).toBe('dead');
  expect(await everything()).toEqual(before);
  expect(await redis.get(tokenKey)).toContain(`token of ${first.generation}`);
});

test('a publication whose answer was lost is done once and counts as done when it is said again', async () => {
  const { states, begin, everything } = await setUp();
  const token = tokenOf(await begin());
  expect(await states.publish(POLICY, token)).toBe('published');
  const before = await everything();
  expect(await states.publish(POLICY, token)).toBe('published');
  expect(await everything()).toEqual(before);
});

test('a slow attempt may still publish while a later one is running, and leaves that one its lease', async () => {
  const { states, redis, tokenKey, begin, state } = await setUp();
  const slow = await begin();
  const running = await begin();
  expect(await states.publish(POLICY, tokenOf(slow))).toBe('published');
  expect(await state()).toMatchObject({ generation: slow.generation, attempted: running.generation });
  expect((await state()).leaseUntil).toBe(running.now + 10_000);
  expect(await states.publish(POLICY, tokenOf(running))).toBe('published');
  expect(await redis.get(tokenKey)).toContain(`token of ${running.generation}`);
});

test('a slow attempt that publishes does not clear the failure of a later one', async () => {
  const { states, begin, state } = await setUp();
  const slow = await begin();
  const later = await begin();
  await states.fail(POLICY.id, later.generation, FAILURE, 60_000);
  await states.publish(POLICY, tokenOf(slow));
  expect(await state()).toMatchObject({ generation: slow.generation, failures: 1, failure: FAILURE });
});

test('what is wanted is done when a generation reaches it, and not before', async () => {
  const { states, begin, state } = await setUp();
  const before = await begin();
  await states.want(POLICY.id, 'by oncall');
  await states.publish(POLICY, tokenOf(before));
  const { wanted } = await state();
  expect(wanted).toBeGreaterThan(before.generation);
  const after = await begin();
  await states.publish(POLICY, tokenOf(after));
  expect(after.generation).toBeGreaterThanOrEqual(wanted);
  expect(await state()).toMatchObject({ wanted: 0, wantedBy: '' });
});

test('a failure notes its kind, its code and when to try again, ends the lease and leaves the token alone', async () => {
  const { states, redis, tokenKey, begin, state, now } = await setUp();
  const first = await begin();
  await states.publish(POLICY, tokenOf(first));
  const { generation } = await begin();
  const earliest = await now();
  const retryAt = await states.fail(POLICY.id, generation, { kind: 'tenant', code: 'AADSTS90002' }, 30_000.4);
  expect(retryAt).toBeGreaterThanOrEqual(earliest + 30_000);
  expect(retryAt).toBeLessThanOrEqual((await now()) + 30_000);
  expect(await state()).toMatchObject({
    ...{ failures: 1, failure: { kind: 'tenant', code: 'AADSTS90002' }, retryAt, leaseUntil: 0 },
    ...{ generation: first.generation, expiresAt: first.now + 3_600_000 },
  });
  expect(await redis.get(tokenKey)).toContain(`token of ${first.generation}`);
});

test('failures in a row are counted', async () => {
  const { states, begin, state } = await setUp();
  for (let i = 0; i < 3; i++) await states.fail(POLICY.id, (await begin()).generation, FAILURE, 1000);
  expect((await state()).failures).toBe(3);
});

test('a failure changes nothing after a later failure or a newer token, nor after its own token', async () => {
  const { states, begin, everything } = await setUp();
  const [late, later] = [await begin(), await begin()];
  await states.fail(POLICY.id, later.generation, FAILURE, 60_000);
  const failed = await everything();
  expect(await states.fail(POLICY.id, late.generation, FAILURE, 1)).toBeUndefined();
  expect(await everything()).toEqual(failed);

  const best = await begin();
  await states.publish(POLICY, tokenOf(best));
  const published = await everything();
  for (const { generation } of [late, later, best])
    expect(await states.fail(POLICY.id, generation, FAILURE, 1)).toBeUndefined();
  expect(await everything()).toEqual(published);
});

test('a failure of an attempt that was overtaken changes nothing while the later one is running', async () => {
  const { states, begin, everything } = await setUp();
  const slow = await begin();
  await begin();
  const before = await everything();
  expect(await states.fail(POLICY.id, slow.generation, FAILURE, 3_600_000)).toBeUndefined();
  expect(await everything()).toEqual(before);
});

test('a late conclusion by an older daemon leaves a newer state, its token and its end alone', async () => {
  const { states, redis, stateKey, begin, everything } = await setUp();
  await states.publish(POLICY, tokenOf(await begin()));
  const attempt = await begin();
  await redis.hset(stateKey, 'v', 2);
  const before = await everything();
  const later = tokenOf({ ...attempt, generation: attempt.generation + 1 });
  expect(await states.publish(POLICY, tokenOf(attempt))).toBe('stale');
  expect(await states.fail(POLICY.id, attempt.generation, FAILURE, 1000)).toBeUndefined();
  expect(await states.restore(POLICY, later, [attempt.now - 1])).toBe(false);
  expect(await states.restore(POLICY, undefined, [attempt.now - 1])).toBe(false);
  expect(await everything()).toEqual(before);
});

test.each([false, true])(
  'an older daemon deletes the token of a newer state, raises its floor and touches nothing else (forget: %s)',
  async (forget) => {
    const { states, redis, stateKey, tokenKey, begin } = await setUp();
    await states.publish(POLICY, tokenOf(await begin()));
    await begin();
    await redis.hset(stateKey, { v: 2, zz: 'unknown here' });
    const before = await redis.hgetall(stateKey);
    const endsAt = await redis.pexpiretime(stateKey);
    expect(await states.erase(POLICY.id, forget)).toBe(true);
    expect(await redis.exists(tokenKey)).toBe(0);
    const { g, a } = await redis.hgetall(stateKey);
    expect(Number(g)).toBeGreaterThan(Number(before.a));
    expect(await redis.hgetall(stateKey)).toEqual({ ...before, g, a: g });
    expect(a).toBe(g);
    expect(await redis.pexpiretime(stateKey)).toBe(endsAt);
  },
);
