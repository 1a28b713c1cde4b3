import { expect, test } from 'vitest';
import type { Target } from '../../src/core/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { REFRESH_QUEUE } from '../../src/queue/refresh-queue.ts';
import { wakeOverslept } from '../../src/refresh/overslept.ts';
import type { CataloguePort } from '../../src/refresh/ports.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { States } from '../../src/store/states.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example:443';
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

type Kind = 'retires' | 'never retires' | 'unknown' | 'moved';

/** Targets that another process has retired; what the catalogue of this one makes of each is its kind. */
async function setUp(kinds: Readonly<Record<string, Kind>>) {
  const { redis, keys } = await openStore(sharedRedis());
  const [states, indexes] = [new States(redis, keys), new Indexes(redis, keys, REFRESH_QUEUE)];
  const clock = new Fleet(redis, keys);
  const now = await clock.now();
  const targetOf = (id: string): Target =>
    ({
      ...{ id, host: kinds[id] === 'moved' ? 'other.example' : HOST, fingerprint: 'abcdefgh' },
      ...{ tenantScope: id, outageTargetMs: HOUR_MS / 3, identical: { count: 5, windowMs: 300_000 } },
      retireUnreadAfterMs: kinds[id] === 'retires' ? DAY_MS : undefined,
    }) as Target;
  const catalogue = {
    hosts: () => new Map([HOST, 'other.example'].map((host) => [host, { perHost: {} }])),
    get: (id: string) => (kinds[id] === 'unknown' ? undefined : targetOf(id)),
  } as unknown as CataloguePort;
  const ids = Object.keys(kinds);
  const sleepsUntil = (id: string): number => now + 400 * DAY_MS + ids.indexOf(id);
  await Promise.all(
    ids.map(async (id) => {
      const issued = { issuedAt: now - HOUR_MS, expiresAt: now + HOUR_MS, generation: 1 };
      const token = { accessToken: new Secret('x'), tokenType: 'Bearer', digest: 'd', tenantId: '' };
      await states.publish(targetOf(id), { ...token, ...issued, refreshInMs: 0 });
      expect(await states.retire(id, 1)).toBe(true);
    }),
  );
  await indexes.enlist(
    HOST,
    ids.map((target) => ({ target, dueAt: sleepsUntil(target) })),
  );
  return {
    ...{ redis, keys, states, indexes, sleepsUntil },
    wake: () => wakeOverslept({ catalogue: () => catalogue, states, indexes, clock }),
    dueAt: async (id: string) => (await indexes.dueAt(HOST, [id]))[0] ?? 0,
    isDue: async (id: string) => ((await indexes.dueAt(HOST, [id]))[0] ?? 0) <= (await clock.now()),
  };
}

test('what another process has retired is made due where this one never retires it, and nothing else is', async () => {
  const { wake, isDue, dueAt, sleepsUntil } = await setUp({
    ...{ 'on/a/graph': 'retires', 'off/a/graph': 'never retires' },
    ...{ 'gone/a/graph': 'unknown', 'moved/a/graph': 'moved' },
  });
  expect(await wake()).toBe(1);
  expect(await isDue('off/a/graph')).toBe(true);
  for (const id of ['on/a/graph', 'gone/a/graph', 'moved/a/graph'])
    expect(await dueAt(id)).toBe(sleepsUntil(id));
  expect(await wake()).toBe(0);
});

test('what somebody wants, or has got a token since, is made due although its client retires what is unread', async () => {
  const { wake, isDue, states, redis, keys } = await setUp({
    ...{ 'on/wanted/graph': 'retires', 'on/issued/graph': 'retires', 'on/asleep/graph': 'retires' },
  });
  await states.want('on/wanted/graph', 'by oncall');
  // As a daemon that knows of no dormancy publishes: the mark stays.
  const [issued] = await states.read(['on/issued/graph']);
  await redis.hset(keys.state('on/issued/graph'), 'i', (issued?.dormantSince ?? 0) + 1);
  expect(await wake()).toBe(2);
  expect(await isDue('on/wanted/graph')).toBe(true);
  expect(await isDue('on/issued/graph')).toBe(true);
  expect(await isDue('on/asleep/graph')).toBe(false);
});

test('what is planned within the life of a token is left as it is', async () => {
  const { wake, indexes, dueAt, sleepsUntil } = await setUp({ 'off/a/graph': 'never retires' });
  const planned = sleepsUntil('off/a/graph') - 380 * DAY_MS;
  await indexes.setDue(HOST, ['off/a/graph'], planned);
  expect(await wake()).toBe(0);
  expect(await dueAt('off/a/graph')).toBe(planned);
});

test('where nothing that is asleep is known to this process nothing is done', async () => {
  const { wake } = await setUp({ 'gone/a/graph': 'unknown', 'gone/b/graph': 'unknown' });
  expect(await wake()).toBe(0);
});

test('they are found among many dormant ones, page by page', async () => {
  const many = Array.from({ length: 1000 }, (_, i): [string, Kind] => [
    `c/tenant-${i}/graph`,
    i % 10 === 0 ? 'never retires' : 'retires',
  ]);
  const { wake, isDue } = await setUp(Object.fromEntries(many));
  expect(await wake()).toBe(100);
  expect(await isDue('c/tenant-990/graph')).toBe(true);
  expect(await isDue('c/tenant-999/graph')).toBe(false);
});
