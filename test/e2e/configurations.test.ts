import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Fleet, fleet, type IdentityProvider, mockClient, startMockIdp } from '../support/fleet.ts';
import { operator } from '../support/operator.ts';
import { connect, sharedRedis } from '../support/redis.ts';

/** Fleets on one Redis and namespace, each with a configuration of its own. */
async function setUp() {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '1h');
  const redis = connect(url);
  const withTenants = (count: number): Fleet =>
    fleet({ redisUrl: url, namespace, idpUrl: idp.url, clients: mockClient(idp.url, count) });
  const present = async (): Promise<number> => (await redis.keys(`${namespace}:token:*`)).length;
  return { url, namespace, idp, redis, withTenants, present };
}

const managed = async (
  redis: ReturnType<typeof connect>,
  namespace: string,
  idp: IdentityProvider,
): Promise<number> => redis.zcard(`{${namespace}}:due:${new URL(idp.url).host}`);

test('with different configurations side by side additions apply at once and nothing is removed', {
  timeout: 60_000,
}, async () => {
  const { redis, namespace, idp, withTenants, present } = await setUp();
  const [older, newer] = [await withTenants(20).start(), await withTenants(19).start()];
  await eventually(async () => (await present()) === 20, 'all of both');
  // Several turns of the removal, in both.
  await eventually(() => newer.stdout.includes('joined'), 'joined');
  const joinedAt = Date.now();
  await eventually(() => Date.now() - joinedAt > 7000, 'the removal has had its turns');
  expect(await managed(redis, namespace, idp)).toBe(20);
  expect(await present()).toBe(20);

  expect((await older.stop()).code).toBe(0);

  await eventually(
    async () => (await managed(redis, namespace, idp)) === 19,
    'now that all agree, it is removed',
  );
  expect(await present()).toBe(19);
  expect((await newer.stop()).code).toBe(0);
});

test('the removal of more than a fifth of a client’s targets waits until an operator confirms it', {
  timeout: 60_000,
}, async () => {
  const { url, redis, namespace, idp, withTenants, present } = await setUp();
  const before = await withTenants(20).start();
  await eventually(async () => (await present()) === 20, 'all');
  expect((await before.stop()).code).toBe(0);

  const after = await withTenants(10).start();
  await after.waitForLine((line) => line.includes('more than a fifth'));
  expect(await present()).toBe(20);

  expect(
    await operator(url, namespace)('remove', { client: 'demo', absent: true, by: 'oncall' }),
  ).toMatchObject({
    matched: 10,
    accepted: 10,
  });
  expect(await managed(redis, namespace, idp)).toBe(10);
  expect(await present()).toBe(10);
  expect((await after.stop()).code).toBe(0);
});

test('a changed scope is wanted at once when the daemon starts with it', { timeout: 60_000 }, async () => {
  const { url, namespace, idp, withTenants, present, redis } = await setUp();
  const before = await withTenants(2).start();
  await eventually(async () => (await present()) === 2, 'both');
  expect((await before.stop()).code).toBe(0);

  const clients = mockClient(idp.url, 2).replace(
    'https://graph.example/.default',
    'https://other.example/.default',
  );
  const after = await fleet({ redisUrl: url, namespace, idpUrl: idp.url, clients }).start();

  const key = `${namespace}:token:demo/t1/graph`;
  const audience = async (): Promise<string> => {
    const { access_token } = JSON.parse((await redis.get(key)) ?? '{}') as { access_token: string };
    return (
      JSON.parse(Buffer.from(access_token.split('.')[1] as string, 'base64url').toString()) as { aud: string }
    ).aud;
  };
  await eventually(async () => (await audience()).includes('other.example'), 'a token for the new scope');
  expect(await idp.requests()).toHaveLength(4);
  expect((await after.stop()).code).toBe(0);
});
