import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { freePort } from '../../src/demo/private-redis.ts';
import {
  checkServer,
  connectRedis,
  displayAddress,
  parseInfo,
  whenReady,
} from '../../src/store/connection.ts';
import { connect, ownRedis, sharedRedis } from '../support/redis.ts';

const PASSWORD = 'correct horse/battery';

const addressOf = (url: string): { url: Secret } => ({ url: new Secret(url) });

/** A server that answers every command like a Redis whose INFO is this text; undefined: that never answers. */
async function fakeServer(info: string | undefined): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.on('data', (data) => {
      if (info === undefined) return;
      for (const [, command] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) {
        if (command?.toLowerCase() === 'hello') socket.write("-ERR unknown command 'HELLO'\r\n");
        else if (command?.toLowerCase() === 'info')
          socket.write(`$${Buffer.byteLength(info)}\r\n${info}\r\n`);
        else socket.write('+OK\r\n');
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a server as it should be is accepted without a word', async () => {
  const { url } = sharedRedis();
  expect(await checkServer(addressOf(url))).toEqual({ warnings: [] });
});

test('a server that may evict is accepted with a warning that says what to do', async () => {
  const own = await ownRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] });
  const { warnings } = await checkServer(addressOf(own.url));
  expect(warnings).toEqual([
    { code: 'EVICTION_POLICY', message: expect.stringContaining('CONFIG SET maxmemory-policy noeviction') },
  ]);
  expect(warnings[0]?.message).toContain('allkeys-lru');
});

test('a missing, a wrong and a right password are told apart, and none is repeated', async () => {
  const own = await ownRedis({ password: PASSWORD });
  const bare = `redis://127.0.0.1:${own.port}`;
  const missing = await checkServer(addressOf(bare)).catch((error: unknown) => error);
  expect(missing).toMatchObject({ code: 'REDIS_AUTHENTICATION' });
  expect(String(missing)).toContain('none is configured');
  const inUrl = `redis://:${encodeURIComponent('wrong secret')}@127.0.0.1:${own.port}`;
  const beside = { ...addressOf(bare), username: 'wrong-user', password: new Secret('wrong secret') };
  for (const address of [addressOf(inUrl), beside]) {
    const wrong = await checkServer(address).catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: 'REDIS_AUTHENTICATION' });
    expect(String(wrong)).toContain('refuses');
    expect(String((wrong as Error).stack)).not.toMatch(/wrong secret|wrong%20secret|wrong-user/);
  }
  expect((await checkServer(addressOf(own.url))).warnings).toEqual([]);
  expect((await checkServer({ ...addressOf(bare), password: new Secret(PASSWORD) })).warnings).toEqual([]);
});

test('a server that is not there is reported quickly, with where and not with what is secret', async () => {
  const port = await freePort();
  const startedAt = performance.now();
  const error = await checkServer(addressOf(`redis://user:hush@127.0.0.1:${port}`)).catch(
    (caught: unknown) => caught,
  );
  expect(performance.now() - startedAt).toBeLessThan(3000);
  expect(error).toMatchObject({ code: 'REDIS_UNREACHABLE' });
  expect(String(error)).toContain(`127.0.0.1:${port}`);
  expect(String(error)).toContain('ECONNREFUSED');
  expect(String((error as Error).stack)).not.toContain('hush');
});

test('a server that accepts and never answers is given up in time', async () => {
  const url = await fakeServer(undefined);
  await expect(checkServer(addressOf(url))).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE' });
}, 12_000);

test.each(['6.0.16', '5.0.7', '6.1.240', '2.8.24'])('Redis %s is refused', async (version) => {
  const url = await fakeServer(`redis_version:${version}\r\nmaxmemory_policy:noeviction\r\n`);
  await expect(checkServer(addressOf(url))).rejects.toMatchObject({
    code: 'REDIS_UNSUPPORTED',
    message: expect.stringContaining(version),
  });
});

test.each(['6.2.0', '7.0.15', '7.2.4', '10.0.0', '255.255.255'])('Redis %s is accepted', async (version) => {
  const url = await fakeServer(`redis_version:${version}\r\nrun_id:abc\r\nmaxmemory_policy:noeviction\r\n`);
  expect(await checkServer(addressOf(url))).toEqual({ warnings: [] });
});

test('a server that tells neither its version nor its policy is accepted with two warnings', async () => {
  const url = await fakeServer('# Server\r\nmultiplexing_api:epoll\r\n');
  const { warnings } = await checkServer(addressOf(url));
  expect(warnings.map(({ code }) => code)).toEqual(['EVICTION_POLICY_UNKNOWN', 'VERSION_UNKNOWN']);
});

test('INFO is read line by line, whatever ends its lines and whatever its values hold', () => {
  const info = parseInfo('# Server\r\na:1\r\nb:x:y=z\r\n\r\nc:\nd:2');
  expect([...info]).toEqual([
    ['a', '1'],
    ['b', 'x:y=z'],
    ['c', ''],
    ['d', '2'],
  ]);
});

test('an address is shown without what is secret in it', () => {
  expect(displayAddress(addressOf('redis://user:hush@redis.example:7000/2'))).toBe('redis.example:7000');
  expect(displayAddress(addressOf('rediss://redis.example'))).toBe('redis.example:6379');
  expect(displayAddress(addressOf('not a url: hush'))).toBe('the configured address');
});

test('connections are named, so that CLIENT LIST tells who is who', async () => {
  const { url } = sharedRedis();
  const redis = connectRedis(addressOf(url), 'commands', 'who-is-who');
  onTestFinished(() => redis.disconnect());
  await whenReady(redis);
  expect(await connect(url).client('LIST')).toContain('name=evertoken:who-is-who');
});

test('while Redis is away a command fails at once, and works again after its return', async () => {
  const own = await ownRedis();
  const redis = connectRedis(addressOf(own.url), 'commands', 'test');
  redis.on('error', () => {});
  onTestFinished(() => redis.disconnect());
  await whenReady(redis);
  const closed = once(redis, 'close');
  await own.kill();
  await closed;
  const startedAt = performance.now();
  await expect(redis.get('k')).rejects.toThrow();
  expect(performance.now() - startedAt).toBeLessThan(500);
  await own.restart();
  await expect.poll(() => redis.set('k', 'v').catch(String), { timeout: 5000 }).toBe('OK');
});

test('a command that a stopped Redis does not answer fails in time', async () => {
  const own = await ownRedis();
  const redis = connectRedis(addressOf(own.url), 'commands', 'test');
  redis.on('error', () => {});
  onTestFinished(() => redis.disconnect());
  await whenReady(redis);
  await own.kill('SIGSTOP');
  await expect(redis.get('k')).rejects.toThrow('timed out');
}, 12_000);

test('a database that the server does not have is refused, and not taken for database 0', async () => {
  const { url } = sharedRedis();
  await expect(checkServer(addressOf(`${url}/99`))).rejects.toMatchObject({
    code: 'REDIS_UNSUPPORTED',
    message: expect.stringContaining('no database 99'),
  });
  expect(await checkServer(addressOf(`${url}/3`))).toEqual({ warnings: [] });
});
