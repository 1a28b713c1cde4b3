import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { Reader } from '../support/reader.ts';
import { connect, sharedRedis } from '../support/redis.ts';

test('garbage in single entries of the daemon’s own keys keeps no other target from being fresh', {
  timeout: 60_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '8s');
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: mockClient(idp.url, 10),
    limits: '{ perHost: 100/s, perTenant: 10/s, identical: 20/20s }',
  });
  const redis = connect(url);
  const host = new URL(idp.url).host;
  const first = await daemons.start();
  const innocent = Array.from({ length: 8 }, (_, i) => `demo/t${i}/graph`);
  const reader = new Reader(url, namespace, innocent);
  reader.start();
  await reader.everyKey(10_000);
  reader.reset();

  const state = (tenant: string): string => `{${namespace}:token:demo/${tenant}/graph}:s`;
  await redis.hset(state('t8'), 'l', 'garbage', 'L', 'zz,zz', 'g', 'NaN', 'v', 'x');
  await redis.del(state('t9'));
  await redis.set(state('t9'), 'no hash');
  await redis.hset(`{${namespace}}:limits`, 'demo', 'garbage');
  await redis.hset(`{${namespace}}:gate:host:${host}`, 'nextAt', 'zzz', 'closedUntil', 'garbage', 'seq', '?');
  for (const key of ['tenants', 'pauses', 'processes:details'])
    await redis.hset(`{${namespace}}:${key}`, 'x', 'not json');
  await redis.zadd(`{${namespace}}:due:${host}`, 1, 'a/b/c/d/e', 1, '', 1, 'demo/unknown/graph');
  await redis.zadd(`{${namespace}}:ready:${host}`, 1, 'stray');
  await redis.zadd(`{${namespace}}:processes`, Date.now() + 5000, 'x');

  await reader.readFor(12_000);
  const second = await daemons.start();
  await reader.readFor(3000);

  expect(reader.seen).toMatchObject({ missed: [], expired: [], wentBack: [], present: 8 });
  // The target whose state had a bad field is itself again.
  await eventually(async () => Number(await redis.hget(state('t8'), 'g')) > 0, 'it is refreshed');
  for (const args of [
    ['status'],
    ['targets'],
    ['explain', 'demo/t8/graph'],
    ['explain', 'demo/t9/graph'],
    ['refresh', 'demo/*/*'],
  ]) {
    const { code, stderr } = await daemons.run(...args);
    expect(`${args.join(' ')}: ${code} ${stderr}`).not.toMatch(/bug in evertoken/);
  }
  for (const daemon of [first, second]) expect((await daemon.stop()).code).toBe(0);
});
