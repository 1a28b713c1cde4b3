import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { sharedRedis } from '../support/redis.ts';

test('start --strict refuses what the configuration does not hold, in the words of check', {
  timeout: 30_000,
}, async () => {
  const { url: redisUrl, namespace } = sharedRedis();
  const clients = `${mockClient('http://127.0.0.1:9', 2)}\n    expectLifetime: 5m`;
  const { run } = fleet({ redisUrl, namespace, idpUrl: '', clients });
  const { code, stdout, stderr } = await run('start', '--strict');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const problem = 'client demo holds 2 of 20 min: tokens that live 5m can hold at most 3m 30s';
  expect(stderr).toContain(`not started, since --strict was given`);
  expect(stderr).toContain(problem);
  expect((await run('check')).stdout).toContain(problem);
  const told = JSON.parse((await run('start', '--strict', '--json')).stderr);
  expect(told).toMatchObject({ error: { code: 'OUTAGE_TARGET_NOT_HELD' } });
});

test('start --strict judges by what is configured while there is no Redis, and starts where that is held', {
  timeout: 30_000,
}, async () => {
  const clients = mockClient('http://127.0.0.1:9', 2);
  const daemons = fleet({ redisUrl: 'redis://127.0.0.1:1', idpUrl: '', clients });
  const daemon = daemons.launch('all', '--strict');
  await daemon.waitForLine((line) => line.includes('cannot be reached'));
  expect((await daemon.stop()).code).toBe(0);
});

test('a daemon keeps the best window, and says what is not held as soon as it sees how long tokens live', {
  timeout: 60_000,
}, async () => {
  const idp = await startMockIdp('--lifetime', '60s');
  const { url: redisUrl, namespace } = sharedRedis();
  const clients = mockClient(idp.url, 5);
  const daemons = fleet({ redisUrl, namespace, idpUrl: idp.url, clients });
  // An hour is expected, of which 20 minutes would be left.
  expect((await daemons.run('check')).code).toBe(0);
  const daemon = daemons.launch('all', '--strict');
  const said = await daemon.waitForLine((line) => line.includes('OUTAGE_TARGET_NOT_HELD'));
  expect(JSON.parse(said)).toMatchObject({
    level: 'warn',
    client: 'demo',
    what: expect.stringMatching(/^holds \d+s of 20m$/),
    why: expect.stringContaining('tokens that live 1m can hold at most'),
  });
  const listening = await daemon.waitForLine((line) => line.includes('"listening"'));
  const { url } = JSON.parse(listening) as { url: string };
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toMatchObject({ problems: ['outage-target-not-held'] });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('evertoken_outage_target_seconds{client="demo"} 1200');
  expect(metrics).toMatch(/evertoken_outage_held_seconds\{client="demo"\} 1\d\b/);

  const status = await daemons.run('status');
  expect(status.stdout).toMatch(/^demo holds 1\ds of 20m: tokens that live 1m can hold at most/m);
  await eventually(async () => (await daemons.run('check')).code === 1, 'check to know the lives');
  expect((await daemons.run('check')).stdout).toContain('1m (seen)');
  expect((await daemons.run('start', '--strict')).code).toBe(1);
  expect((await daemon.stop()).code).toBe(0);
});
