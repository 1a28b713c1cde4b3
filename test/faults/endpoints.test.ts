import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, tenants } from '../support/fleet.ts';
import { operator } from '../support/operator.ts';
import { Reader } from '../support/reader.ts';
import { connect, sharedRedis } from '../support/redis.ts';
import {
  OAUTH_429,
  PLAIN_429,
  PLAIN_503,
  type ScriptedIdp,
  startScriptedIdp,
} from '../support/scripted-idp.ts';

const LIFETIME_SECONDS = 20;
const LIMITS = '{ perHost: 100/s, perTenant: 10/s, identical: 10/20s }';
/** A request that was on its way when the answer came that closed the gate. */
const IN_FLIGHT_MS = 300;

function client(name: string, idp: ScriptedIdp, count: number): string {
  return `
  ${name}:
    clientId: ${name}
    tokenEndpoint: ${idp.url}/{tenant}/token
    credentials: [ { secret: { env: DEMO_SECRET } } ]
    tenants: [${tenants(name, count).join(', ')}]
    resources: { api: scope }
    expectLifetime: 20s`;
}

const targetsOf = (name: string, count: number): string[] =>
  tenants(name, count).map((tenant) => `${name}/${tenant}/api`);

/** Two daemons, and a reader of every target. */
async function running(clients: readonly (readonly [string, ScriptedIdp, number])[]) {
  const { url, namespace } = sharedRedis();
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: '',
    limits: LIMITS,
    clients: clients.map((each) => client(...each)).join('\n'),
  });
  const started = await Promise.all([daemons.start(), daemons.start()]);
  const reader = (name: string, count: number): Reader => {
    const own = new Reader(url, namespace, targetsOf(name, count));
    own.start();
    return own;
  };
  const stop = async (): Promise<void> => {
    for (const { code } of await Promise.all(started.map((daemon) => daemon.stop()))) expect(code).toBe(0);
  };
  return { url, namespace, daemons, reader, stop };
}

test('a host that hangs does not keep the tokens of another host from being fresh', {
  timeout: 90_000,
}, async () => {
  const [good, hanging] = [
    await startScriptedIdp(LIFETIME_SECONDS),
    await startScriptedIdp(LIFETIME_SECONDS),
  ];
  hanging.react(() => 'hang');
  const { reader, stop } = await running([
    ['bad', hanging, 200],
    ['good', good, 50],
  ]);
  const seen = reader('good', 50);
  await seen.everyKey(15_000);
  seen.reset();

  await seen.readFor(1.2 * LIFETIME_SECONDS * 1000);

  expect(seen.seen).toMatchObject({ missed: [], expired: [], present: 50 });
  expect(seen.seen.leastLifeLeft).toBeGreaterThan(0.2);
  hanging.react(() => 'token');
  await stop();
});

test('Retry-After without an OAuth body holds the whole host for all daemons, and nothing is sent meanwhile', {
  timeout: 60_000,
}, async () => {
  const idp = await startScriptedIdp(LIFETIME_SECONDS);
  const { reader, stop } = await running([['one', idp, 60]]);
  const seen = reader('one', 60);
  await seen.everyKey(15_000);
  seen.reset();
  idp.react(() => PLAIN_429);
  const before = idp.requests.length;
  await eventually(() => idp.requests.length > before, 'a refresh is due');
  const closedAt = (idp.requests[before] as { at: number }).at;
  idp.react(() => 'token');

  await eventually(() => idp.requests.some(({ at }) => at >= closedAt + 4000), 'the gate opens');

  const meanwhile = idp.requests.filter(({ at }) => at > closedAt + IN_FLIGHT_MS && at < closedAt + 4000);
  expect(meanwhile).toEqual([]);
  await seen.readFor(5000);
  expect(seen.seen).toMatchObject({ missed: [], expired: [], wentBack: [], present: 60 });
  await stop();
});

test('Retry-After with an OAuth body holds one client and tenant, and the others go on', {
  timeout: 60_000,
}, async () => {
  const idp = await startScriptedIdp(LIFETIME_SECONDS);
  const { reader, stop, url, namespace } = await running([['one', idp, 60]]);
  const seen = reader('one', 60);
  await seen.everyKey(15_000);
  seen.reset();
  idp.react(({ tenant }) => (tenant === 'one7' ? OAUTH_429 : 'token'));
  const before = idp.requests.length;
  const ofSeven = (): readonly number[] =>
    idp.requests.slice(before).flatMap(({ tenant, at }) => (tenant === 'one7' ? [at] : []));
  const forceAll = { select: 'one/*/*', force: true };
  await operator(url, namespace)('refresh', forceAll);
  await eventually(() => ofSeven().length > 0, 'the tenant is asked');
  const throttledAt = ofSeven()[0] as number;
  const gate = `{${namespace}}:gate:tenant:one/one7`;
  const redis = connect(url);
  await eventually(async () => (await redis.hget(gate, 'closedUntil')) !== null, 'its gate is closed');
  const closedFrom = idp.requests.length;

  await operator(url, namespace)('refresh', forceAll);

  const others = (): number => new Set(idp.requests.slice(closedFrom).map(({ tenant }) => tenant)).size;
  await eventually(() => others() >= 50, 'the others are refreshed meanwhile', 3000);
  await eventually(() => ofSeven().length > 1, 'and the tenant again after Retry-After');
  expect(ofSeven()[1]).toBeGreaterThanOrEqual(throttledAt + 4000);
  expect(seen.seen).toMatchObject({ missed: [], expired: [], present: 60 });
  idp.react(() => 'token');
  await stop();
});

test('in an outage live tokens stay, calls are few, and afterwards every token is back without a herd', {
  timeout: 90_000,
}, async () => {
  const idp = await startScriptedIdp(LIFETIME_SECONDS);
  const { reader, stop, url, namespace } = await running([['one', idp, 100]]);
  const seen = reader('one', 100);
  await seen.everyKey(15_000);
  await seen.readFor(LIFETIME_SECONDS * 500);
  seen.reset();
  idp.react(() => PLAIN_503);
  const outageAt = idp.requests.length;
  const gate = `{${namespace}}:gate:host:${new URL(idp.url).host}`;
  const redis = connect(url);
  await eventually(async () => (await redis.hget(gate, 'probing')) === '1', 'two tenants have found it down');
  // Shorter than what every token has left when the outage begins: none may be missed.
  await seen.readFor(6000);
  const failed = idp.requests.length - outageAt;
  const backAt = Date.now();
  idp.react(() => 'token');

  await eventually(async () => (await redis.hget(gate, 'probing')) === '0', 'a probe finds it alive');
  await seen.readFor(LIFETIME_SECONDS * 1000);

  expect(seen.seen).toMatchObject({ missed: [], expired: [], wentBack: [], present: 100 });
  // Before it was known to be down some were in flight; since then one probe at a time.
  expect(failed).toBeLessThan(25);
  const afterwards = idp.requests.filter(({ at }) => at >= backAt).map(({ at }) => at);
  expect(
    Math.max(
      ...afterwards.map((start) => afterwards.filter((at) => at >= start && at < start + 1000).length),
    ),
  ).toBeLessThanOrEqual(100 + 15);
  await stop();
});
