import { expect, test } from 'vitest';
import type { Client, Target } from '../../src/core/client.ts';
import type { Marks as CredentialMarks } from '../../src/core/credential-marks.ts';
import { classify, type Problem } from '../../src/core/failure.ts';
import type { GateScope } from '../../src/core/gate.ts';
import { Secret } from '../../src/core/secret.ts';
import { REFRESH_QUEUE } from '../../src/queue/refresh-queue.ts';
import { Bulkhead } from '../../src/refresh/bulkhead.ts';
import { Credentials } from '../../src/refresh/credential-choice.ts';
import { Memory } from '../../src/refresh/memory.ts';
import type {
  Acquired,
  AcquireOptions,
  AcquirePort,
  CataloguePort,
  CredentialAtHand,
} from '../../src/refresh/ports.ts';
import { RefreshTarget } from '../../src/refresh/refresh-target.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Gates } from '../../src/store/gates.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Marks } from '../../src/store/marks.ts';
import { States } from '../../src/store/states.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example';

interface Sent extends AcquireOptions {
  readonly target: string;
  readonly fingerprint: string;
}

type Answer = (sent: Sent) => Acquired | Promise<Acquired>;

let issued = 0;
const token = (more: object = {}): Acquired => ({
  ...{
    ok: true,
    requestId: 'id',
    tokenType: 'Bearer',
    expiresInSeconds: 3600,
    refreshInSeconds: 0,
    tenantId: undefined,
  },
  accessToken: new Secret(`token ${++issued}`),
  digest: `d${issued}`,
  ...more,
});
const refusal = (errorCode: number): Acquired => ({
  ...{ ok: false, requestId: 'id', signAgain: false },
  failure: classify({ answeredBy: 'server', status: 401, error: 'invalid_client', errorCodes: [errorCode] }),
});
const unsent = (problem: Problem): Acquired => ({
  ...{ ok: false, requestId: 'id', signAgain: false },
  failure: classify({ answeredBy: 'unsent', problem }),
});
const WRONG = refusal(7000215);

/** A fleet of processes that refresh targets of one client, before an endpoint that answers as told. */
async function setUp(atHand: readonly (string | { problem: Problem })[], answer: Answer) {
  const { redis, keys } = await openStore(sharedRedis());
  const shared = { redis, keys };
  const ring: { credentials: readonly CredentialAtHand[] } = {
    credentials: atHand.map((each) => (typeof each === 'string' ? { fingerprint: each } : each)),
  };
  const sent: Sent[] = [];
  const recovered: string[] = [];
  const world = { answer, unknown: false };
  const marks = new Marks(redis, keys);
  const indexes = new Indexes(redis, keys, REFRESH_QUEUE);
  const states = new States(redis, keys);
  const gates = new Gates(redis, keys);
  const fleet = new Fleet(redis, keys);
  const acquire: AcquirePort = {
    atHand: async () => ring.credentials,
    request: async (target, fingerprint, options) => {
      const request = { ...options, target: target.id, fingerprint };
      sent.push(request);
      return world.answer(request);
    },
  };
  const process = (): RefreshTarget =>
    new RefreshTarget({
      ...{ states, indexes, gates, acquire, clock: fleet, draw: () => 0.5 },
      perHost: (host) => HOSTS.get(host)?.perHost,
      catalogue: () =>
        ({
          get: (id: string) => (world.unknown ? undefined : targetOf(id)),
          hosts: () => HOSTS,
        }) as unknown as CataloguePort,
      credentials: new Credentials({
        marks,
        acquire,
        recovered: (client) => recovered.push(client),
        scopes: () => 50,
      }),
      memory: new Memory(),
      bulkhead: new Bulkhead(100),
      elapsed: () => performance.now(),
    });
  const processes = [process(), process()] as const;
  let turn = 0;
  /** Runs a job for a target that has just been claimed. */
  const refresh = async (tenant: string) => {
    const target = targetOf(`c/${tenant}/r`);
    await indexes.enlist(HOST, [{ target: target.id, dueAt: 0 }]);
    await indexes.setDue(HOST, [target.id], (await fleet.now()) + 10_000);
    return (processes[turn++ % 2] as RefreshTarget).run(target.id, 'job');
  };
  const state = async (tenant: string) => {
    const [read] = await states.read([`c/${tenant}/r`]);
    if (read === undefined) throw new Error('expected a state');
    return read;
  };
  /** Lets the cool-down of all refused credentials be over. */
  const coolDown = () =>
    marks.change('c', (all: CredentialMarks, now) =>
      all.map((mark) => ({ ...mark, probeAt: now - 1, firstSeenAt: now - 3_600_000 })),
    );
  return {
    ...shared,
    refresh,
    state,
    sent,
    ring,
    world,
    marks,
    recovered,
    coolDown,
    states,
    gates,
    fleet,
    indexes,
  };
}

const HOSTS = new Map([[HOST, { perHost: { count: 50, windowMs: 1000 } }]]);

const CLIENT = {
  name: 'c',
  tenants: Array.from({ length: 50 }, (_, i) => `t${i}.example`),
  resources: [{ name: 'r' }],
  limits: { perHost: { count: 50, windowMs: 1000 }, perTenant: { count: 5, windowMs: 1000 } },
} as unknown as Client;

function targetOf(id: string): Target {
  const [, tenant = ''] = id.split('/');
  return {
    ...{ id, host: HOST, tenantScope: `c/${tenant}`, tenant, fingerprint: 'ffffffff' },
    ...{ outageTargetMs: 1_200_000, identical: { count: 5, windowMs: 300_000 } },
    client: CLIENT,
    resource: { name: 'r' },
  } as Target;
}

const tenants = (from: number, to: number): string[] => CLIENT.tenants.slice(from, to);

test('a new credential is proved by one request, whoever else wants one meanwhile, and then used by all', async () => {
  let proved = (): void => {};
  const answered = new Promise<void>((resolve) => {
    proved = resolve;
  });
  const { refresh, sent, recovered } = await setUp(['new'], async () => {
    await answered;
    return token();
  });
  const first = refresh('t0.example');
  await expect.poll(() => sent.length).toBe(1);
  const others = await Promise.all(tenants(1, 20).map(refresh));
  expect(new Set(others.map(({ outcome, reason }) => `${outcome}: ${reason}`))).toEqual(
    new Set(['given back: credential']),
  );
  expect(sent).toHaveLength(1);
  proved();
  expect(await first).toMatchObject({ outcome: 'refreshed' });
  expect(recovered).toEqual(['c']);
  const again = await Promise.all(tenants(1, 20).map(refresh));
  expect(new Set(again.map(({ outcome }) => outcome))).toEqual(new Set(['refreshed']));
  expect(sent).toHaveLength(20);
});

test('a credential that two tenants have refused costs no third request, whoever asks', async () => {
  const { refresh, sent, world, coolDown, recovered } = await setUp(['only'], () => token());
  await refresh('t0.example');
  world.answer = () => WRONG;
  for (const tenant of tenants(1, 20)) await refresh(tenant);
  expect(sent.slice(1).map(({ target }) => target)).toEqual(['c/t1.example/r', 'c/t2.example/r']);

  await coolDown();
  for (const tenant of tenants(20, 30)) await refresh(tenant);
  expect(sent).toHaveLength(4);

  await coolDown();
  world.answer = () => token();
  for (const tenant of tenants(30, 40)) expect((await refresh(tenant)).outcome).toBe('refreshed');
  expect(recovered).toEqual(['c', 'c']);
});

test('what is held says why and until when, and has neither failed nor been counted', async () => {
  const { refresh, state, world } = await setUp(['only'], () => token());
  await refresh('t0.example');
  world.answer = () => WRONG;
  await refresh('t1.example');
  await refresh('t2.example');
  const held = await refresh('t3.example');
  expect(held).toMatchObject({ outcome: 'given back', reason: 'credential', requests: 0 });
  expect(held.why).toMatch(/every credential of the client is refused, the latest with AADSTS7000215/);
  expect(await state('t3.example')).toMatchObject({ failures: 0, requestLog: [] });
});

test('the next credential is tried in the same attempt, and the good one is used first from then on', async () => {
  const { refresh, sent } = await setUp(['dead', 'good'], ({ fingerprint }) =>
    fingerprint === 'dead' ? WRONG : token(),
  );
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'refreshed', requests: 2 });
  for (const tenant of tenants(1, 10)) expect((await refresh(tenant)).outcome).toBe('refreshed');
  const dead = sent.filter(({ fingerprint }) => fingerprint === 'dead');
  expect(dead.map(({ target }) => target)).toEqual(['c/t0.example/r', 'c/t1.example/r']);
  expect(sent).toHaveLength(12);
});

test('a request with the next credential is counted before it is sent', async () => {
  const { refresh, state } = await setUp(['dead', 'good'], ({ fingerprint }) =>
    fingerprint === 'dead' ? WRONG : token(),
  );
  await refresh('t0.example');
  expect((await state('t0.example')).requestLog).toHaveLength(2);
});

test('a credential that comes first is taken as soon as it has been proved', async () => {
  const { refresh, sent, ring } = await setUp(['old'], () => token());
  await refresh('t0.example');
  ring.credentials = [{ fingerprint: 'new' }, { fingerprint: 'old' }];
  for (const tenant of tenants(1, 4)) await refresh(tenant);
  expect(sent.map(({ fingerprint }) => fingerprint)).toEqual(['old', 'new', 'new', 'new']);
});

test('a probe that says nothing about the credential leaves the next one to another target', async () => {
  const absent = refusal(700016);
  const { refresh, sent, world } = await setUp(['new'], () => absent);
  await refresh('t0.example');
  world.answer = () => token();
  expect(await refresh('t1.example')).toMatchObject({ outcome: 'refreshed' });
  expect(sent).toHaveLength(2);
});

test('an assertion that was the trouble is signed again once, with the same credential', async () => {
  const outside: Acquired = { ...refusal(700024), signAgain: true } as Acquired;
  const { refresh, sent, world } = await setUp(['certificate'], ({ signAgain }) =>
    signAgain ? token() : outside,
  );
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'refreshed', requests: 2 });
  world.answer = () => outside;
  expect(await refresh('t1.example')).toMatchObject({ outcome: 'failed', requests: 2 });
  expect(sent.map(({ signAgain }) => signAgain)).toEqual([false, true, false, true]);
});

test('where nothing can be used the target says so, and no request is counted', async () => {
  const { refresh, state, sent } = await setUp([{ problem: 'certificate expired' }], () => token());
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'failed', requests: 0 });
  expect(sent).toEqual([]);
  expect(await state('t0.example')).toMatchObject({
    failure: { kind: 'credential', code: 'certificate expired' },
    requestLog: [],
  });
});

test('a credential that cannot prove anything now gives way to the next one and is held against nobody', async () => {
  const { refresh, sent, gates, state, marks } = await setUp(['identity', 'secret'], ({ fingerprint }) =>
    fingerprint === 'identity' ? unsent('managed identity unavailable') : token(),
  );
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'refreshed', requests: 1 });
  expect(sent.map(({ fingerprint }) => fingerprint)).toEqual(['identity', 'secret']);
  expect((await state('t0.example')).requestLog).toHaveLength(1);
  expect(await gates.read({ host: HOST })).toMatchObject({ suspect: '' });
  const [all] = await marks.read(['c']);
  expect(all?.find(({ fingerprint }) => fingerprint === 'identity')).toMatchObject({ refusedBy: [] });
});

test('a domain whose tokens name another tenant than before gets none of them', async () => {
  const { refresh, state, states, world } = await setUp(['only'], () => token({ tenantId: 'one' }));
  const { generation } = await refresh('t0.example');
  world.answer = () => token({ tenantId: 'other' });
  await states.want('c/t0.example/r', 'a test');
  expect(await refresh('t0.example')).toMatchObject({
    outcome: 'failed',
    failure: { code: 'token of another tenant' },
  });
  expect(await state('t0.example')).toMatchObject({ generation, tenantId: 'one' });
});

test('after a purge the domain may belong to another tenant', async () => {
  const { refresh, states, world } = await setUp(['only'], () => token({ tenantId: 'one' }));
  await refresh('t0.example');
  await states.erase('c/t0.example/r', false);
  world.answer = () => token({ tenantId: 'other' });
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'refreshed' });
});

test('the same token again is noticed, and asked for later than a new one would be', async () => {
  const { refresh, states, fleet } = await setUp(['only'], () => token({ digest: 'same one' }));
  const first = await refresh('t0.example');
  await states.want('c/t0.example/r', 'a test');
  const second = await refresh('t0.example');
  expect([first.repeated, second.repeated]).toEqual([false, true]);
  const now = await fleet.now();
  expect((first.nextAt ?? 0) - now).toBeLessThan(2_400_000);
  expect((second.nextAt ?? 0) - now).toBeGreaterThan(2_400_000);
});

test('a token is planned for when its server would have it refreshed, and its state says so', async () => {
  const answers = [{}, { refreshInSeconds: 60_000 }].map((more) =>
    token({ expiresInSeconds: 86_400, ...more }),
  );
  const { refresh, state, states } = await setUp(['only'], () => answers.shift() ?? token());
  const first = await refresh('t0.example');
  const { issuedAt: firstIssuedAt } = await state('t0.example');
  await states.want('c/t0.example/r', 'a test');
  const second = await refresh('t0.example');
  const { issuedAt, refreshInMs } = await state('t0.example');
  expect(refreshInMs).toBe(60_000_000);
  expect((first.nextAt ?? 0) - firstIssuedAt).toBeLessThan(55_000_000);
  expect((second.nextAt ?? 0) - issuedAt).toBeGreaterThan(60_000_000);
});

test("a consumer's claims go with the next request, and not with those after a token has come", async () => {
  const { refresh, states, sent, world } = await setUp(['only'], () => token());
  const want = (claims: string) => states.want('c/t0.example/r', 'a test', 0, undefined, claims);
  await want('{"access_token":{}}');
  await refresh('t0.example');
  await want('');
  await refresh('t0.example');
  expect(sent.map(({ claims }) => claims)).toEqual(['{"access_token":{}}', undefined]);
  world.answer = () => refusal(700016);
  await want('{"id_token":{}}');
  await refresh('t0.example');
  await want('');
  await refresh('t0.example');
  expect(sent.slice(2).map(({ claims }) => claims)).toEqual(['{"id_token":{}}', '{"id_token":{}}']);
});

test('the marks of a later version are left alone, and what is no mark counts as none', async () => {
  const { redis, keys, marks } = await setUp(['only'], () => token());
  const key = keys.credentials('c');
  await redis.set(key, '{"v":2,"marks":[{"new":true}]}');
  expect(await marks.read(['c'])).toEqual([[]]);
  await marks.change('c', () => []);
  expect(await redis.get(key)).toBe('{"v":2,"marks":[{"new":true}]}');
  for (const nonsense of ['{', '7', '{"v":1,"marks":[1,{"fingerprint":"x"}]}'])
    await redis.set(key, nonsense).then(async () => expect(await marks.read(['c'])).toEqual([[]]));
  await redis.del(key);
  await redis.lpush(key, 'a list');
  expect(await marks.read(['c'])).toEqual([[]]);
});

test('a token is safe before anything is said of its credential', async () => {
  const { refresh, state, marks } = await setUp(['only'], () => token());
  const change = marks.change.bind(marks);
  let calls = 0;
  marks.change = (client, reduce) => {
    calls += 1;
    // The first is the claim of the probe, the second the report.
    return calls === 2 ? Promise.reject(new Error('connection is closed')) : change(client, reduce);
  };
  await expect(refresh('t0.example')).rejects.toThrow('connection is closed');
  expect((await state('t0.example')).generation).toBeGreaterThan(0);
});

test('what was never sent is not counted, however often it was tried', async () => {
  const { refresh, states, world, state } = await setUp(['identity'], () =>
    unsent('managed identity unavailable'),
  );
  for (let i = 0; i < 6; i++) {
    await refresh('t0.example');
    await states.want('c/t0.example/r', 'a test');
  }
  world.answer = () => token();
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'refreshed' });
  expect((await state('t0.example')).requestLog).toHaveLength(1);
});

test('a target that a process does not know is offered to the others at once', async () => {
  const { refresh, world, indexes, fleet } = await setUp(['only'], () => token());
  world.unknown = true;
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'given back', reason: 'not configured here' });
  const [dueAt] = await indexes.dueAt(HOST, ['c/t0.example/r']);
  expect((dueAt as number) - (await fleet.now())).toBeLessThan(300);
});

test('a credential of nobody else keeps its process from a target for a moment only', async () => {
  const { refresh, world, ring, marks } = await setUp(['good', 'bad'], () => token());
  await refresh('t0.example');
  ring.credentials = [{ fingerprint: 'bad' }];
  world.answer = () => WRONG;
  for (const tenant of tenants(1, 4)) await refresh(tenant);
  const held = await refresh('t5.example');
  expect(held).toMatchObject({ outcome: 'given back', reason: 'credential' });
  expect(held.why).toMatch(/another process has a credential that works/);
  expect((await marks.read(['c']))[0]).toHaveLength(2);
});

test('what cannot be read as marks is dropped', async () => {
  const { redis, keys, refresh } = await setUp(['only'], () => token());
  await redis.set(keys.credentials('c'), Buffer.from([0xff, 0xfe, 0x00]));
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'refreshed' });
});

test('marks of a later version are used as they are: a credential at hand is tried', async () => {
  const { redis, keys, refresh } = await setUp(['only'], () => token());
  await redis.set(keys.credentials('c'), '{"v":2,"marks":[]}');
  expect(await refresh('t0.example')).toMatchObject({ outcome: 'refreshed' });
  expect(await redis.get(keys.credentials('c'))).toBe('{"v":2,"marks":[]}');
});

test('a refusal lowers the rate of the tenant, and of the host with a second tenant, each from its own limit', async () => {
  const failure = classify({ answeredBy: 'server', status: 429, error: 'slow_down', retryAfterMs: 9000 });
  const { refresh, gates } = await setUp(['good'], () => ({
    ...{ ok: false, requestId: 'id', signAgain: false, failure },
  }));
  await refresh('t0.example');
  expect((await gates.read({ tenantScope: 'c/t0.example' })).pace).toMatchObject({ rate: 3.5, refused: 5 });
  expect((await gates.read({ host: HOST })).pace.rate).toBe(0);
  await refresh('t1.example');
  expect((await gates.read({ host: HOST })).pace).toMatchObject({ rate: 35, refused: 50 });
});

test('a token that is issued at lowered rates is told to host and tenant alike', async () => {
  const { refresh, gates, redis, keys } = await setUp(['good'], () => token());
  const lowered = { rate: 2, rateAt: 1, refused: 3, untested: 1 };
  const scopes: GateScope[] = [{ host: HOST }, { tenantScope: 'c/t0.example' }];
  await redis.hset(keys.hostGate(HOST), lowered);
  await redis.hset(keys.tenantGate('c/t0.example'), lowered);
  await refresh('t0.example');
  for (const scope of scopes) expect((await gates.read(scope)).pace).toEqual({ ...lowered, untested: false });
});
