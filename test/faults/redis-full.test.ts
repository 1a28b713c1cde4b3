import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { connect, ownRedis } from '../support/redis.ts';

interface Health {
  readonly ready: boolean;
  readonly live: boolean;
  readonly problems: readonly string[];
}

test('a Redis that refuses writes is named in the health, and work goes on when it takes them again', {
  timeout: 60_000,
}, async () => {
  const redis = await ownRedis();
  const idp = await startMockIdp('--lifetime', '1h');
  const daemons = fleet({ redisUrl: redis.url, idpUrl: idp.url, clients: mockClient(idp.url, 3) });
  const daemon = await daemons.start();
  const line = await daemon.waitForLine((text) => text.includes('"listening"'));
  const { url } = JSON.parse(line) as { url: string };
  const health = async (): Promise<Health> => (await (await fetch(`${url}/readyz`)).json()) as Health;
  const client = connect(redis.url);
  const tokens = async (): Promise<number> => (await client.keys('evertoken:token:*')).length;
  await eventually(async () => (await tokens()) === 3, 'the first tokens');
  expect(await health()).toEqual({ live: true, ready: true, problems: [] });

  await client.config('SET', 'maxmemory', '1');

  await eventually(
    async () => (await health()).problems.includes('heartbeat-failing'),
    'it is named',
    15_000,
  );
  expect(await health()).toMatchObject({ live: true, ready: false });
  expect(await tokens()).toBe(3);
  await client.config('SET', 'maxmemory', '0');

  await eventually(async () => (await health()).ready, 'it is ready again');
  expect((await health()).problems).toEqual([]);
  const forced = await daemons.run('refresh', 'demo/*/graph', '--force', '--wait');
  expect(forced).toMatchObject({ code: 0 });
  expect((await daemon.stop()).code).toBe(0);
});
