import { expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { TargetPolicy, TargetState } from '../../src/core/state.ts';
import type { Token } from '../../src/core/token.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { States } from '../../src/store/states.ts';
import { connect, ownRedis, sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const POLICY: TargetPolicy = {
  id: 'billing/contoso.example/graph',
  host: 'idp.example:443',
  tenantScope: 'billing/contoso.example',
  fingerprint: 'f1ngerpr',
  outageTargetMs: 1_200_000,
  retireUnreadAfterMs: 3 * DAY_MS,
  identical: { count: 50, windowMs: 300_000 },
};
const FAILURE = { kind: 'credential', code: 'AADSTS7000215' } as const;
/** How far idle times, which are whole seconds, may be from the truth. */
const SLACK_MS = 3000;

async function setUp(shared: { url: string; namespace: string } = sharedRedis()) {
  const { redis, keys } = await openStore(shared);
  const states = new States(redis, keys);
  const [stateKey, tokenKey] = [keys.state(POLICY.id), keys.token(POLICY.id)];
  const state = async (): Promise<TargetState> => (await states.read([POLICY.id]))[0] as TargetState;
  const begin = async () => {
    await redis.hdel(stateKey, 'l');
    const begun = await states.begin(POLICY, 10_000);
    if (begun.outcome !== 'begun') throw new Error(begun.outcome);
    return begun;
  };
  return {
    ...{ url: shared.url, redis, states, stateKey, tokenKey, state, begin },
    now: () => new Fleet(redis, keys).now(),
    idleMs: async () => (await states.idleMs([POLICY.id]))[0],
    /** Refreshes, as an attempt that succeeds. */
    async publish(policy: TargetPolicy = POLICY): Promise<Token> {
      const token = tokenOf(await begin());
      expect(await states.publish(policy, token)).toBe('published');
      return token;
    },
    /** As if the token had been written, and last read, so much earlier. */
    async age(ms: number): Promise<void> {
      const [value, at] = [await redis.dumpBuffer(tokenKey), await redis.pexpiretime(tokenKey)];
      await redis.restore(tokenKey, at, value, 'REPLACE', 'ABSTTL', 'IDLETIME', Math.floor(ms / 1000));
      const { readAt } = await state();
      await redis.hset(stateKey, 'u', readAt - ms);
    },
  };
}

function tokenOf({ generation, now }: { generation: number; now: number }): Token {
  return {
    ...{ accessToken: new Secret('x'.repeat(2000)), tokenType: 'Bearer', digest: 'AAAAAAAA', tenantId: '' },
    ...{ issuedAt: now, expiresAt: now + HOUR_MS, refreshInMs: 0, generation },
  };
}

test('a token that nobody reads keeps its idle time through all its refreshes', async () => {
  const { redis, publish, age, idleMs, state, tokenKey } = await setUp();
  await publish();
  expect(await idleMs()).toBeLessThan(SLACK_MS);
  const firstIssue = (await state()).readAt;

  await age(50_000);
  for (let refreshes = 0; refreshes < 3; refreshes++) {
    const token = await publish();
    expect(await redis.pexpiretime(tokenKey)).toBe(token.expiresAt);
    expect(await idleMs()).toBeGreaterThanOrEqual(49_000);
    expect(await idleMs()).toBeLessThan(50_000 + SLACK_MS);
    expect(Math.abs((await state()).readAt - (firstIssue - 50_000))).toBeLessThan(SLACK_MS);
  }
  expect(JSON.parse((await redis.get(tokenKey)) ?? '').access_token).toBe('x'.repeat(2000));
});

test('a read shows although it follows at once on a write, and is known after the next one', async () => {
  const { redis, publish, age, idleMs, state, tokenKey, now } = await setUp();
  await publish();
  await age(50_000);
  await publish();
  await redis.get(tokenKey);
  expect(await idleMs()).toBeLessThan(SLACK_MS);
  await publish();
  expect((await state()).readAt).toBeGreaterThan((await now()) - SLACK_MS);
  expect(await idleMs()).toBeLessThan(SLACK_MS);
});

test('asking for idle times, whether a token is there and when it ends is no reading', async () => {
  const { redis, publish, age, idleMs, states, tokenKey } = await setUp();
  await publish();
  await age(50_000);
  await states.hasTokenKey(POLICY.id);
  await states.read([POLICY.id]);
  await states.restore(POLICY, undefined, [1]);
  await redis.pttl(tokenKey);
  expect(await idleMs()).toBeGreaterThanOrEqual(49_000);
  expect(await states.idleMs(['nobody/knows/this'])).toEqual([undefined]);
});

test('who orders a token counts as one who read it', async () => {
  const { publish, age, idleMs, state, states, now } = await setUp();
  await publish();
  await age(50_000);
  await states.want(POLICY.id, 'by oncall');
  await publish();
  expect(await idleMs()).toBeLessThan(SLACK_MS);
  expect((await state()).readAt).toBeGreaterThan((await now()) - SLACK_MS);
});

test('what a server makes up about idle times is not believed beyond what is known', async () => {
  const { redis, publish, age, state, stateKey, now } = await setUp();
  await publish();
  await age(60_000);
  await redis.hset(stateKey, 'u', (await now()) - 7000);
  await publish();
  expect((await state()).readAt).toBeGreaterThan((await now()) - 7000 - SLACK_MS);
});

test('where unread targets do not retire nothing is kept of reads', async () => {
  const { redis, publish, age, idleMs, state, stateKey } = await setUp();
  const off = { ...POLICY, retireUnreadAfterMs: undefined };
  await publish(off);
  expect(await redis.hexists(stateKey, 'u')).toBe(0);
  await publish();
  await age(50_000);
  await publish(off);
  expect(await idleMs()).toBeLessThan(SLACK_MS);
  expect(await state()).toMatchObject({ readAt: 0 });
});

test('the moment at which the server would have a token refreshed is kept, and goes with the token', async () => {
  const { redis, states, begin, state, stateKey } = await setUp();
  await states.publish(POLICY, { ...tokenOf(await begin()), refreshInMs: 1_800_000 });
  expect(await state()).toMatchObject({ refreshInMs: 1_800_000 });
  const next = await begin();
  expect(next.state).toMatchObject({ refreshInMs: 1_800_000 });
  await states.publish(POLICY, tokenOf(next));
  expect(await redis.hexists(stateKey, 'p')).toBe(0);

  const given = tokenOf(await begin());
  await states.restore(POLICY, { ...given, refreshInMs: 900_000 }, []);
  expect(await state()).toMatchObject({ refreshInMs: 900_000 });
  await states.restore(POLICY, { ...given, generation: given.generation + 1 }, []);
  expect(await redis.hexists(stateKey, 'p')).toBe(0);
});

test('a dormant target keeps its token to its end, and its state for far longer', async () => {
  const { redis, publish, states, begin, state, stateKey, tokenKey, now } = await setUp();
  const { generation } = await publish();
  await states.fail(POLICY.id, (await begin()).generation, FAILURE, 1000);
  expect(await states.retire(POLICY.id, generation)).toBe(true);
  const since = (await state()).dormantSince;
  expect(Math.abs(since - (await now()))).toBeLessThan(1000);
  expect(await state()).toMatchObject({ failures: 0, failure: undefined, retryAt: 0 });
  expect(await redis.exists(tokenKey)).toBe(1);

  const isKept = async () => expect(await redis.pttl(stateKey)).toBeGreaterThan(450 * DAY_MS);
  await isKept();
  const begun = await begin();
  await isKept();
  await states.release(POLICY.id, begun.generation, begun.state.attempted, begun.now);
  await states.restore(POLICY, undefined, [1]);
  await isKept();
  await redis.pexpire(stateKey, 1000);
  expect(await states.retire(POLICY.id, generation)).toBe(true);
  await isKept();
  expect((await state()).dormantSince).toBe(since);
});

test('only a new token ends the dormancy, and its state ends as any other', async () => {
  const { redis, publish, states, state, stateKey } = await setUp();
  const { generation } = await publish();
  await states.retire(POLICY.id, generation);
  await states.want(POLICY.id, 'by oncall');
  expect((await state()).dormantSince).toBeGreaterThan(0);
  await publish();
  expect((await state()).dormantSince).toBe(0);
  expect(await redis.pttl(stateKey)).toBeLessThan(4 * DAY_MS);
});

test('nothing is made dormant that has changed since it was looked at', async () => {
  const { redis, publish, states, state, stateKey, begin } = await setUp();
  expect(await states.retire(POLICY.id, 0)).toBe(false);
  const { generation } = await publish();
  const isRefused = async () => {
    expect(await states.retire(POLICY.id, generation)).toBe(false);
    expect((await state()).dormantSince).toBe(0);
  };
  await begin();
  await isRefused();
  await redis.hdel(stateKey, 'l');
  await redis.hset(stateKey, 'v', 2);
  await isRefused();
  await redis.hset(stateKey, 'v', 1);
  await states.want(POLICY.id, 'by oncall');
  await isRefused();
  await publish();
  await isRefused();
});

test('a purge leaves a dormant target dormant, and a removal forgets it', async () => {
  const { redis, publish, states, state, stateKey, tokenKey } = await setUp();
  const { generation } = await publish();
  await states.retire(POLICY.id, generation);
  await states.erase(POLICY.id, false);
  expect(await redis.exists(tokenKey)).toBe(0);
  expect((await state()).dormantSince).toBeGreaterThan(0);
  expect(await redis.pttl(stateKey)).toBeGreaterThan(450 * DAY_MS);
  await states.erase(POLICY.id, true);
  expect((await state()).dormantSince).toBe(0);
  expect(await redis.pttl(stateKey)).toBeLessThanOrEqual(DAY_MS);
});

test('a purge does not forget that somebody has asked for a dormant target', async () => {
  const { publish, states, state } = await setUp();
  const { generation } = await publish();
  await states.retire(POLICY.id, generation);
  await states.want(POLICY.id, 'by a consumer');
  await states.erase(POLICY.id, false);
  expect(await state()).toMatchObject({ dormantSince: 0, expiresAt: 0 });
});

test('a token that a process gives back is no longer dormant', async () => {
  const { publish, states, state, begin } = await setUp();
  const { generation } = await publish();
  await states.retire(POLICY.id, generation);
  await states.restore(POLICY, tokenOf(await begin()), []);
  expect((await state()).dormantSince).toBe(0);
});

test('under an LFU policy nothing is known of reads, so every write counts as one', async () => {
  const own = await ownRedis();
  const { redis, publish, idleMs, state, states, stateKey, now } = await setUp({
    url: own.url,
    namespace: 'lfu',
  });
  expect(await states.whyReadsAreUnknown()).toBeUndefined();
  await publish();
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lfu');
  expect(await states.whyReadsAreUnknown()).toMatch(/LFU/);
  await redis.hset(stateKey, 'u', 1000);
  await publish();
  expect(await idleMs()).toBeUndefined();
  expect((await state()).readAt).toBeGreaterThan((await now()) - SLACK_MS);
});

test.each([
  ['that may not RESTORE', '-restore', false],
  ['that may not DUMP', '-dump', false],
  ['that may not ask for idle times', '-object', false],
  ['as the documentation has it', '-@dangerous +info +restore', true],
])('a user %s refreshes on', async (_what, rules, knows) => {
  const own = await ownRedis();
  const admin = connect(own.url);
  await admin.call('ACL', 'SETUSER', 'daemon', 'on', '>secret', '~*', '&*', '+@all', ...rules.split(' '));
  const url = own.url.replace('redis://', 'redis://daemon:secret@');
  const { publish, state, states, stateKey, idleMs, now } = await setUp({ url, namespace: 'acl' });
  expect((await states.whyReadsAreUnknown()) === undefined).toBe(knows);
  await publish();
  await admin.hset(stateKey, 'u', (await now()) - 100_000);
  await publish();
  const unreadMs = Math.min((await idleMs()) ?? 0, (await now()) - (await state()).readAt);
  expect(unreadMs).toBeLessThan(SLACK_MS);
});

test('after a restart of Redis a token counts as read, for a file does not tell of reads', async () => {
  const own = await ownRedis({ persistent: true });
  const { publish, age, idleMs } = await setUp({ url: own.url, namespace: 'file' });
  await publish();
  await age(50_000);
  await publish();
  expect(await idleMs()).toBeGreaterThanOrEqual(49_000);
  await own.restart();
  const { idleMs: idleAfterwards, tokenKey, redis } = await setUp({ url: own.url, namespace: 'file' });
  expect(await redis.exists(tokenKey)).toBe(1);
  expect(await idleAfterwards()).toBeLessThan(SLACK_MS);
});
