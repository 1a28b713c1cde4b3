import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import {
  type Fleet,
  fleet,
  type IdentityProvider,
  mockClient,
  mostIdentical,
  startMockIdp,
  tenants,
} from '../support/fleet.ts';
import { type OrderResult, operator } from '../support/operator.ts';
import { Reader } from '../support/reader.ts';
import { connect, sharedRedis } from '../support/redis.ts';

async function running(
  tenantCount: number,
  limits: string,
  ...idpArgs: string[]
): Promise<{
  idp: IdentityProvider;
  daemons: Fleet;
  reader: Reader;
  order: (data: object) => Promise<OrderResult>;
  generation: (target: string) => Promise<number>;
  stop: () => Promise<void>;
}> {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '1h', ...idpArgs);
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: mockClient(idp.url, tenantCount),
    limits,
  });
  const targets = tenants('t', tenantCount).map((tenant) => `demo/${tenant}/graph`);
  const reader = new Reader(url, namespace, targets);
  reader.start();
  const daemon = await daemons.start();
  await reader.everyKey(30_000);
  const client = connect(url);
  const ordered = operator(url, namespace);
  return {
    idp,
    daemons,
    reader,
    order: (data) => ordered('refresh', data),
    generation: async (target) =>
      (JSON.parse((await client.get(`${namespace}:token:${target}`)) ?? '{}') as { generation: number })
        .generation,
    stop: async () => {
      expect((await daemon.stop()).code).toBe(0);
    },
  };
}

const LIMITS = '{ perHost: 50/s, perTenant: 50/s, identical: 5/5m }';

test('thirty forces of one target at once give a newer token and never more than the identical limit', {
  timeout: 60_000,
}, async () => {
  const { idp, order, generation, stop } = await running(3, LIMITS);

  const results = await Promise.all(
    Array.from({ length: 30 }, () =>
      order({ select: 'demo/t1/graph', force: true, by: 'oncall', reason: 'secret rotated' }),
    ),
  );

  expect(results.every(({ matched }) => matched === 1)).toBe(true);
  const accepted = results.filter((result) => result.accepted === 1);
  const refused = results.filter((result) => result.accepted === 0);
  expect(accepted.length).toBeGreaterThan(0);
  expect(refused.every(({ reasons }) => reasons['identical limit'] === 1)).toBe(true);
  const newest = Math.max(...accepted.map((result) => result.order));
  await eventually(
    async () => (await generation('demo/t1/graph')) >= newest,
    'the newest order is carried out',
  );
  expect(mostIdentical(await idp.requests(), 300_000)).toBeLessThanOrEqual(5);
  await stop();
});

test('a force during a running refresh is carried out by another one after it', {
  timeout: 60_000,
}, async () => {
  const { idp, order, generation, stop } = await running(1, LIMITS);
  await idp.control({ delay: '1s' });
  const first = await order({ select: 'demo/*/graph', force: true });
  await eventually(async () => (await idp.requests()).length === 2, 'its request is in flight');

  const second = await order({ select: 'demo/*/graph', force: true });

  await eventually(
    async () => (await generation('demo/t0/graph')) >= second.order,
    'the second is carried out',
  );
  expect(second.order).toBeGreaterThan(first.order);
  expect(await idp.requests()).toHaveLength(3);
  await stop();
});

test('a sixth force within the window of the identical limit is refused with that reason', {
  timeout: 60_000,
}, async () => {
  const { idp, order, generation, stop } = await running(1, LIMITS);
  for (let request = 2; request <= 5; request++) {
    const accepted = await order({ select: 'demo/t0/graph', force: true });
    await eventually(async () => (await generation('demo/t0/graph')) >= accepted.order, `request ${request}`);
  }

  const sixth = await order({ select: 'demo/t0/graph', force: true });

  expect(sixth).toMatchObject({ matched: 1, accepted: 0, refused: 1, reasons: { 'identical limit': 1 } });
  expect(await idp.requests()).toHaveLength(5);
  await stop();
});

test('a force of everything keeps to the rate of the host', { timeout: 90_000 }, async () => {
  const { idp, reader, order, generation, stop } = await running(200, LIMITS);
  const before = (await idp.requests()).length;
  reader.reset();

  const result = await order({ select: '*', all: true, force: true, by: 'oncall' });

  expect(result).toMatchObject({ matched: 200, accepted: 200, refused: 0 });
  await eventually(async () => (await idp.requests()).length - before >= 200, 'each is asked for');
  for (const tenant of tenants('t', 200)) {
    await eventually(
      async () => (await generation(`demo/${tenant}/graph`)) >= result.order,
      `${tenant} is refreshed`,
    );
  }
  const requests = (await idp.requests()).slice(before);
  expect(requests).toHaveLength(200);
  // The rate, the burst that a tick may let through, and what the network shifts from one second into the next.
  expect(mostInOneSecond(requests.map(({ at }) => at))).toBeLessThanOrEqual(50 + 10);
  expect(reader.seen.missed).toEqual([]);
  await stop();
});

function mostInOneSecond(times: readonly number[]): number {
  return Math.max(...times.map((start) => times.filter((at) => at >= start && at < start + 1000).length));
}
