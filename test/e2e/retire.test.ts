import { readFileSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { operator } from '../support/operator.ts';
import { connect, ownRedis, sharedRedis } from '../support/redis.ts';

interface Listed {
  readonly target: string;
  readonly state: string;
}

test('what nobody reads is left alone, through a restart of the daemon, until somebody asks; what is read never is', {
  timeout: 120_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '8s');
  const refresh = '{ outageTarget: 20m, retireUnreadAfter: 1s }';
  const daemons = fleet({
    ...{ redisUrl: url, namespace, idpUrl: idp.url, clients: mockClient(idp.url, 4), refresh },
    limits: '{ perHost: 100/s, perTenant: 100/s, identical: 30/20s }',
  });
  const redis = connect(url);
  const key = (tenant: string): string => `${namespace}:token:demo/${tenant}/graph`;
  const isThere = async (tenant: string): Promise<boolean> => (await redis.exists(key(tenant))) === 1;
  const requestsFor = async (tenant: string): Promise<number> =>
    (await idp.requests()).filter((request) => request.tenant === tenant).length;
  const states = async (): Promise<string[]> => {
    const listed = JSON.parse((await daemons.run('targets', '--json')).stdout) as Listed[];
    return listed.map(({ state }) => state);
  };
  let daemon = await daemons.start();
  await eventually(() => isThere('t0'), 'a token to read');
  let missed = 0;
  const reader = setInterval(async () => {
    if ((await redis.get(key('t0'))) === null) missed++;
  }, 500);
  onTestFinished(() => clearInterval(reader));

  const sleepers = ['t1', 't2', 't3'];
  for (const tenant of sleepers) await eventually(() => isThere(tenant), 'a token that nobody reads');
  await eventually(
    async () => (await Promise.all(sleepers.map(isThere))).every((there) => !there),
    'the tokens of those that nobody reads have ended',
    30_000,
  );
  expect(await states()).toEqual([expect.stringMatching(/fresh|due/), 'dormant', 'dormant', 'dormant']);
  const { url: http } = JSON.parse(await daemon.waitForLine((line) => line.includes('listening'))) as {
    url: string;
  };
  expect(await (await fetch(`${http}/metrics`)).text()).toMatch(/^evertoken_targets_dormant\{.*\} 3$/m);
  const asked = await Promise.all(sleepers.map(requestsFor));
  expect((await daemon.stop()).code).toBe(0);
  daemon = await daemons.start();

  const before = await requestsFor('t0');
  await eventually(async () => (await requestsFor('t0')) > before + 2, 'what is read is refreshed on');
  expect(await Promise.all(sleepers.map(requestsFor))).toEqual(asked);
  expect((await daemons.run('explain', 'demo/t1/graph')).stdout).toMatch(/dormant[\s\S]*until somebody asks/);

  await redis.xadd(`${namespace}:requests`, '*', 'target', 'demo/t1/graph', 'reason', 'missing');
  await eventually(() => isThere('t1'), 'a consumer has asked', 2000);
  expect(await operator(url, namespace)('refresh', { select: 'demo/t2/graph' })).toMatchObject({
    accepted: 1,
  });
  await eventually(() => isThere('t2'), 'an operator has ordered it', 2000);
  expect(await isThere('t3')).toBe(false);
  const text = readFileSync(daemons.configFile, 'utf8').replace(
    'retireUnreadAfter: 1s',
    'retireUnreadAfter: never',
  );
  writeFileSync(daemons.configFile, text);
  await eventually(() => isThere('t3'), 'its client no longer retires any', 10_000);
  expect(missed).toBe(0);
  expect((await daemon.stop()).code).toBe(0);
});

test('what somebody has woken is refreshed on after Redis came back with a file in which it was dormant', {
  timeout: 90_000,
}, async () => {
  const own = await ownRedis();
  const namespace = 'older-file';
  const idp = await startMockIdp('--lifetime', '8s');
  const refresh = '{ retireUnreadAfter: 1s }';
  const daemons = fleet({
    ...{ redisUrl: own.url, namespace, idpUrl: idp.url, clients: mockClient(idp.url, 1), refresh },
    limits: '{ perHost: 100/s, perTenant: 100/s, identical: 30/20s }',
  });
  const redis = connect(own.url);
  const key = `${namespace}:token:demo/t0/graph`;
  const daemon = await daemons.start();
  const isDormant = async () => (await redis.hexists(`{${key}}:s`, 'z')) === 1 && !(await redis.exists(key));
  await eventually(isDormant, 'it is dormant, and its token has ended', 30_000);
  await redis.save();
  await redis.xadd(`${namespace}:requests`, '*', 'target', 'demo/t0/graph', 'reason', 'missing');
  await eventually(async () => (await redis.get(key)) !== null, 'a consumer has asked', 2000);
  await own.kill('SIGKILL');
  await own.restart();
  await eventually(async () => (await redis.get(key).catch(() => null)) !== null, 'its token is given back');
  const before = (await idp.requests()).length;
  const reader = setInterval(() => redis.get(key), 500);
  onTestFinished(() => clearInterval(reader));
  await eventually(async () => (await idp.requests()).length >= before + 2, 'it is refreshed on', 20_000);
  expect((await daemon.stop()).code).toBe(0);
});

test('while two daemons differ in it nothing retires, and what had is awake once they agree', {
  timeout: 60_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '4s');
  const common = {
    ...{ redisUrl: url, namespace, idpUrl: idp.url, clients: mockClient(idp.url, 4) },
    limits: '{ perHost: 100/s, perTenant: 100/s, identical: 30/20s }',
  };
  const never = fleet({ ...common, refresh: '{ retireUnreadAfter: never }' });
  // It refreshes nothing, so that whatever is known of reads stays known to the other, which retires by it.
  const scheduler = await never.start('scheduler');
  const retiring = await fleet({ ...common, refresh: '{ retireUnreadAfter: 1s }' }).start();
  const redis = connect(url);
  const tenants = ['t0', 't1', 't2', 't3'];
  const key = (tenant: string): string => `${namespace}:token:demo/${tenant}/graph`;
  const state = (tenant: string): string => `{${key(tenant)}}:s`;
  await eventually(
    async () => {
      const requests = await idp.requests();
      return tenants.every((tenant) => requests.filter((sent) => sent.tenant === tenant).length >= 6);
    },
    'all are refreshed on though nobody reads',
    30_000,
  );
  expect(await redis.hget(state('t0'), 'u')).not.toBeNull();
  expect(await Promise.all(tenants.map((tenant) => redis.hget(state(tenant), 'z')))).toEqual([
    ...[null, null, null, null],
  ]);

  // As if one had retired it that had not yet heard of the other.
  const dueKey = (await redis.keys(`{${namespace}}:due:*`))[0] as string;
  const dueInMs = async () => Number(await redis.zscore(dueKey, 'demo/t0/graph')) - Date.now();
  await eventually(
    async () => (await dueInMs()) > 500 && (await redis.hget(state('t0'), 'l')) === null,
    'a moment at which nobody works on it',
  );
  await redis
    .multi()
    .hset(state('t0'), 'z', Date.now())
    .zadd(dueKey, 'XX', Date.now() + 400 * 86_400_000, 'demo/t0/graph')
    .del(key('t0'))
    .exec();
  expect((await retiring.stop()).code).toBe(0);
  const worker = await never.start('worker');
  await eventually(async () => (await redis.exists(key('t0'))) === 1, 'it is refreshed again', 10_000);
  for (const daemon of [scheduler, worker]) expect((await daemon.stop()).code).toBe(0);
});

test('a daemon that cannot know what is read says so once, and refreshes on', {
  timeout: 60_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const admin = connect(url);
  const user = `blind-${namespace}`;
  await admin.call('ACL', 'SETUSER', user, 'on', '>secret', '~*', '&*', '+@all', '-restore');
  onTestFinished(async () => void (await admin.call('ACL', 'DELUSER', user)));
  const idp = await startMockIdp('--lifetime', '4s');
  const daemons = fleet({
    ...{ redisUrl: url, namespace, idpUrl: idp.url, clients: mockClient(idp.url, 1) },
    ...{ refresh: '{ retireUnreadAfter: 1s }', env: { REDIS_URL: url.replace('//', `//${user}:secret@`) } },
    limits: '{ perHost: 100/s, perTenant: 100/s, identical: 30/20s }',
  });
  const daemon = await daemons.start();
  await eventually(async () => (await idp.requests()).length >= 5, 'it is refreshed though nobody reads');
  const said = daemon.stdout.split('\n').filter((line) => line.includes('READS_UNKNOWN'));
  expect(said).toHaveLength(1);
  const { url: http } = JSON.parse(await daemon.waitForLine((line) => line.includes('listening'))) as {
    url: string;
  };
  expect(await (await fetch(`${http}/readyz`)).json()).toMatchObject({
    problems: expect.arrayContaining(['reads-unknown']),
  });
  expect((await daemons.run('check')).stdout).toContain('refresh.retireUnreadAfter does nothing');
  expect((await daemon.stop()).code).toBe(0);
});
