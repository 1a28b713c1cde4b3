import { expect, test } from 'vitest';
import type { Target } from '../../src/core/client.ts';
import { decide } from '../../src/core/decide.ts';
import { Secret } from '../../src/core/secret.ts';
import type { TargetState } from '../../src/core/state.ts';
import { REFRESH_QUEUE } from '../../src/queue/refresh-queue.ts';
import { renewAll } from '../../src/refresh/clock-back.ts';
import { Memory } from '../../src/refresh/memory.ts';
import type { CataloguePort } from '../../src/refresh/ports.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { States } from '../../src/store/states.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example';
const HOUR_MS = 3_600_000;
const LOST_MS = HOUR_MS;
const IDENTICAL = { count: 5, windowMs: 300_000 };

/** Targets with tokens as a Redis wrote them whose clock was an hour ahead of the one of now. */
async function afterGoingBack(agesMs: Readonly<Record<string, number>>) {
  const { redis, keys } = await openStore(sharedRedis());
  const [indexes, states, clock] = [
    new Indexes(redis, keys, REFRESH_QUEUE),
    new States(redis, keys),
    new Fleet(redis, keys),
  ];
  const memory = new Memory();
  const now = await clock.now();
  const then = now + LOST_MS;
  const ids = Object.keys(agesMs);
  const get = (id: string) =>
    ({ id, host: HOST, outageTargetMs: 1_200_000, identical: IDENTICAL, fingerprint: 'abcdefgh' }) as Target;
  const hosts = new Map([[HOST, { perHost: { count: 1, windowMs: 1000 } }]]);
  const catalogue = { get, ids: () => ids, hosts: () => hosts } as unknown as CataloguePort;
  await indexes.enlist(
    HOST,
    ids.map((target) => ({ target, dueAt: then + HOUR_MS / 2 })),
  );
  for (const id of ids) {
    const issuedAt = then - (agesMs[id] as number);
    await states.publish(get(id), {
      ...{ accessToken: new Secret('x'), tokenType: 'Bearer', digest: 'd', tenantId: '', refreshInMs: 0 },
      ...{ issuedAt, expiresAt: issuedAt + HOUR_MS, generation: issuedAt },
    });
    await redis.hset(keys.state(id), 'L', [issuedAt, issuedAt + 1].map((at) => at.toString(16)).join(','));
  }
  const read = async (id: string) => (await states.read([id]))[0] as TargetState;
  return {
    get,
    ids,
    indexes,
    states,
    clock,
    memory,
    read,
    deps: { catalogue: () => catalogue, states, indexes, clock },
  };
}

test('every token is wanted anew, the earliest expiry first and at the pace of its host', async () => {
  const { ids, read, get, indexes, clock, deps } = await afterGoingBack({
    'c/young/r': 60_000,
    'c/old/r': 2_000_000,
  });
  const before = await clock.now();

  expect(await renewAll(deps)).toBe(2);

  for (const id of ids)
    expect(decide(await read(id), get(id), before)).toMatchObject({ act: 'refresh', reason: 'wanted' });
  const [young = 0, old = 0] = await indexes.dueAt(HOST, ids);
  expect(old).toBeLessThanOrEqual(young);
  expect(young).toBeLessThanOrEqual((await clock.now()) + 2000);
});

test('requests that the other clock has dated count from now on, so the identical limit holds and ends', async () => {
  const { read, states, get, clock, memory, deps } = await afterGoingBack({ 'c/one/r': 1000 });
  const future = (await clock.now()) + LOST_MS;
  memory.rememberRequests('c/one/r', [future], IDENTICAL.windowMs, future);

  memory.clockWentBack(await clock.now());
  await renewAll(deps);

  const now = await clock.now();
  expect((await read('c/one/r')).requestLog).toHaveLength(2);
  for (const log of [(await read('c/one/r')).requestLog, memory.get('c/one/r').requestLog])
    for (const at of log) expect(at).toBeLessThanOrEqual(now);
  const begun = await states.begin(get('c/one/r'), 1);
  expect(begun).toMatchObject({ outcome: 'begun' });
});

test('what Redis knows nothing of is left alone', async () => {
  const { read, deps } = await afterGoingBack({});
  const ids = ['c/new/r'];
  const catalogue = { ...deps.catalogue(), ids: () => ids } as CataloguePort;

  expect(await renewAll({ ...deps, catalogue: () => catalogue })).toBe(0);
  expect((await read('c/new/r')).wanted).toBe(0);
});
