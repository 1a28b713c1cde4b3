import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { connect, sharedRedis } from '../support/redis.ts';
import { startScriptedIdp } from '../support/scripted-idp.ts';

async function running(limits = '{ perHost: 50/s, perTenant: 5/s, identical: 20/5m }') {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '1h');
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: mockClient(idp.url, 1),
    limits,
  });
  const redis = connect(url);
  const key = `${namespace}:token:demo/t0/graph`;
  const generation = async (): Promise<number> =>
    (JSON.parse((await redis.get(key)) ?? '{"generation":0}') as { generation: number }).generation;
  const ask = (fields: Record<string, string>): Promise<unknown> =>
    redis.xadd(
      `${namespace}:requests`,
      'MAXLEN',
      '~',
      10000,
      '*',
      ...Object.entries({ target: 'demo/t0/graph', ...fields }).flat(),
    );
  const daemon = await daemons.start();
  await eventually(async () => (await generation()) > 0, 'a token');
  return { namespace, idp, redis, key, generation, ask, daemon };
}

test('a token that a resource rejected is replaced once, however often that is said', {
  timeout: 30_000,
}, async () => {
  const { generation, ask, idp, daemon } = await running();
  const rejected = await generation();

  for (let i = 0; i < 20; i++) await ask({ reason: 'rejected', generation: String(rejected) });

  await eventually(async () => (await generation()) > rejected, 'a newer token');
  // Said of a token that is no longer the current one, it means nothing.
  await ask({ reason: 'rejected', generation: String(rejected) });
  await ask({ reason: 'rejected', generation: 'nonsense' });
  await ask({ target: 'demo/../../x', reason: 'rejected', generation: '1' });
  const current = await generation();
  await ask({ reason: 'rejected', generation: String(current) });
  await eventually(
    async () => (await generation()) > current,
    'what was asked after the nonsense is answered',
  );
  expect(await idp.requests()).toHaveLength(3);
  expect((await daemon.stop()).code).toBe(0);
});

test('a token key that somebody deleted is missed by a consumer and comes back', {
  timeout: 30_000,
}, async () => {
  const { generation, ask, redis, key, daemon, idp } = await running();
  await redis.del(key);
  await ask({ reason: 'missing' });
  await eventually(async () => (await generation()) > 0, 'the token is back');
  for (let i = 0; i < 5; i++) await ask({ reason: 'missing' });
  await ask({ reason: 'rejected', generation: String(await generation()) });
  await eventually(async () => (await idp.requests()).length === 3, 'the last one is answered');
  expect((await daemon.stop()).code).toBe(0);
});

test('each new token is announced with its target and generation', { timeout: 30_000 }, async () => {
  const { namespace, redis, generation, ask, daemon } = await running();
  const subscriber = redis.duplicate();
  const announced = new Promise<string>((resolve) =>
    subscriber.on('message', (_channel, message) => resolve(message)),
  );
  await subscriber.subscribe(`${namespace}:refreshed`);
  await ask({ reason: 'rejected', generation: String(await generation()) });
  const message = await announced;
  subscriber.disconnect();
  expect(message).toBe(`demo/t0/graph ${await generation()}`);
  expect((await daemon.stop()).code).toBe(0);
});

test('a resource that rejects every token leaves requests for the plan and for operators', {
  timeout: 30_000,
}, async () => {
  const { generation, ask, idp, daemon } = await running(
    '{ perHost: 50/s, perTenant: 5/s, identical: 9/5m }',
  );
  // Half of the eight that a plan may use are the consumers' at the most.
  for (let expected = 2; expected <= 4; expected++) {
    const current = await generation();
    await ask({ reason: 'rejected', generation: String(current) });
    await eventually(async () => (await generation()) > current, `request ${expected}`);
  }
  for (let i = 0; i < 20; i++) await ask({ reason: 'rejected', generation: String(await generation()) });
  await daemon.stop();
  expect(await idp.requests()).toHaveLength(4);
});

test("a resource's claims challenge goes with the next request, beside the capability, and its id is in log and explain", {
  timeout: 30_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startScriptedIdp(3600);
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: `  demo:
    clientId: demo-client
    authority: ${idp.url}
    capabilities: [cp1]
    credentials: [ { secret: { env: DEMO_SECRET } } ]
    tenants: [ t0 ]
    resources: { graph: https://graph.example/.default }`,
  });
  const redis = connect(url);
  const key = `${namespace}:token:demo/t0/graph`;
  const generation = async (): Promise<number> =>
    (JSON.parse((await redis.get(key)) ?? '{"generation":0}') as { generation: number }).generation;
  const daemon = await daemons.start();
  await eventually(async () => (await generation()) > 0, 'a token');

  const challenge = { access_token: { nbf: { essential: true, value: '1700000000' } } };
  idp.react(() => ({ status: 400, body: JSON.stringify({ error: 'invalid_grant', error_codes: [65001] }) }));
  const fields = ['target', 'demo/t0/graph', 'reason', 'rejected', 'generation', String(await generation())];
  const claims = Buffer.from(JSON.stringify(challenge)).toString('base64');
  await redis.xadd(`${namespace}:requests`, '*', ...fields, 'claims', claims);
  await eventually(async () => idp.requests.length === 2, 'it is asked for');

  const [first, second] = idp.requests.map((request) => JSON.parse(request.claims) as unknown);
  expect(first).toEqual({ access_token: { xms_cc: { values: ['cp1'] } } });
  expect(second).toEqual({ access_token: { xms_cc: { values: ['cp1'] }, ...challenge.access_token } });
  const sent = idp.requests[1]?.requestId ?? '';
  expect(sent).toMatch(/^[0-9a-f-]{36}$/);
  await eventually(async () => daemon.stdout.includes('token not refreshed'), 'the failure is logged');
  const line = daemon.stdout.split('\n').find((each) => each.includes('token not refreshed')) ?? '';
  expect(JSON.parse(line)).toMatchObject({ requestId: sent, failure: { correlationId: sent } });
  const explained = await daemons.run('explain', 'demo/t0/graph');
  expect(explained.stdout).toContain(`correlation id ${sent}`);
  expect((await daemon.stop()).code).toBe(0);
});
