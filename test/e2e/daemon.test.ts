import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../src/demo/private-redis.ts';
import { eventually } from '../support/eventually.ts';
import { type Fleet, fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import type { TestProcess } from '../support/process.ts';
import { Reader } from '../support/reader.ts';
import { connect, ownRedis, sharedRedis } from '../support/redis.ts';

const NOWHERE = 'http://127.0.0.1:9';

async function urlOf(daemon: TestProcess): Promise<string> {
  const line = await daemon.waitForLine((text) => text.includes('"listening"'));
  return (JSON.parse(line) as { url: string }).url;
}

function daemonOn(redisUrl: string, idpUrl = NOWHERE, env: Record<string, string | undefined> = {}): Fleet {
  return fleet({ redisUrl, idpUrl, clients: mockClient(idpUrl, 1), env });
}

test('a daemon that finds no Redis says so, is alive and not ready, and does its work when Redis comes', {
  timeout: 60_000,
}, async () => {
  const port = await freePort();
  const idp = await startMockIdp();
  const daemon = daemonOn(`redis://127.0.0.1:${port}`, idp.url).launch();
  const url = await urlOf(daemon);

  await daemon.waitForLine((line) => line.includes('cannot be reached'));
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({
    ready: false,
    problems: expect.arrayContaining(['redis-unreachable']),
  });

  // A scrape of the metrics asks for what is in the queue, also before there is one.
  expect((await fetch(`${url}/metrics`)).status).toBe(200);

  await ownRedis({ port });
  await daemon.waitForLine((line) => line.includes('joined the fleet'));
  await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, 'ready');
  await daemon.waitForLine((line) => line.includes('token refreshed'));
  expect((await daemon.stop()).code).toBe(0);
});

test('a daemon that waits for Redis ends well when it is asked to', { timeout: 30_000 }, async () => {
  const daemon = daemonOn(`redis://127.0.0.1:${await freePort()}`).launch();
  await daemon.waitForLine((line) => line.includes('cannot be reached'));
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});

test('a daemon whose Redis has gone ends soon when it is asked to', { timeout: 30_000 }, async () => {
  const redis = await ownRedis();
  const daemon = await daemonOn(redis.url).start();
  await redis.kill('SIGKILL');
  await daemon.waitForLine((line) => line.includes('the connection to Redis is lost'));
  const askedAt = performance.now();
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  // Well before those who run daemons lose their patience, ten seconds by custom.
  expect(performance.now() - askedAt).toBeLessThan(9000);
});

test('a wrong Redis password ends the daemon with the configuration’s exit code and no password in the message', {
  timeout: 30_000,
}, async () => {
  const redis = await ownRedis({ password: 'right-password' });
  const url = redis.url.replace('right-password', 'wrong-password');
  const daemon = daemonOn('redis://127.0.0.1:1', NOWHERE, { REDIS_URL: url }).launch();
  expect(await daemon.exited).toEqual({ code: 2, signal: null });
  expect(daemon.stderr).toContain('refuses the user name or password');
  expect(daemon.stderr + daemon.stdout).not.toContain('wrong-password');
  expect(daemon.stderr).not.toMatch(/^\s+at /m);
});

test('a taken port ends the daemon with a message that names it', { timeout: 30_000 }, async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    taken.close();
  });
  const { port } = taken.address() as AddressInfo;
  const { url } = sharedRedis();
  const daemons = fleet({
    redisUrl: url,
    idpUrl: NOWHERE,
    clients: mockClient(NOWHERE, 1),
    http: `127.0.0.1:${port}`,
  });
  const { code, stderr } = await daemons.run('start');
  expect(code).toBe(1);
  expect(stderr).toContain(`cannot listen on 127.0.0.1:${port} (EADDRINUSE)`);
});

test('a Redis that may evict keys is used with a loud warning', { timeout: 30_000 }, async () => {
  const redis = await ownRedis();
  await connect(redis.url).config('SET', 'maxmemory-policy', 'allkeys-lru');
  const daemon = daemonOn(redis.url).launch();
  const url = await urlOf(daemon);
  await daemon.waitForLine((line) =>
    line.includes('expected maxmemory-policy noeviction, but it is allkeys-lru'),
  );
  await daemon.waitForLine((line) => line.includes('joined the fleet'));
  expect(await (await fetch(`${url}/healthz`)).json()).toMatchObject({
    live: true,
    problems: ['eviction-policy'],
  });
  expect((await daemon.stop()).code).toBe(0);
});

test('on SIGTERM the request in flight ends and its token is published', { timeout: 30_000 }, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--delay', '1s');
  const daemons = fleet({ redisUrl: url, namespace, idpUrl: idp.url, clients: mockClient(idp.url, 1) });
  const daemon = await daemons.start();
  await eventually(async () => (await idp.requests()).length === 1, 'its request is in flight');

  expect(await daemon.stop('SIGTERM')).toEqual({ code: 0, signal: null });

  expect(await connect(url).exists(`${namespace}:token:demo/t0/graph`)).toBe(1);
});

test('a second signal ends a daemon at once', { timeout: 30_000 }, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--delay', '8s');
  const daemons = fleet({ redisUrl: url, namespace, idpUrl: idp.url, clients: mockClient(idp.url, 1) });
  const daemon = await daemons.start();
  await eventually(async () => (await idp.requests()).length === 1, 'its request is in flight');
  daemon.signal('SIGTERM');
  const asked = await daemon.waitForLine((line) => line.includes('stopping'));
  // Two signals within a fifth of a second are one that was delivered twice.
  const askedAt = Date.parse((JSON.parse(asked) as { time: string }).time);
  await eventually(() => Date.now() > askedAt + 250, 'a moment later');
  daemon.signal('SIGTERM');
  expect((await daemon.exited).code).toBe(1);
});

test('schedulers and workers in processes of their own do the work together', {
  timeout: 60_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '10s');
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: mockClient(idp.url, 20),
    limits: '{ perHost: 100/s, perTenant: 10/s, identical: 5/10s }',
  });
  const reader = new Reader(
    url,
    namespace,
    Array.from({ length: 20 }, (_, i) => `demo/t${i}/graph`),
  );
  reader.start();
  const processes = await Promise.all([
    daemons.start('scheduler'),
    daemons.start('scheduler'),
    daemons.start('worker'),
    daemons.start('worker'),
  ]);
  await reader.everyKey(15_000);
  reader.reset();
  await reader.readFor(15_000);
  expect(reader.seen).toMatchObject({ missed: [], expired: [], wentBack: [], present: 20 });
  for (const scheduler of processes.slice(0, 2)) expect(scheduler.stdout).not.toContain('token refreshed');
  for (const worker of processes.slice(2)) expect(worker.stdout).toContain('token refreshed');
  for (const process of processes) expect((await process.stop()).code).toBe(0);
});

test('claims that nobody is left to use go back when the last process ends', {
  timeout: 60_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const daemons = fleet({ redisUrl: url, namespace, idpUrl: NOWHERE, clients: mockClient(NOWHERE, 5) });
  const scheduler = await daemons.start('scheduler');
  const redis = connect(url);
  await eventually(
    async () => (await redis.llen(`{${namespace}}:refresh:wait`)) === 5,
    'its claims wait for a worker',
  );

  expect((await scheduler.stop()).code).toBe(0);

  expect(await redis.llen(`{${namespace}}:refresh:wait`)).toBe(0);
  const [seconds] = await redis.time();
  expect(await redis.zcount(`{${namespace}}:due:127.0.0.1:9`, '-inf', Number(seconds) * 1000 + 1000)).toBe(5);
});
