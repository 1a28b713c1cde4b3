import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { type GateEvent, OPEN_GATE } from '../../src/core/gate.ts';
import { FULL_PACE } from '../../src/core/pace.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Gates } from '../../src/store/gates.ts';
import { Indexes } from '../../src/store/indexes.ts';
import type { Keys } from '../../src/store/keys.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = { host: 'idp.example:443' };
const TENANT = { tenantScope: 'billing/contoso.example' };
const DAY_MS = 86_400_000;

interface World {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly gates: Gates;
  readonly now: number;
}

async function setUp(shared = sharedRedis()): Promise<World> {
  const { redis, keys } = await openStore(shared);
  return { redis, keys, gates: new Gates(redis, keys), now: await new Fleet(redis, keys).now() };
}

const down = (tenant: string, startedAt: number): GateEvent => ({
  ...{
    kind: 'unreachable',
    tenant,
    startedAt,
    ceiling: 50,
    code: 'network ECONNREFUSED',
    isAnswered: false,
  },
});
const answered = (startedAt: number): GateEvent => ({
  ...{ kind: 'answered', startedAt, issued: true, ceiling: 50 },
});
const throttled = (
  tenant: string,
  startedAt: number,
  retryAfterMs: number,
  wholeScope: boolean,
): GateEvent => ({
  ...{ kind: 'throttled', tenant, startedAt, ceiling: 50, retryAfterMs, wholeScope },
});

test('a gate that nobody has told of anything is open', async () => {
  const { gates, redis, keys } = await setUp();
  expect(await gates.read(HOST)).toEqual(OPEN_GATE);
  expect(await redis.exists(keys.hostGate(HOST.host))).toBe(0);
});

test('what is written is what is read', async () => {
  const { gates, now } = await setUp();
  await gates.report(HOST, down('a', now), now);
  const { after } = await gates.report(HOST, down('b', now), now);
  expect(after).toMatchObject({ probing: true, closures: 1, closedUntil: now + 1000 });
  expect(await gates.read(HOST)).toEqual(after);
});

test('many reports at once of two tenants that cannot be reached close the host once', async () => {
  const shared = sharedRedis();
  const worlds = await Promise.all([setUp(shared), setUp(shared), setUp(shared)]);
  const { gates, now } = worlds[0] as World;
  const reports = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      (worlds[i % 3] as World).gates.report(HOST, down(i % 2 === 0 ? 'a' : 'b', now - 10), now),
    ),
  );
  expect(reports.filter(({ before, after }) => after.closures > before.closures)).toHaveLength(1);
  expect(await gates.read(HOST)).toMatchObject({ closures: 1, probing: true, closedUntil: now + 1000 });
});

test('many reports at once of one tenant close nothing', async () => {
  const { gates, now } = await setUp();
  await Promise.all(Array.from({ length: 50 }, () => gates.report(HOST, down('a', now), now)));
  expect(await gates.read(HOST)).toMatchObject({ closures: 0, closedUntil: 0, suspect: 'down a' });
});

test('of many Retry-After at once the longest is obeyed, whatever the order', async () => {
  const { gates, now } = await setUp();
  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      gates.report(TENANT, throttled('a', now, 1000 * (1 + ((i * 7) % 50)), true), now),
    ),
  );
  expect(await gates.read(TENANT)).toMatchObject({ closedUntil: now + 50_000, why: 'throttled' });
});

test('after the clock went back a Retry-After is obeyed, though a later one of that clock is noted', async () => {
  const { gates, redis, keys, now } = await setUp();
  const ahead = now + 7_200_000;
  await redis.hset(keys.hostGate(HOST.host), { closedUntil: ahead, changedAt: ahead, why: 'throttled' });
  await gates.report(HOST, throttled('a', now, 60_000, true), now);
  expect(await gates.read(HOST)).toMatchObject({ closedUntil: now + 60_000, changedAt: now });
});

test('after the clock went back a host that was down is opened by an answer', async () => {
  const { gates, redis, keys, now } = await setUp();
  const ahead = now + 7_200_000;
  await redis.hset(keys.hostGate(HOST.host), { closedUntil: ahead, changedAt: ahead, probing: 1 });
  await gates.report(HOST, answered(now), now);
  expect(await gates.read(HOST)).toMatchObject({ closedUntil: 0, probing: false });
});

test('a rate that was lowered is what is read, by whoever reads', async () => {
  const { gates, redis, keys, now } = await setUp();
  await gates.report(HOST, throttled('a', now, 5000, true), now);
  const pace = { rate: 35, rateAt: now + 5000, refused: 50, untested: true };
  expect((await gates.read(HOST)).pace).toEqual(pace);
  const policy = { id: 'billing/contoso.example/graph', host: HOST.host, ...TENANT };
  const entered = await new Indexes(redis, keys, 'refresh').enter(policy, 'job');
  expect([entered.hostGate.pace, entered.tenantGate.pace]).toEqual([pace, FULL_PACE]);
  await gates.report(HOST, answered(now + 5001), now + 5002);
  expect((await gates.read(HOST)).pace).toEqual({ ...pace, untested: false });
});

test('of many refusals at once the rate is lowered once, whoever tells first', async () => {
  const { gates, now } = await setUp();
  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      gates.report(HOST, throttled(`t${i % 7}`, now - i, 1000, i % 2 === 0), now),
    ),
  );
  expect((await gates.read(HOST)).pace).toMatchObject({ rate: 35, refused: 50 });
});

test('after the clock went back a lowered rate stays lowered, and grows from now on', async () => {
  const { gates, redis, keys, now } = await setUp();
  const ahead = { rate: 5, rateAt: now + 600_000, refused: 10, closedUntil: 0, changedAt: now - 5000 };
  await redis.hset(keys.hostGate(HOST.host), ahead);
  const policy = { id: 'billing/contoso.example/graph', host: HOST.host, ...TENANT };
  const { hostGate, now: at } = await new Indexes(redis, keys, 'refresh').enter(policy, 'job');
  expect(hostGate.pace).toMatchObject({ rate: 5, rateAt: at });
  await gates.report(HOST, throttled('a', now, 60_000, true), now);
  expect((await gates.read(HOST)).pace).toMatchObject({ rate: 3.5, rateAt: now + 60_000, refused: 5 });
});

test('a pace that cannot be read is as if nothing had ever lowered it', async () => {
  const { gates, redis, keys } = await setUp();
  await redis.hset(keys.hostGate(HOST.host), {
    rate: 'much',
    rateAt: 'soon',
    refused: '-3',
    untested: 'yes',
  });
  expect(await gates.read(HOST)).toEqual(OPEN_GATE);
});

test('a report that changes nothing writes nothing', async () => {
  const { gates, redis, keys, now } = await setUp();
  await gates.report(HOST, answered(now), now);
  await gates.report(HOST, down('a', now - 60_001), now);
  expect(await redis.exists(keys.hostGate(HOST.host))).toBe(0);
});

test('a report of long ago, by a process that was stopped, neither closes nor opens', async () => {
  const { gates, now } = await setUp();
  await gates.report(HOST, down('a', now), now);
  await gates.report(HOST, down('b', now), now);
  const closed = await gates.read(HOST);
  await gates.report(HOST, answered(now - 5000), now + 10);
  await gates.report(HOST, down('c', now - 70_000), now + 10);
  expect(await gates.read(HOST)).toEqual(closed);
  await gates.report(HOST, answered(now + 1000), now + 1010);
  expect(await gates.read(HOST)).toMatchObject({ probing: false, closures: 0, closedUntil: 0 });
});

test('any report that counts calls the probe back', async () => {
  const { gates, redis, keys, now } = await setUp();
  await gates.report(HOST, down('a', now), now);
  await gates.report(HOST, down('b', now), now);
  await redis.hset(keys.hostGate(HOST.host), 'probeUntil', now + 60_000);
  await gates.report(HOST, answered(now + 1000), now + 1002);
  expect(await redis.hget(keys.hostGate(HOST.host), 'probeUntil')).toBe('0');
});

test('a report leaves the pace of the host as it was', async () => {
  const { gates, redis, keys, now } = await setUp();
  await redis.hset(keys.hostGate(HOST.host), { nextAt: now + 777.5, seq: 4 });
  await gates.report(HOST, down('a', now), now);
  expect(await redis.hmget(keys.hostGate(HOST.host), 'nextAt', 'seq')).toEqual([String(now + 777.5), '4']);
});

test('a gate is forgotten a day after it has opened', async () => {
  const { gates, redis, keys, now } = await setUp();
  await gates.report(HOST, throttled('a', now, 3_600_000, true), now);
  const ttl = await redis.pttl(keys.hostGate(HOST.host));
  expect(ttl).toBeGreaterThan(DAY_MS + 3_500_000);
  expect(ttl).toBeLessThanOrEqual(DAY_MS + 3_600_000);
});

test("a tenant's gate outlives its closure, also while its targets are held by it", async () => {
  const { gates, redis, keys, now } = await setUp();
  await gates.report(TENANT, throttled('a', now, 600_000, true), now);
  const indexes = new Indexes(redis, keys, 'refresh');
  await new Fleet(redis, keys).beginEpoch('the epoch', 0);
  const target = 'billing/contoso.example/graph';
  await indexes.enlist(HOST.host, [{ target, dueAt: now }]);
  await redis.zadd(keys.ready(HOST.host), now + 60_000, target);
  await indexes.dispatch('the epoch', HOST.host, { count: 50, windowMs: 1000 }, 10, []);
  expect((await gates.read(TENANT)).closedUntil).toBe(now + 600_000);
  expect(await redis.pttl(keys.tenantGate(TENANT.tenantScope))).toBeGreaterThan(599_000);
  expect((await indexes.dueAt(HOST.host, [target]))[0]).toBeGreaterThanOrEqual(now + 600_000);
});
