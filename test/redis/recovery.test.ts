import { expect, test } from 'vitest';
import type { Target } from '../../src/core/client.ts';
import { REFRESH_QUEUE } from '../../src/queue/refresh-queue.ts';
import type { CataloguePort } from '../../src/refresh/ports.ts';
import { wakeClient } from '../../src/refresh/recovery.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { States } from '../../src/store/states.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example';
const HOUR_MS = 3_600_000;
const IDENTICAL = { count: 5, windowMs: 300_000 };

async function setUp(ids: readonly string[]) {
  const { redis, keys } = await openStore(sharedRedis());
  const indexes = new Indexes(redis, keys, REFRESH_QUEUE);
  const states = new States(redis, keys);
  const clock = new Fleet(redis, keys);
  const now = await clock.now();
  const later = now + HOUR_MS;
  await indexes.enlist(
    HOST,
    ids.map((target) => ({ target, dueAt: later })),
  );
  const get = (id: string) => ({ id, host: HOST, outageTargetMs: 1, identical: IDENTICAL }) as Target;
  const of = (client?: string) => ids.filter((id) => id.startsWith(`${client}/`));
  const catalogue = { get, ids: of } as unknown as CataloguePort;
  const woken: boolean[] = [];
  const deps = { catalogue: () => catalogue, states, indexes, clock, wake: () => woken.push(true) };
  const isDue = async (): Promise<string[]> => {
    const dueAt = await indexes.dueAt(HOST, ids);
    return ids.filter((_id, i) => (dueAt[i] as number) < later);
  };
  return { redis, keys, states, deps, isDue, woken };
}

test('what waited for a credential of the client goes on at once, and nothing else moves', async () => {
  const ids = ['c/waits/r', 'c/failed/r', 'c/running/r', 'c/other-failure/r', 'other/waits/r'];
  const { states, deps, isDue, woken } = await setUp(ids);
  const fail = async (id: string, kind: 'credential' | 'tenant', code: string) => {
    const begun = await states.begin({ ...deps.catalogue().get(id), id } as Target, 1000);
    if (begun.outcome !== 'begun') throw new Error('expected to begin');
    await states.fail(id, begun.generation, { kind, code }, HOUR_MS);
  };
  await fail('c/failed/r', 'credential', 'AADSTS7000215');
  await fail('c/other-failure/r', 'tenant', 'AADSTS65001');
  await states.begin({ ...deps.catalogue().get('c/running/r'), id: 'c/running/r' } as Target, 10_000);

  expect(await wakeClient('c', { withinMs: HOUR_MS, excused: [] }, deps)).toBe(2);
  expect(await isDue()).toEqual(['c/waits/r', 'c/failed/r']);
  expect(woken).toEqual([true]);
  const [failed] = await states.read(['c/failed/r']);
  expect(failed?.wanted).toBeGreaterThan(failed?.generation ?? 0);
});
