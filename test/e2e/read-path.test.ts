import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, mockClient, startMockIdp } from '../support/fleet.ts';
import { operator } from '../support/operator.ts';
import { connect, ownRedis } from '../support/redis.ts';

test.each([
  ['where all are refreshed', '{ outageTarget: 20m }'],
  ['where unread targets retire', '{ outageTarget: 20m, retireUnreadAfter: 90d }'],
])(
  'the daemon never reads a token key, so that its idle time tells when a consumer last did, %s',
  {
    timeout: 60_000,
  },
  async (_where, refresh) => {
    const redis = await ownRedis();
    const idp = await startMockIdp('--lifetime', '8s');
    const limits = '{ perHost: 100/s, perTenant: 100/s, identical: 20/20s }';
    const clients = mockClient(idp.url, 3);
    const daemons = fleet({ redisUrl: redis.url, idpUrl: idp.url, clients, limits, refresh });
    const monitor = await connect(redis.url).monitor();
    const commands: string[][] = [];
    monitor.on('monitor', (_time: string, args: string[]) => commands.push(args));
    const daemon = await daemons.start();
    await eventually(async () => (await idp.requests()).length >= 3, 'the first tokens');
    await operator(redis.url, 'evertoken')('refresh', { select: 'demo/*/graph', force: true });
    // Tokens of 8 s: each is refreshed by its plan as well.
    await eventually(async () => (await idp.requests()).length >= 12, 'several refreshes of each');
    expect((await daemon.stop()).code).toBe(0);
    monitor.disconnect();

    // What scripts do is shown as well; evalsha itself only names its keys.
    const onTokens = commands
      .filter(([name = '', ...args]) => !/^evalsha|^eval$/i.test(name) && args.some(isTokenKey))
      .map(([name = '']) => name.toLowerCase());
    expect(onTokens.filter((name) => name === 'set').length).toBeGreaterThanOrEqual(12);
    // What is written with an idle time is dumped between its write and its being given that time, and by no reader.
    const others = onTokens.filter((name) => name !== 'set');
    if (!refresh.includes('retire')) expect(others).toEqual([]);
    else expect(new Set(others)).toEqual(new Set(['object', 'dump', 'restore']));
  },
);

const isTokenKey = (argument: string): boolean => argument.startsWith('evertoken:token:');
