import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { operator } from '../support/operator.ts';
import { connect, sharedRedis } from '../support/redis.ts';

test('a pause of a backlog does not slow its neighbours on the same host', { timeout: 60_000 }, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp(
    '--lifetime',
    '1h',
    '--client',
    'one:demo-secret',
    '--client',
    'two:demo-secret',
  );
  const client = (name: string, count: number): string =>
    mockClient(idp.url, count)
      .replace('  demo:', `  ${name}:`)
      .replace(/clientId: .*/, `clientId: ${name}`);
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: `${client('one', 400)}\n${client('two', 100)}`,
    limits: '{ perHost: 20/s, perTenant: 10/s, identical: 5/5m }',
  });
  const redis = connect(url);
  const tokensOf = async (name: string): Promise<number> =>
    (await redis.keys(`${namespace}:token:${name}/*`)).length;
  const ready = `{${namespace}}:ready:${new URL(idp.url).host}`;
  const daemon = await daemons.start();
  await eventually(async () => (await redis.zcard(ready)) > 300, 'the backlog waits for the gate');

  await operator(url, namespace)('pause', { select: 'one/*/*', until: '10m' });
  const [paused, others] = [await tokensOf('one'), await tokensOf('two')];
  await eventually(
    async () => (await tokensOf('two')) >= Math.min(100, others + 50),
    'the neighbours are served',
    5000,
  );

  // What was in flight when the pause came may still have ended.
  expect((await tokensOf('one')) - paused).toBeLessThan(20);
  expect((await daemon.stop()).code).toBe(0);
});
