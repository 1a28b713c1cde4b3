import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp, tenants } from '../support/fleet.ts';
import type { TestProcess } from '../support/process.ts';
import { connect, sharedRedis } from '../support/redis.ts';

const TIMEOUT = { timeout: 60_000 };
/** Short enough to see tokens being refreshed, with limits that allow it. */
const LIVELY = {
  limits: '{ perHost: 100/s, perTenant: 20/s, identical: 40/20s }',
  refresh: '{ outageTarget: 1s }',
};

/** A fleet that runs, and what may be done about its configuration. */
async function setUp({ tenantCount = 3, lifetime = '1h', daemonCount = 1 } = {}) {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', lifetime);
  const clients = mockClient(idp.url, tenantCount);
  const settings = { redisUrl: url, namespace, idpUrl: idp.url, clients };
  const daemons = fleet(lifetime === '1h' ? settings : { ...settings, ...LIVELY });
  const running: TestProcess[] = [];
  for (let i = 0; i < daemonCount; i++) running.push(await daemons.start());
  const redis = connect(url);
  const key = (tenant: string, client = 'demo'): string => `${namespace}:token:${client}/${tenant}/graph`;
  const present = async (): Promise<number> => (await redis.keys(`${namespace}:token:*`)).length;
  const managed = (host = new URL(idp.url).host): Promise<number> =>
    redis.zcard(`{${namespace}}:due:${host}`);
  const generation = async (tenant: string): Promise<number> =>
    (JSON.parse((await redis.get(key(tenant))) ?? '{"generation":0}') as { generation: number }).generation;
  await eventually(async () => (await present()) === tenantCount, 'all tokens are there');

  const text = readFileSync(daemons.configFile, 'utf8');
  const write = (changed: string): void => {
    // As careful programs do it: a reader sees the old file or the new one.
    writeFileSync(`${daemons.configFile}.new`, changed);
    renameSync(`${daemons.configFile}.new`, daemons.configFile);
  };
  const reload = (changed: string): void => {
    write(changed);
    for (const daemon of running) daemon.signal('SIGHUP');
  };
  const withTenants = (ids: readonly string[]): string =>
    text.replace(/^ {4}tenants: .*$/m, `    tenants: [${ids.join(', ')}]`);
  const stop = async (): Promise<void> => {
    for (const daemon of running) expect((await daemon.stop()).code).toBe(0);
  };
  return {
    ...{ idp, daemons, running, redis, namespace, text },
    ...{ key, present, managed, generation, write, reload, withTenants, stop },
  };
}

async function listening(daemon: TestProcess): Promise<string> {
  const line = await daemon.waitForLine((text) => text.includes('"listening"'));
  return (JSON.parse(line) as { url: string }).url;
}

async function problems(daemon: TestProcess): Promise<readonly string[]> {
  const response = await fetch(`${await listening(daemon)}/healthz`);
  expect(response.status).toBe(200);
  return ((await response.json()) as { problems: readonly string[] }).problems;
}

const hasProblem = async (daemon: TestProcess, name: string): Promise<boolean> =>
  (await problems(daemon)).includes(name);

describe('a daemon whose file has changed', () => {
  test('serves a new client at a new host, of itself and without a signal', TIMEOUT, async () => {
    const { idp, redis, text, key, write, stop } = await setUp();
    const other = await startMockIdp('--lifetime', '1h');
    write(text + mockClient(other.url, 2).replace('  demo:', '  second:'));
    await eventually(async () => (await redis.exists(key('t1', 'second'))) === 1, 'it has tokens');
    expect(await other.requests()).toHaveLength(2);
    expect(await idp.requests()).toHaveLength(3);
    await stop();
  });

  test('wants tokens anew whose scope is another now, and leaves the others alone', TIMEOUT, async () => {
    const { idp, redis, text, key, reload, stop } = await setUp();
    const audienceOf = async (tenant: string): Promise<string> => {
      const { access_token } = JSON.parse((await redis.get(key(tenant))) ?? '{}') as { access_token: string };
      const claims = Buffer.from(access_token.split('.')[1] as string, 'base64url').toString();
      return (JSON.parse(claims) as { aud: string }).aud;
    };
    const changed = text.replace('https://graph.example/.default', 'https://other.example/.default');
    reload(changed);
    await eventually(
      async () => (await Promise.all(tenants('t', 3).map(audienceOf))).every((aud) => aud.includes('other')),
      'tokens for the new scope',
    );
    reload(`${changed}\n# nothing else`);
    reload(changed.replace('t2]', 't2, t3]'));
    await eventually(async () => (await redis.exists(key('t3'))) === 1, 'one more tenant');
    expect(await idp.requests()).toHaveLength(7);
    await stop();
  });

  test('drops one tenant of ten with its token and its state within seconds', TIMEOUT, async () => {
    const { redis, namespace, key, present, managed, reload, withTenants, stop } = await setUp({
      tenantCount: 10,
      daemonCount: 2,
    });
    reload(withTenants(tenants('t', 9)));
    await eventually(async () => (await present()) === 9, 'the token has gone', 10_000);
    expect(await redis.exists(key('t9'))).toBe(0);
    expect(await managed()).toBe(9);
    // What is left of the state keeps the identical limit, and ends by itself.
    const state = `{${namespace}:token:demo/t9/graph}:s`;
    expect(await redis.hget(state, 'e')).toBeNull();
    expect(await redis.pttl(state)).toBeGreaterThan(0);
    await stop();
  });

  test('takes over a list of tenants that is swapped by a symbolic link', TIMEOUT, async () => {
    const { daemons, text, present, write, stop } = await setUp();
    const folder = dirname(daemons.configFile);
    const publish = (version: string, ids: readonly string[]): void => {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, 'tenants.txt'), ids.join('\n'));
      symlinkSync(version, join(folder, `${version}.link`));
      renameSync(join(folder, `${version}.link`), join(folder, '..data'));
    };
    publish('first', tenants('t', 4));
    symlinkSync('..data/tenants.txt', join(folder, 'tenants.txt'));
    write(text.replace(/^ {4}tenants: .*$/m, '    tenants: { file: tenants.txt }'));
    await eventually(async () => (await present()) === 4, 'the list is read');
    publish('second', tenants('t', 6));
    await eventually(async () => (await present()) === 6, 'the swapped list is read');
    await stop();
  });
});

describe('a change that drops six tenants of ten', () => {
  const DROPPED = tenants('t', 10).slice(4);

  test(
    'keeps their tokens fresh until an operator confirms it, in every process, and then drops them',
    TIMEOUT,
    async () => {
      const scene = await setUp({ tenantCount: 10, lifetime: '4s', daemonCount: 2 });
      const { idp, daemons, running, present, managed, generation, reload, withTenants, stop } = scene;
      reload(withTenants([...tenants('t', 4), 'new']));
      await eventually(async () => (await generation('new')) > 0, 'what is new is served at once');
      for (const daemon of running) {
        await daemon.waitForLine((line) => line.includes('more than a fifth'));
        expect(await hasProblem(daemon, 'removal-awaits-confirmation')).toBe(true);
      }
      const metrics = await (await fetch(`${await listening(running[0] as TestProcess)}/metrics`)).text();
      expect(metrics).toContain('evertoken_removals_awaiting_confirmation{client="demo"} 6');

      const before = await Promise.all(DROPPED.map(generation));
      await eventually(
        async () =>
          (await Promise.all(DROPPED.map(generation))).every((now, i) => now > (before[i] as number)),
        'they are refreshed all the same',
      );
      expect([await present(), await managed()]).toEqual([11, 11]);

      const confirmed = await daemons.run('remove', 'demo', '--absent', '--json');
      expect(confirmed.stderr).toBe('');
      expect(JSON.parse(confirmed.stdout)).toMatchObject({ matched: 6, accepted: 6 });
      expect([await present(), await managed()]).toEqual([5, 5]);
      for (const daemon of running)
        await eventually(async () => (await problems(daemon)).length === 0, 'nothing waits any more');
      const sent = (await idp.requests()).length;
      await eventually(async () => (await idp.requests()).length >= sent + 5, 'the others go on');
      const after = (await idp.requests()).slice(sent).map(({ tenant }) => tenant);
      expect(after.filter((tenant) => DROPPED.includes(tenant))).toEqual([]);
      await stop();
    },
  );

  test(
    'is confirmed for all also where a process was started anew meanwhile, which keeps nothing',
    TIMEOUT,
    async () => {
      const scene = await setUp({ tenantCount: 10, daemonCount: 2 });
      const { daemons, running, present, managed, reload, withTenants, stop } = scene;
      reload(withTenants(tenants('t', 4)));
      for (const daemon of running) await daemon.waitForLine((line) => line.includes('more than a fifth'));
      expect((await (running.pop() as TestProcess).stop()).code).toBe(0);
      running.push(await daemons.start());
      expect([await present(), await managed()]).toEqual([10, 10]);

      const confirmed = await daemons.run('remove', 'demo', '--absent', '--json');
      expect(JSON.parse(confirmed.stdout)).toMatchObject({ accepted: 6 });
      expect([await present(), await managed()]).toEqual([4, 4]);
      await stop();
    },
  );

  test('is forgotten when they are named again', TIMEOUT, async () => {
    const { running, text, present, reload, withTenants, stop } = await setUp({ tenantCount: 10 });
    const [daemon] = running as [TestProcess];
    reload(withTenants(tenants('t', 4)));
    await eventually(() => hasProblem(daemon, 'removal-awaits-confirmation'), 'it waits');
    reload(text);
    await eventually(async () => (await problems(daemon)).length === 0, 'it waits no more');
    expect(await present()).toBe(10);
    await stop();
  });
});

describe('a file that cannot be used', () => {
  test('is told loudly while the last good one runs on, until it is repaired', TIMEOUT, async () => {
    const { running, text, present, write, reload, stop } = await setUp();
    const [daemon] = running as [TestProcess];
    const metric = async (): Promise<string | undefined> =>
      /^evertoken_configuration_valid (.)/m.exec(
        await (await fetch(`${await listening(daemon)}/metrics`)).text(),
      )?.[1];
    expect(await metric()).toBe('1');
    write(text.replace('clientId:', 'clientld:'));
    const line = await daemon.waitForLine((printed) => printed.includes('cannot be used'));
    expect(JSON.parse(line)).toMatchObject({ level: 'error' });
    expect(line).toContain('clientld');
    expect(await problems(daemon)).toEqual(['configuration-broken']);
    expect((await fetch(`${await listening(daemon)}/readyz`)).status).toBe(200);
    expect(await metric()).toBe('0');
    expect(await present()).toBe(3);

    reload('clients: [half of a fi');
    await eventually(() => daemon.stdout.split('cannot be used').length === 3, 'it is told again');

    write(text.replace('t2]', 't2, t3]'));
    await eventually(async () => (await present()) === 4, 'the repaired one is in effect');
    expect(await problems(daemon)).toEqual([]);
    expect(await metric()).toBe('1');
    await stop();
  });

  test('says what only a restart changes, and applies the rest', TIMEOUT, async () => {
    const { running, text, namespace, present, reload, stop } = await setUp();
    const [daemon] = running as [TestProcess];
    const changed = text.replace('t2]', 't2, t3]');
    reload(changed.replace(`namespace: ${namespace}`, 'namespace: other'));
    const line = await daemon.waitForLine((printed) => printed.includes('only by a restart'));
    expect(JSON.parse(line)).toMatchObject({ level: 'error', keys: ['namespace'] });
    await eventually(async () => (await present()) === 4, 'the rest is applied');
    expect(await problems(daemon)).toEqual(['configuration-needs-restart']);
    reload(changed);
    await eventually(async () => (await problems(daemon)).length === 0, 'it is as it was');
    await stop();
  });
});
