import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import type { Client, Resource } from '../../src/core/client.ts';
import { Dispatcher } from '../../src/refresh/dispatch.ts';
import { enlist } from '../../src/refresh/enlist.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Marks } from '../../src/store/marks.ts';
import { States } from '../../src/store/states.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const PER_HOST = { count: 100, windowMs: 1000 };
const resource = (name: string): Resource => ({
  ...{ name, params: { scope: name }, claims: undefined, expectAudience: undefined },
});

function client(name: string, tenants: number): Client {
  return {
    name,
    clientId: name,
    endpoint: { authority: 'https://idp.example' },
    grant: { kind: 'client_credentials' },
    credentials: [],
    ca: undefined,
    tenants: Array.from({ length: tenants }, (_, i) => `tenant-${i}`),
    resources: [resource('first'), resource('second')],
    limits: {
      ...{ perHost: PER_HOST, perTenant: { count: 50, windowMs: 1000 } },
      identical: { count: 5, windowMs: 300_000 },
    },
    outageTargetMs: 1_200_000,
    latestShare: 0.75,
    expectLifetimeMs: 3_600_000,
    assumeLifetimeMs: undefined,
  };
}

/** A fleet that starts on an empty Redis: what its dispatcher claims, in order, and how long that takes. */
async function start(
  clients: readonly Client[],
  count: number,
): Promise<{ claimed: string[]; tookMs: number }> {
  const { redis, keys } = await openStore(sharedRedis());
  const catalogue = new Catalogue(clients);
  const [states, indexes, fleet] = [
    new States(redis, keys),
    new Indexes(redis, keys, 'refresh'),
    new Fleet(redis, keys),
  ];
  await fleet.beginEpoch('the epoch', 0);
  await fleet.setTenantIntervals(new Map(clients.map(({ name }) => [name, 20])));
  const draw = (): number => 0.5;
  const elapsed = (): number => performance.now();
  await enlist(
    { retryParked: true },
    { catalogue: () => catalogue, states, indexes, clock: fleet, draw, elapsed, sleep },
  );
  const claimed: string[] = [];
  const dispatcher = new Dispatcher('idp.example', {
    catalogue: () => catalogue,
    ...{ states, indexes, draw },
    marks: new Marks(redis, keys),
    enqueue: async (targets) => void claimed.push(...targets),
    pausedUntil: () => undefined,
    mayRetire: () => true,
    epoch: () => 'the epoch',
  });
  const startedAt = performance.now();
  while (claimed.length < count) {
    const step = await dispatcher.step(PER_HOST);
    await sleep(step.outcome === 'stepped' ? step.sleepMs : 0);
  }
  return { claimed, tookMs: performance.now() - startedAt };
}

const of = (name: string, claimed: readonly string[]): string[] =>
  claimed.filter((target) => target.startsWith(`${name}/`));

test('at a start a large client and a small one get their first tokens side by side', async () => {
  const { claimed } = await start([client('a-large', 2000), client('b-small', 8)], 40);
  // All sixteen of the small one are among the first forty, and it has its share from the first on.
  expect(of('b-small', claimed)).toHaveLength(16);
  for (const so of [10, 20, 30]) expect(of('b-small', claimed.slice(0, so)).length).toBeGreaterThan(so / 4);
  expect(of('a-large', claimed.slice(0, 10)).length).toBeGreaterThan(2);
});

test('at a start every tenant gets its first token before any gets its second', async () => {
  const { claimed } = await start([client('a', 12)], 24);
  expect(claimed.slice(0, 10).filter((target) => target.endsWith('/second'))).toEqual([]);
  expect(claimed.filter((target) => target.endsWith('/second'))).toHaveLength(12);
});

test('at a start no turn of the host is left unused, since what is new comes due ahead of its turn', async () => {
  const { claimed, tookMs } = await start([client('a', 60)], 120);
  expect(new Set(claimed).size).toBe(120);
  // At 100 a second 120 take 1.1 s, after the burst; how busy the machine is may add to that.
  expect(tookMs).toBeGreaterThan(1000);
  expect(tookMs).toBeLessThan(2000);
});
