import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { operator } from '../support/operator.ts';
import { connect, sharedRedis } from '../support/redis.ts';

async function running(tenantCount = 3) {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '1h');
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: mockClient(idp.url, tenantCount),
  });
  const daemon = await daemons.start();
  const redis = connect(url);
  const exists = async (tenant: string): Promise<boolean> =>
    (await redis.exists(`${namespace}:token:demo/${tenant}/graph`)) === 1;
  const generation = async (tenant: string): Promise<number> =>
    (
      JSON.parse((await redis.get(`${namespace}:token:demo/${tenant}/graph`)) ?? '{"generation":0}') as {
        generation: number;
      }
    ).generation;
  for (let i = 0; i < tenantCount; i++) await eventually(() => exists(`t${i}`), `t${i} has a token`);
  return { url, namespace, idp, daemons, daemon, redis, exists, generation, order: operator(url, namespace) };
}

test('a purge deletes the tokens at once, and new ones follow', { timeout: 30_000 }, async () => {
  const { order, generation, idp, daemon } = await running();
  const before = await generation('t1');

  expect(await order('purge', { select: 'demo/t1/*', by: 'oncall' })).toMatchObject({
    matched: 1,
    accepted: 1,
  });

  await eventually(async () => (await generation('t1')) > before, 'a newer token');
  expect((await idp.requests()).filter(({ tenant }) => tenant !== 't1')).toHaveLength(2);
  expect((await daemon.stop()).code).toBe(0);
});

test('what is paused is not refreshed, keeps its token, and goes on when it is resumed', {
  timeout: 30_000,
}, async () => {
  const { order, idp, exists, generation, daemon } = await running();
  const paused = await order('pause', { select: 'demo/t1/graph', until: '10m', by: 'oncall' });
  expect(paused.until).toBeGreaterThan(Date.now() / 1000 + 590);

  expect(await order('refresh', { select: 'demo/*/graph', force: true })).toMatchObject({
    accepted: 2,
    refused: 1,
    reasons: { paused: 1 },
  });
  await order('purge', { select: 'demo/t1/graph' });
  await eventually(async () => (await idp.requests()).length === 5, 'the others are refreshed');
  expect(await exists('t1')).toBe(false);

  expect(await order('resume', { select: 'demo/t1/graph' })).toMatchObject({ matched: 1 });
  await eventually(() => exists('t1'), 'it is refreshed');
  expect(await generation('t1')).toBeGreaterThan(0);
  expect((await daemon.stop()).code).toBe(0);
});

test('a pause that was shortened is ended by resume as any other', { timeout: 30_000 }, async () => {
  const { order, exists, redis, namespace, idp, daemon } = await running(1);
  await order('pause', { select: 'demo/t0/graph', until: '2h' });
  await order('purge', { select: 'demo/t0/graph' });
  const due = `{${namespace}}:due:${new URL(idp.url).host}`;
  const now = async (): Promise<number> => Number((await redis.time())[0]) * 1000;
  await eventually(
    async () => Number(await redis.zscore(due, 'demo/t0/graph')) > (await now()) + 5000,
    'it is held',
  );
  await order('pause', { select: 'demo/t0/graph', until: '1m' });

  await order('resume', { select: 'demo/t0/graph' });

  await eventually(() => exists('t0'), 'it is refreshed', 5000);
  expect((await daemon.stop()).code).toBe(0);
});

test('tenants that are added are served, survive a restart, and go with their tokens when they are removed', {
  timeout: 40_000,
}, async () => {
  const { order, exists, daemons, daemon } = await running();

  expect(await order('add', { client: 'demo', tenants: ['late'], by: 'oncall' })).toMatchObject({
    matched: 1,
    accepted: 1,
  });
  await eventually(() => exists('late'), 'the new tenant has a token');
  expect((await daemon.stop()).code).toBe(0);
  const again = await daemons.start();
  expect(await order('refresh', { select: 'demo/late/graph', force: true })).toMatchObject({ matched: 1 });

  expect(await order('remove', { client: 'demo', tenants: ['late', 't0'], by: 'oncall' })).toMatchObject({
    matched: 2,
  });
  expect([await exists('late'), await exists('t0'), await exists('t1')]).toEqual([false, false, true]);
  expect((await again.stop()).code).toBe(0);
  const third = await daemons.start();
  await expect(order('refresh', { select: 'demo/t0/graph' })).rejects.toThrow('NOT_FOUND');
  expect((await third.stop()).code).toBe(0);
});

test('orders that cannot be carried out are refused with a reason, and the next one is carried out', {
  timeout: 30_000,
}, async () => {
  const { order, daemon } = await running(1);
  const refused: [string, object, object, string][] = [
    ['refresh', { select: 'nobody/*/*' }, {}, 'NOT_FOUND: select "nobody/*/*" matches no managed target'],
    ['refresh', { select: '*' }, {}, 'SELECT_INVALID: select "*" means every target'],
    ['refresh', { select: 'a/b' }, {}, 'SELECT_INVALID: expected a select as client/tenant/resource'],
    ['refresh', {}, {}, 'COMMAND_REFUSED: refresh: select'],
    [
      'refresh',
      { select: 'demo/t0/graph', froce: true },
      {},
      'COMMAND_REFUSED: refresh: data: Unrecognized key: "froce"',
    ],
    [
      'refresh',
      { select: 'demo/t0/graph' },
      { attempts: 3 },
      'COMMAND_REFUSED: expected attempts: 1, but got 3',
    ],
    ['reboot', { select: 'demo/t0/graph' }, {}, 'COMMAND_REFUSED: expected a job named refresh'],
    [
      'pause',
      { select: 'demo/t0/graph', until: '25h' },
      {},
      'COMMAND_REFUSED: expected a pause that ends in the future and lasts at most 24 h',
    ],
    ['resume', { select: 'demo/t0/graph' }, {}, 'NOT_FOUND: nothing is paused by select'],
    ['add', { client: 'nobody', tenants: ['x'] }, {}, 'NOT_FOUND: no client of that name'],
    ['add', { client: 'demo', tenants: ['a/b'] }, {}, 'COMMAND_REFUSED: expected tenants of'],
    ['remove', { client: 'demo', tenants: ['unknown'] }, {}, 'NOT_FOUND: none of these tenants is managed'],
    ['remove', { client: 'demo', absent: true }, {}, 'NOT_FOUND: nothing that is managed'],
    [
      'remove',
      { client: 'demo' },
      {},
      'COMMAND_REFUSED: remove: data: expected either tenants or absent: true',
    ],
  ];
  for (const [name, data, options, reason] of refused) {
    await expect(order(name, data, options), JSON.stringify(data)).rejects.toThrow(reason);
  }
  expect(await order('refresh', { select: 'demo/t0/graph' })).toMatchObject({
    matched: 1,
    accepted: 0,
    reasons: { fresh: 1 },
  });
  expect((await daemon.stop()).code).toBe(0);
});
