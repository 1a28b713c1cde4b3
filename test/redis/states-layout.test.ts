import { readdirSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import { seeCredentials } from '../../src/core/credential-marks.ts';
import { Secret } from '../../src/core/secret.ts';
import type { TargetPolicy } from '../../src/core/state.ts';
import type { Token } from '../../src/core/token.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Gates } from '../../src/store/gates.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { Marks } from '../../src/store/marks.ts';
import { States } from '../../src/store/states.ts';
import { connect, ownRedis, sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const POLICY: TargetPolicy = {
  id: 'billing/22222222-2222-4222-8222-222222222222/graph',
  host: 'idp.example:443',
  tenantScope: 'billing/22222222-2222-4222-8222-222222222222',
  fingerprint: 'f1ngerpr',
  outageTargetMs: 1_200_000,
  identical: { count: 5, windowMs: 300_000 },
};
const DAY_MS = 86_400_000;
const FAILURE = { kind: 'configuration', code: 'unsupported_grant_type' } as const;

interface World {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly states: States;
  readonly stateKey: string;
}

async function setUp(shared: { url: string; namespace: string } = sharedRedis()): Promise<World> {
  const { redis, keys } = await openStore(shared);
  return { redis, keys, states: new States(redis, keys), stateKey: keys.state(POLICY.id) };
}

async function begin({ states, redis, stateKey }: World): Promise<{ generation: number; now: number }> {
  await redis.hdel(stateKey, 'l');
  const result = await states.begin(POLICY, 10_000);
  if (result.outcome !== 'begun') throw new Error(result.outcome);
  return result;
}

function tokenOf({ generation, now }: { generation: number; now: number }, lifeMs = 3_600_000): Token {
  const accessToken = new Secret('x'.repeat(2000));
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

test('every script that makes a state gives it an end', async () => {
  const world = await setUp();
  const { states, redis, stateKey } = world;
  const makers: Record<string, () => Promise<unknown>> = {
    begin: () => begin(world),
    want: () => states.want(POLICY.id, 'by oncall'),
    publish: () => states.publish(POLICY, tokenOf({ generation: 5, now: Date.now() })),
    fail: () => states.fail(POLICY.id, 5, FAILURE, 1000),
    purge: () => states.erase(POLICY.id, false),
    forget: () => states.erase(POLICY.id, true),
    restore: () => states.restore(POLICY, tokenOf({ generation: 5, now: Date.now() }), [1]),
    'restore of a log': () => states.restore(POLICY, undefined, [1]),
    retire: async () => {
      await states.publish(POLICY, tokenOf({ generation: 5, now: Date.now() }));
      await redis.persist(stateKey);
      await states.retire(POLICY.id, 5);
    },
  };
  for (const [name, make] of Object.entries(makers)) {
    await redis.del(stateKey);
    await make();
    expect(await redis.pttl(stateKey), name).toBeGreaterThan(DAY_MS - 60_000);
  }
});

test('scripts that only conclude make no state', async () => {
  const { states, redis, stateKey } = await setUp();
  await states.countRequest(POLICY, 5);
  await states.release(POLICY.id, 5, 0, 5);
  await states.retire(POLICY.id, 5);
  expect(await states.read([POLICY.id])).toHaveLength(1);
  expect(await redis.exists(stateKey)).toBe(0);
});

test('a state outlives its token by days, and no later attempt, order or failure shortens that', async () => {
  const world = await setUp();
  const { states, redis, stateKey } = world;
  const least = 30 * DAY_MS + 2 * DAY_MS;
  await states.publish(POLICY, tokenOf(await begin(world), 30 * DAY_MS));
  expect(await redis.pttl(stateKey)).toBeGreaterThan(least);
  const { generation } = await begin(world);
  await states.fail(POLICY.id, generation, FAILURE, 1000);
  await states.want(POLICY.id, 'by oncall');
  expect(await redis.pttl(stateKey)).toBeGreaterThan(least);
});

test('the state of a target with a full log and everything set stays a compact hash', async () => {
  const world = await setUp();
  const { states, redis, stateKey } = world;
  for (let i = 0; i < 5; i++) {
    const attempt = await begin(world);
    if (i < 2) await states.publish(POLICY, tokenOf(attempt));
    else await states.fail(POLICY.id, attempt.generation, { ...FAILURE, correlationId: POLICY.id }, 60_000);
    await states.want(POLICY.id, 'by a consumer: rejected by the resource');
  }
  const state = await redis.hgetall(stateKey);
  expect(Object.keys(state).sort().join('')).toBe('Labdefghinrsvwx');
  expect(state.L?.split(',')).toHaveLength(5);
  expect(await redis.object('ENCODING', stateKey)).toBe('listpack');
});

test('scripts run on a server that has forgotten them', async () => {
  const own = await ownRedis();
  const world = await setUp({ url: own.url, namespace: 'flushed' });
  const { states, redis } = world;
  await states.publish(POLICY, tokenOf(await begin(world)));
  await redis.script('FLUSH');
  const attempt = await begin(world);
  await redis.script('FLUSH');
  expect(await states.publish(POLICY, tokenOf(attempt))).toBe('published');
  await redis.script('FLUSH');
  expect(await Promise.all(Array.from({ length: 20 }, () => states.erase(POLICY.id, false)))).toContain(true);
});

test('all keys of one script are in one slot of a cluster', async () => {
  const { redis, keys, states } = await setUp();
  const evalsha = vi.spyOn(redis, 'evalsha');
  const indexes = new Indexes(redis, keys, 'refresh');
  const fleet = new Fleet(redis, keys);
  const gates = new Gates(redis, keys);
  const begun = await states.begin(POLICY, 1000);
  const token = tokenOf({ generation: begun.now + 10, now: begun.now });
  await states.countRequest(POLICY, 1);
  await states.release(POLICY.id, 1, 0, 1);
  await states.publish(POLICY, token);
  await states.fail(POLICY.id, 1, FAILURE, 1);
  await states.want(POLICY.id, 'by oncall');
  await states.restore(POLICY, token, []);
  await states.erase(POLICY.id, true);
  await states.retire(POLICY.id, 1);
  await states.whyReadsAreUnknown();
  await fleet.beginEpoch('one', 0);
  await fleet.view(1000);
  await fleet.setTenantIntervals(new Map([['billing', 1]]));
  await fleet.pause({ select: 'billing/*/graph', all: false, until: 1, by: 'oncall' });
  await fleet.pauses(begun.now);
  await indexes.dispatch('one', POLICY.host, { count: 1, windowMs: 1 }, 1, []);
  await indexes.enter(POLICY, 'job');
  await new Marks(redis, keys).change('billing', (marks, now) => seeCredentials(marks, ['abcdefgh'], now));
  await indexes.enlist(POLICY.host, [{ target: POLICY.id, dueAt: 1 }]);
  await indexes.hosts();
  await indexes.plan(POLICY.host, POLICY.id, 1, 1, [1, 2]);
  await indexes.giveBack(POLICY.host, POLICY.id, 1, { count: 1, windowMs: 1 }, 1);
  const event = {
    kind: 'unreachable',
    tenant: 'a',
    startedAt: begun.now,
    ceiling: 1,
    code: 'x',
    isAnswered: false,
  } as const;
  await gates.report({ host: POLICY.host }, event, begun.now);

  const scripts = evalsha.mock.calls.map(([sha, count, ...rest]) => ({
    sha: String(sha),
    keys: rest.slice(0, Number(count)).map(String),
  }));
  // `pace.lua` is the beginning of others.
  const all = readdirSync(new URL('../../src/store/lua', import.meta.url)).filter(
    (name) => name !== 'pace.lua',
  );
  expect(new Set(scripts.map(({ sha }) => sha)).size).toBe(all.length);
  const slot = await slots();
  const slotsOf = async (names: readonly string[]): Promise<Set<unknown>> =>
    new Set(await Promise.all(names.map(slot)));
  for (const script of scripts) expect((await slotsOf(script.keys)).size, script.keys.join(' ')).toBe(1);
  // A script makes the names of tenants' gates itself.
  expect(await slotsOf([keys.tenantGate(POLICY.tenantScope), keys.due(POLICY.host)])).toHaveProperty(
    'size',
    1,
  );
});

test("a target's state is in the slot of its token key, and many targets are in many slots", async () => {
  const keys = new Keys('evertoken');
  const slot = await slots();
  const targets = Array.from({ length: 50 }, (_, i) => `billing/tenant-${i}.example/graph`);
  const pairs = await Promise.all(
    targets.map(async (target) => [await slot(keys.token(target)), await slot(keys.state(target))]),
  );
  for (const [token, state] of pairs) expect(token).toBe(state);
  expect(new Set(pairs.flat()).size).toBeGreaterThan(40);
});

/** What a cluster says of a key's slot. */
async function slots(): Promise<(key: string) => Promise<unknown>> {
  const node = connect((await ownRedis({ args: ['--cluster-enabled', 'yes'] })).url);
  return (key) => node.call('CLUSTER', 'KEYSLOT', key);
}
