import type { Redis } from 'ioredis';
import { beforeEach, describe, expect, test } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Target } from '../../src/core/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Gates } from '../../src/store/gates.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { SharedLifetimes } from '../../src/store/lifetimes.ts';
import { States } from '../../src/store/states.ts';
import { type CommandLine, commandLine, configText, connectStore } from '../support/cli.ts';
import { sharedRedis } from '../support/redis.ts';

const HOST = 'idp.example';
const GRAPH = 'billing/contoso/graph';
const MAIL = 'billing/contoso/mail';
const TOKEN = 'sentinel-access-token';

interface World {
  readonly cli: CommandLine;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly states: States;
  readonly indexes: Indexes;
  readonly gates: Gates;
  readonly fleet: Fleet;
  readonly target: (id: string) => Target;
  readonly now: number;
}

let world: World;

beforeEach(async () => {
  const { url, namespace } = sharedRedis();
  const cli = commandLine(configText({ redisUrl: url, namespace }));
  const redis = await connectStore(url);
  const keys = new Keys(namespace);
  const catalogue = new Catalogue(loadConfig(cli.configFile, {}).clients);
  const fleet = new Fleet(redis, keys);
  world = {
    ...{ cli, redis, keys, fleet },
    states: new States(redis, keys),
    indexes: new Indexes(redis, keys, 'refresh'),
    gates: new Gates(redis, keys),
    now: await fleet.now(),
    target(id) {
      const target = catalogue.get(id);
      if (target === undefined) throw new Error(`expected ${id} in the configuration`);
      return target;
    },
  };
});

/** A token as a worker publishes it. */
async function publish(id: string, lifeMs: number): Promise<void> {
  const { states, target } = world;
  const begun = await states.begin(target(id), 1000);
  if (begun.outcome !== 'begun') throw new Error(`expected to begin, but got ${begun.outcome}`);
  await states.publish(target(id), {
    accessToken: new Secret(TOKEN),
    tokenType: 'Bearer',
    issuedAt: begun.now,
    expiresAt: begun.now + lifeMs,
    generation: begun.generation,
    digest: 'AAAAAAAA',
    refreshInMs: 0,
    tenantId: '',
  });
}

async function fail(id: string, code: string): Promise<void> {
  const { states, target } = world;
  const begun = await states.begin(target(id), 1000);
  if (begun.outcome !== 'begun') throw new Error(`expected to begin, but got ${begun.outcome}`);
  await states.fail(id, begun.generation, { kind: 'credential', code }, 60_000);
}

const manage = (id: string, inMs: number): Promise<void> =>
  world.indexes.enlist(HOST, [{ target: id, dueAt: world.now + inMs }]);

const heartbeat = (configHash: string): Promise<unknown> =>
  world.fleet.heartbeat(
    {
      id: configHash,
      role: 'all',
      host: 'box',
      pid: 42,
      version: '1.2.3',
      configHash,
      startedAt: Date.now(),
    },
    10_000,
  );

describe('get', () => {
  test('prints the access token alone, without any daemon', async () => {
    await publish(GRAPH, 3_600_000);
    expect(await world.cli.run('get', GRAPH)).toEqual({ code: 0, stdout: `${TOKEN}\n`, stderr: '' });
  });

  test('finds a tenant of Entra however it is written', async () => {
    await publish(GRAPH, 3_600_000);
    expect((await world.cli.run('get', 'billing/ConToso/graph')).stdout).toBe(`${TOKEN}\n`);
  });

  test('prints the record as consumers see it', async () => {
    await publish(GRAPH, 3_600_000);
    const { stdout } = await world.cli.run('--json', 'get', GRAPH);
    expect(JSON.parse(stdout)).toMatchObject({ v: 1, access_token: TOKEN, token_type: 'Bearer' });
  });

  test('ends with 3 and a hint where there is no token', async () => {
    const { code, stdout, stderr } = await world.cli.run('get', GRAPH);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toBe(`evertoken: there is no token for ${GRAPH}; evertoken explain ${GRAPH} says why\n`);
  });

  test('tells what is missing as JSON where JSON is asked for', async () => {
    const { code, stderr } = await world.cli.run('get', GRAPH, '--json');
    expect(code).toBe(3);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'NOT_FOUND' } });
  });
});

describe('explain', () => {
  test('tells of a token that is well, and that no daemon lives', async () => {
    await publish(GRAPH, 3_600_000);
    await manage(GRAPH, 1_800_000);
    const { code, stdout } = await world.cli.run('explain', GRAPH);
    expect(code).toBe(0);
    expect(stdout).toMatch(/has a token that lives for another (1h|59m 5\ds): all is well\.\n/);
    expect(stdout).toContain('No daemon lives');
  });

  test('tells what is wrong, who can mend it and what the policy says', async () => {
    await manage(GRAPH, 0);
    await fail(GRAPH, 'AADSTS7000222');
    await heartbeat('h');
    const { code, stdout } = await world.cli.run('explain', GRAPH, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      id: GRAPH,
      condition: 'failing',
      decision: { act: 'wait', reason: 'backoff' },
      advice: { owner: 'operator', what: 'the client secret has expired' },
    });
    expect(stdout).not.toContain('No daemon lives');
  });

  test('passes over a pause that it cannot read, as a daemon does', async () => {
    const { cli, fleet, now } = world;
    await fleet.pause({ select: 'of a later version', all: false, until: now + 600_000, by: 'oncall' });
    expect(await cli.run('explain', GRAPH)).toMatchObject({ stderr: '' });
    expect((await cli.run('explain', GRAPH)).stdout).not.toContain('An operator has paused it');
  });

  test('tells of a pause that a select means', async () => {
    await manage(GRAPH, 0);
    await world.fleet.pause({ select: 'billing/*/*', all: false, until: world.now + 600_000, by: 'oncall' });
    expect((await world.cli.run('explain', GRAPH)).stdout).toContain('An operator has paused it');
  });

  test('tells of a deleted token key', async () => {
    await publish(GRAPH, 3_600_000);
    await manage(GRAPH, 1_800_000);
    await world.redis.del(world.keys.token(GRAPH));
    expect((await world.cli.run('explain', GRAPH)).stdout).toContain('The token key is gone');
  });

  test('ends with 3 for what is not managed, and says whether it is configured', async () => {
    const configured = await world.cli.run('explain', GRAPH);
    expect(configured.code).toBe(3);
    expect(configured.stdout).toContain('The configuration at hand names it');
    const unknown = await world.cli.run('explain', 'billing/nowhere/graph');
    expect(unknown.code).toBe(3);
    expect(unknown.stdout).toContain('does not name it either');
  });
});

describe('targets', () => {
  test('lists what is managed', async () => {
    await publish(GRAPH, 3_600_000);
    await manage(GRAPH, 1_800_000);
    await manage(MAIL, 0);
    await fail(MAIL, 'AADSTS7000222');
    const { code, stdout } = await world.cli.run('targets');
    expect(code).toBe(0);
    const [header, graph, mail] = stdout.split('\n');
    expect(header).toMatch(/^TARGET +STATE +EXPIRES +NEXT +FAILURES +LAST FAILURE$/);
    expect(graph).toMatch(/^billing\/contoso\/graph +fresh +in /);
    expect(mail).toMatch(/^billing\/contoso\/mail +failing +now +1 +AADSTS7000222$/);
  });

  test('prints a JSON array of those that a select means', async () => {
    await manage(GRAPH, 1000);
    await manage(MAIL, 1000);
    const { stdout } = await world.cli.run('targets', 'billing/*/mail', '--json');
    expect(JSON.parse(stdout)).toMatchObject([
      { target: MAIL, host: HOST, state: 'never issued', generation: 0 },
    ]);
  });

  test('ends with 3 when a select means none, and well when there is none at all', async () => {
    expect((await world.cli.run('targets', 'billing/*/mail')).code).toBe(3);
    expect(await world.cli.run('targets', '--json')).toMatchObject({ code: 0, stdout: '[]\n' });
  });

  test('does not mind when nobody reads its output to the end', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => ({ target: `billing/t${i}/graph`, dueAt: 1 }));
    await world.indexes.enlist(HOST, many);
    const { code, stdout, stderr } = await world.cli.runInto('head -n 1', 'targets');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^TARGET .*\n$/);
  });
});

describe('status', () => {
  test('counts how the targets are, and knows the processes', async () => {
    await publish(GRAPH, 600_000);
    await manage(GRAPH, 300_000);
    await manage(MAIL, 0);
    await manage('billing/gone/graph', 0);
    await heartbeat('h');
    await world.fleet.overrideTenants('billing', ['added'], { op: 'add', by: 'oncall', at: world.now });
    const { code, stdout } = await world.cli.run('status', '--json');
    expect(code).toBe(0);
    const status = JSON.parse(stdout) as { targets: { shortestLifeLeftMs: number } };
    expect(status).toMatchObject({
      processes: [{ host: 'box', pid: 42, role: 'all' }],
      configuration: { processesAgree: true, sameAsHere: false },
      hosts: [{ host: HOST, managed: 3, due: 2, ready: 0, gate: { probing: false } }],
      queueWaiting: 0,
      targets: { total: 3, withToken: 1, byCondition: { fresh: 1, 'never issued': 2 } },
      tenantOverrides: { added: 1, removed: 0 },
      awaitingRemoval: { billing: 1 },
    });
    expect(status.targets.shortestLifeLeftMs).toBeGreaterThan(590_000);
  });

  test('ends with 1 and says so when no daemon lives', async () => {
    const { code, stdout } = await world.cli.run('status');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^No daemon lives/);
  });

  test('shows a closed gate and why', async () => {
    await manage(GRAPH, 0);
    const told = { startedAt: world.now, ceiling: 50, retryAfterMs: 60_000 };
    const event = { kind: 'throttled', tenant: 't', ...told } as const;
    await world.gates.report({ host: HOST }, { ...event, wholeScope: true }, world.now);
    expect((await world.cli.run('status')).stdout).toMatch(/idp\.example .* closed until .*: throttled/);
  });

  test('shows a lowered rate against the lowest limit of any live process', async () => {
    await manage(GRAPH, 0);
    const process = {
      id: 'p',
      role: 'all',
      host: 'box',
      pid: 1,
      version: '1',
      configHash: 'x',
      startedAt: 1,
    };
    await new Fleet(world.redis, world.keys).heartbeat({ ...process, limits: { [HOST]: 20 } });
    const pace = { rate: 7, rateAt: world.now + 600_000, refused: 10 };
    await world.redis.hset(world.keys.hostGate(HOST), pace);
    const { stdout } = await world.cli.run('status');
    expect(stdout).toMatch(/idp\.example .* open at 7\/s of 20\/s, refused at 10\/s/);
    const { hosts } = JSON.parse((await world.cli.run('status', '--json')).stdout);
    expect(hosts[0].gate).toMatchObject({ limit: 20, rate: 7 });
  });
});

describe('check', () => {
  const lives = (lifeMs: number) => ({
    shortestMs: lifeMs,
    meanMs: lifeMs,
    longestMs: lifeMs,
    count: 1,
    at: world.now,
  });

  test('knows that Redis answers, and what the configuration asks of the endpoint', async () => {
    const { code, stdout } = await world.cli.run('check', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      problems: [],
      clients: [{ client: 'billing', host: HOST, targets: 4, isSeen: false, holdsMs: 1_200_000 }],
      hosts: [{ host: HOST, limitPerSecond: 50, fits: true, afterOutage: { late: 0 } }],
    });
  });

  test('counts the tenants that operators added', async () => {
    await world.fleet.overrideTenants('billing', ['added'], { op: 'add', by: 'oncall', at: world.now });
    const { stdout } = await world.cli.run('check', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ clients: [{ targets: 6 }] });
  });

  test('goes by the lives that the fleet has seen, and ends with 1 where they do not suffice', async () => {
    const lifetimes = new SharedLifetimes(world.redis, world.keys);
    await lifetimes.write(new Map([['billing', lives(7_200_000)]]));
    const well = await world.cli.run('check');
    expect(well).toMatchObject({ code: 0, stdout: expect.stringContaining('2h (seen)') });
    await lifetimes.write(new Map([['billing', lives(300_000)]]));
    const { code, stdout } = await world.cli.run('check');
    expect(code).toBe(1);
    expect(stdout).toContain('5m (seen)');
    expect(stdout).toContain(
      'Problem: client billing holds 2 of 20 min: tokens that live 5m can hold at most 3m; set refresh.outageTarget to 3m or less, or have tokens live longer',
    );
  });

  test('ends with 1 when the limits do not suffice, and shows by how much', async () => {
    const { url, namespace } = sharedRedis();
    const cli = commandLine(configText({ redisUrl: url, namespace, perHost: '1/1h' }));
    const { code, stdout } = await cli.run('check');
    expect(code).toBe(1);
    expect(stdout).toMatch(/asked for +6\.7\/h, of 0\.8\/h that plans may use/);
    expect(stdout).toContain(`Problem: ${HOST} asks for more than 80 % of limits.perHost`);
  });
});

test('status has a line for what each client holds, by the lives and the limits of the fleet', async () => {
  const lives = { shortestMs: 300_000, meanMs: 300_000, longestMs: 300_000, count: 1, at: world.now };
  await new SharedLifetimes(world.redis, world.keys).write(new Map([['billing', lives]]));
  expect((await world.cli.run('status')).stdout).toContain(
    'billing holds 2 of 20 min: tokens that live 5m can hold at most 3m',
  );
  const { outages } = JSON.parse((await world.cli.run('status', '--json')).stdout);
  expect(outages).toMatchObject([
    { client: 'billing', host: HOST, outageTargetMs: 1_200_000, holdsMs: 120_000, obstacle: 'life' },
  ]);
});

test('explain goes by the lives that were seen, as daemons do', async () => {
  const { url } = sharedRedis();
  const { namespace } = world.keys;
  const cli = commandLine(configText({ redisUrl: url, namespace, perHost: '9/1h' }));
  await publish(GRAPH, 3_600_000);
  await manage(GRAPH, 1_800_000);
  const why = async (): Promise<string> => {
    const { decision } = JSON.parse((await cli.run('explain', GRAPH, '--json')).stdout);
    return decision.why;
  };
  // Four tokens of an hour would ask for more than 80 % of the limit, so they are refreshed a little later.
  expect(await why()).toContain('between 42 % and 69 %');
  const lives = { shortestMs: 7_200_000, meanMs: 7_200_000, longestMs: 7_200_000, count: 1, at: world.now };
  await new SharedLifetimes(world.redis, world.keys).write(new Map([['billing', lives]]));
  expect(await why()).toContain('between 39 % and 66 %');
});
