import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { checkServer, whenReady } from '../../src/store/connection.ts';
import { Fleet, type ProcessInfo } from '../../src/store/fleet.ts';
import type { Keys } from '../../src/store/keys.ts';
import { connect, ownRedis, sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const LIVE_MS = 10_000;

interface World {
  readonly url: string;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly fleet: Fleet;
}

async function setUp(shared: { url: string; namespace: string } = sharedRedis()): Promise<World> {
  const { redis, keys } = await openStore(shared);
  return { url: shared.url, redis, keys, fleet: new Fleet(redis, keys) };
}

const processOf = (id: string): ProcessInfo => ({
  ...{ id, role: 'all', host: 'here', pid: 1, version: '0.1.0', configHash: 'abc', startedAt: 5 },
});

const idsOf = (view: { processes: readonly ProcessInfo[] }): string[] =>
  view.processes.map(({ id }) => id).sort();

test('who beats is seen by all, with what it says of itself last', async () => {
  const { fleet } = await setUp();
  await fleet.heartbeat(processOf('one'), LIVE_MS);
  const view = await fleet.heartbeat(processOf('two'), LIVE_MS);
  expect(idsOf(view)).toEqual(['one', 'two']);
  await fleet.heartbeat({ ...processOf('one'), configHash: 'changed' }, LIVE_MS);
  const one = (await fleet.view(LIVE_MS)).processes.find(({ id }) => id === 'one');
  expect(one).toEqual({ ...processOf('one'), configHash: 'changed' });
});

test('who has not beaten for long is dropped by whoever looks next, and nothing of it stays', async () => {
  const { fleet, redis, keys } = await setUp();
  for (let i = 0; i < 50; i++) await fleet.heartbeat(processOf(`dead-${i}`), LIVE_MS);
  const { now } = await fleet.heartbeat(processOf('one'), LIVE_MS);
  for (let i = 0; i < 50; i++) await redis.zadd(keys.processes, now - LIVE_MS, `dead-${i}`);
  expect(idsOf(await fleet.view(LIVE_MS))).toEqual(['one']);
  expect(await redis.zrange(keys.processes, '0', '-1')).toEqual(['one']);
  expect(await redis.hkeys(keys.processDetails)).toEqual(['one']);
});

test('after the clock went back who beat in the future is dropped, and who lives beats again', async () => {
  const { fleet, redis, keys } = await setUp();
  await fleet.heartbeat(processOf('gone'), LIVE_MS);
  const { now } = await fleet.heartbeat(processOf('one'), LIVE_MS);
  await redis.zadd(keys.processes, now + 3_600_000, 'gone', now + 3_600_000, 'one');
  expect(idsOf(await fleet.heartbeat(processOf('one'), LIVE_MS))).toEqual(['one']);
  expect(await redis.hkeys(keys.processDetails)).toEqual(['one']);
});

test('who is a little late still lives', async () => {
  const { fleet, redis, keys } = await setUp();
  const { now } = await fleet.heartbeat(processOf('late'), LIVE_MS);
  await redis.zadd(keys.processes, now - LIVE_MS + 2000, 'late');
  expect(idsOf(await fleet.view(LIVE_MS))).toEqual(['late']);
});

test('who leaves is gone at once, and leaving twice or unknown harms nobody', async () => {
  const { fleet } = await setUp();
  await fleet.heartbeat(processOf('one'), LIVE_MS);
  await fleet.heartbeat(processOf('two'), LIVE_MS);
  await fleet.leave('one', LIVE_MS);
  await fleet.leave('one', LIVE_MS);
  await fleet.leave('never there', LIVE_MS);
  expect(idsOf(await fleet.view(LIVE_MS))).toEqual(['two']);
});

test('looking is not beating', async () => {
  const { fleet, redis, keys } = await setUp();
  expect(await fleet.view(LIVE_MS)).toMatchObject({ epoch: '', opensAt: 0, processes: [] });
  expect(await redis.exists(keys.processes, keys.processDetails, keys.epoch)).toBe(0);
});

test('of many that begin an epoch at once one does, and all hear of that one', async () => {
  const shared = sharedRedis();
  const worlds = await Promise.all([setUp(shared), setUp(shared), setUp(shared)]);
  const begun = await Promise.all(
    Array.from({ length: 30 }, (_, i) => (worlds[i % 3] as World).fleet.beginEpoch(`epoch ${i}`, 2500)),
  );
  expect(begun.filter((epoch) => epoch.begun)).toHaveLength(1);
  expect(new Set(begun.map(({ id, opensAt }) => `${id} ${opensAt}`)).size).toBe(1);
  const view = await (worlds[0] as World).fleet.view(LIVE_MS);
  expect(view).toMatchObject({ epoch: begun[0]?.id, opensAt: begun[0]?.opensAt });
  expect(view.opensAt - view.now).toBeGreaterThan(1500);
  expect(view.opensAt - view.now).toBeLessThanOrEqual(2500);
});

test('after Redis has lost its state there is no epoch', async () => {
  const { fleet, redis, keys } = await setUp();
  await fleet.beginEpoch('one', 0);
  await redis.del(keys.epoch);
  expect((await fleet.view(LIVE_MS)).epoch).toBe('');
  expect(await fleet.beginEpoch('two', 0)).toMatchObject({ begun: true, id: 'two' });
});

test('tenants that operators added or removed are kept, the last word wins', async () => {
  const { fleet } = await setUp();
  const added = { op: 'add', by: 'oncall', at: 5 } as const;
  const removed = { op: 'remove', by: 'oncall', at: 6 } as const;
  await fleet.overrideTenants('billing', ['a.example', 'b.example'], added);
  await fleet.overrideTenants('billing', ['b.example'], removed);
  expect(await fleet.tenantOverrides()).toEqual(
    new Map<string, object>([
      ['billing/a.example', added],
      ['billing/b.example', removed],
    ]),
  );
});

test('as many tenants as one order may name are kept', async () => {
  const { fleet, redis, keys } = await setUp();
  const tenants = Array.from({ length: 100_000 }, (_, i) => `tenant-${i}.example`);
  await fleet.overrideTenants('billing', tenants, { op: 'add', by: 'oncall', at: 5 });
  expect(await redis.hlen(keys.tenants)).toBe(100_000);
});

test('a pause holds until its end, and what has ended is dropped', async () => {
  const { fleet, redis, keys } = await setUp();
  const now = await fleet.now();
  const pause = { select: 'billing/*/graph', all: false, until: now + 60_000, by: 'oncall' };
  await fleet.pause(pause);
  await fleet.pause({ ...pause, select: '*', all: true, until: now });
  expect(await fleet.pauses(now)).toEqual([pause]);
  expect(await redis.hkeys(keys.pauses)).toEqual(['billing/*/graph']);
  expect(await fleet.pauses(now + 60_000)).toEqual([]);
  expect(await redis.exists(keys.pauses)).toBe(0);
});

test('a pause that is made again while its end is noticed is not lost', async () => {
  const { fleet, redis } = await setUp();
  const now = await fleet.now();
  const pause = { select: 'billing/*/graph', all: false, until: now - 1, by: 'oncall' };
  const renewed = { ...pause, until: now + 60_000 };
  await fleet.pause(pause);
  const read = redis.hgetall.bind(redis);
  vi.spyOn(redis, 'hgetall').mockImplementationOnce(async (key) => {
    const seen = await read(key);
    await fleet.pause(renewed);
    return seen;
  });
  await fleet.pauses(now);
  expect(await fleet.pauses(now)).toEqual([renewed]);
});

test('a pause is renewed by pausing again, and ended once', async () => {
  const { fleet } = await setUp();
  const now = await fleet.now();
  const pause = { select: 'billing/*/graph', all: false, until: now + 1000, by: 'oncall' };
  await fleet.pause(pause);
  await fleet.pause({ ...pause, until: now + 5000 });
  expect(await fleet.pauses(now)).toEqual([{ ...pause, until: now + 5000 }]);
  expect([await fleet.resume('billing/*/graph'), await fleet.resume('billing/*/graph')]).toEqual([
    true,
    false,
  ]);
});

test('the pace of clients is published, and dropped with the clients', async () => {
  const { fleet, redis, keys } = await setUp();
  await fleet.setTenantIntervals(new Map());
  await fleet.setTenantIntervals(
    new Map([
      ['billing', 200],
      ['crm', 1000 / 3],
    ]),
  );
  expect(await redis.hgetall(keys.limits)).toEqual({ billing: '200', crm: String(1000 / 3) });
  await fleet.dropTenantIntervals(new Set(['crm']));
  expect(await redis.hkeys(keys.limits)).toEqual(['crm']);
  await fleet.dropTenantIntervals(new Set());
  expect(await redis.exists(keys.limits)).toBe(0);
});

test('of limits for tenants the slower one holds until all processes agree', async () => {
  const { fleet, redis, keys } = await setUp();
  const publish = (ms: number, agreed: boolean) => fleet.setTenantIntervals(new Map([['c', ms]]), agreed);
  const held: (string | null)[] = [];
  for (const [ms, agreed] of [
    [200, false],
    [100, false],
    [500, false],
    [200, false],
    [200, true],
  ] as const) {
    await publish(ms, agreed);
    held.push(await redis.hget(keys.limits, 'c'));
  }
  expect(held).toEqual(['200', '200', '500', '500', '200']);
});

test('as many clients as there may be have their limits published', async () => {
  const { fleet, redis, keys } = await setUp();
  await fleet.setTenantIntervals(new Map(Array.from({ length: 10_000 }, (_, i) => [`c${i}`, i + 1])));
  expect(await redis.hlen(keys.limits)).toBe(10_000);
});

test('the confirmation of a removal is kept with its time, the last one wins, and it ends by itself', async () => {
  const { fleet, redis, keys } = await setUp();
  expect(await fleet.confirmations()).toEqual(new Map());
  const before = await fleet.now();
  await fleet.confirmRemoval('billing');
  const first = (await fleet.confirmations()).get('billing') ?? 0;
  expect(first).toBeGreaterThanOrEqual(before);
  await redis.hset(keys.confirmed, 'forgotten', before - 86_400_001);
  await fleet.confirmRemoval('crm');
  await fleet.confirmRemoval('billing');
  const all = await fleet.confirmations();
  expect([...all.keys()].sort()).toEqual(['billing', 'crm']);
  expect(all.get('billing')).toBeGreaterThanOrEqual(first);
  expect(await redis.pttl(keys.confirmed)).toBeGreaterThan(86_000_000);
});

test('what an operator changed is announced to every process', async () => {
  const { fleet, url, keys } = await setUp();
  const subscriber = connect(url);
  const messages: string[] = [];
  subscriber.on('message', (_channel, message) => messages.push(message));
  await subscriber.subscribe(keys.changes);
  await fleet.announce('purge billing/a.example/graph');
  await subscriber.unsubscribe(keys.changes);
  expect(messages).toEqual(['purge billing/a.example/graph']);
});

test('time is the time of Redis, in whole milliseconds', async () => {
  const { fleet, redis } = await setUp();
  const [seconds] = await redis.time();
  const now = await fleet.now();
  expect(Number.isInteger(now)).toBe(true);
  expect(now - Number(seconds) * 1000).toBeGreaterThanOrEqual(0);
  expect(now - Number(seconds) * 1000).toBeLessThan(2000);
});

test('a server that was started anew is told from one that was not', async () => {
  const own = await ownRedis();
  const { fleet, redis } = await setUp({ url: own.url, namespace: 'restarted' });
  const before = await fleet.serverRunId();
  expect(before).toMatch(/^[0-9a-f]{40}$/);
  expect(await fleet.serverRunId()).toBe(before);
  const closed = new Promise((resolve) => redis.once('close', resolve));
  await own.restart();
  await closed;
  await whenReady(redis);
  expect(await fleet.serverRunId()).not.toBe(before);
});

/** The URL of a server in which this user has these permissions. */
async function urlOf(user: string, ...rules: string[]): Promise<string> {
  const own = await ownRedis();
  await connect(own.url).acl('SETUSER', user, 'on', '>hush', '~*', '&*', ...rules);
  return `redis://${user}:hush@127.0.0.1:${own.port}`;
}

test('where INFO is forbidden the server is accepted with two warnings, and does not tell when it was started', async () => {
  const url = await urlOf('daemon', '+@all', '-info');
  const { warnings } = await checkServer({ url: new Secret(url) });
  expect(warnings.map(({ code }) => code)).toEqual(['EVICTION_POLICY_UNKNOWN', 'VERSION_UNKNOWN']);
  const { fleet } = await setUp({ url, namespace: 'forbidden' });
  expect(await fleet.serverRunId()).toBe('');
});

test('a user without permissions is told so, and not that the password is wrong', async () => {
  const url = await urlOf('nobody', '-@all');
  const error = await checkServer({ url: new Secret(url) }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'REDIS_AUTHENTICATION' });
  expect(String(error)).toContain('lacks permission for TIME');
  expect(String(error)).not.toMatch(/password|hush/);
});
