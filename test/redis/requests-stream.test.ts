import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { connectRedis } from '../../src/store/connection.ts';
import { Keys } from '../../src/store/keys.ts';
import { RequestsStream, type StreamedRequest } from '../../src/store/requests.ts';
import { connect, sharedRedis } from '../support/redis.ts';

interface World {
  readonly key: string;
  /** A consumer of tokens, which knows only the contract. */
  readonly consumer: Redis;
  /** Another daemon. */
  open(): RequestsStream;
}

function setUp(): World {
  const { url, namespace } = sharedRedis();
  const keys = new Keys(namespace);
  return {
    key: `${namespace}:requests`,
    consumer: connect(url),
    open() {
      const blocking = connectRedis({ url: new Secret(url) }, 'blocking', 'test');
      onTestFinished(() => blocking.disconnect());
      return new RequestsStream(blocking, keys);
    },
  };
}

async function readAll(stream: RequestsStream, count: number): Promise<StreamedRequest[]> {
  const read: StreamedRequest[] = [];
  for (let turns = 0; read.length < count && turns < 50; turns++) read.push(...(await stream.next()));
  return read;
}

test('what was asked before any daemon ran is read by the first', async () => {
  const { key, consumer, open } = setUp();
  await consumer.xadd(
    key,
    '*',
    'target',
    'c/t/graph',
    'reason',
    'rejected',
    'generation',
    '17',
    'claims',
    'x',
    'more',
    'y',
  );
  expect(await readAll(open(), 1)).toEqual([
    { target: 'c/t/graph', reason: 'rejected', generation: '17', claims: 'x' },
  ]);
});

test('the group is made where there is none, by many at once, and again after Redis has lost it', async () => {
  const { key, consumer, open } = setUp();
  const streams = [open(), open(), open()];
  expect(await Promise.all(streams.map((stream) => stream.next()))).toEqual([[], [], []]);
  await consumer.del(key);
  await consumer.xadd(key, '*', 'target', 'c/t/graph', 'reason', 'missing');
  expect(await readAll(streams[0] as RequestsStream, 1)).toHaveLength(1);
});

test('a reader that waits hears at once', async () => {
  const { key, consumer, open } = setUp();
  const stream = open();
  await stream.next();
  const next = stream.next();
  await consumer.xadd(key, '*', 'target', 'c/t/graph', 'reason', 'missing');
  expect(await next).toEqual([{ target: 'c/t/graph', reason: 'missing', generation: undefined }]);
});

test('each entry is read once by two daemons, and nothing is left pending', async () => {
  const { key, consumer, open } = setUp();
  const streams = [open(), open()];
  await Promise.all(streams.map((stream) => stream.next()));
  const asked = Array.from({ length: 500 }, (_, i) => `c/tenant-${i}/graph`);
  const pipeline = consumer.pipeline();
  for (const target of asked) pipeline.xadd(key, '*', 'target', target, 'reason', 'missing');
  await pipeline.exec();
  const read: string[] = [];
  const reader = async (stream: RequestsStream): Promise<void> => {
    while (read.length < asked.length) read.push(...(await stream.next()).map(({ target }) => target));
  };
  await Promise.race(streams.map(reader));
  await expect.poll(() => read.length).toBe(asked.length);
  expect(read.toSorted()).toEqual(asked.toSorted());
  const [group] = (await consumer.xinfo('GROUPS', key)) as [unknown[]];
  expect(group[group.indexOf('pending') + 1]).toBe(0);
});

test('a stream that nobody who writes bounds is bounded by who reads', async () => {
  const { key, consumer, open } = setUp();
  const stream = open();
  await stream.next();
  for (let i = 0; i < 13; i++) {
    const pipeline = consumer.pipeline();
    for (let j = 0; j < 1000; j++) pipeline.xadd(key, '*', 'target', 'c/t/graph', 'reason', 'missing');
    await pipeline.exec();
  }
  expect(await consumer.xlen(key)).toBe(13_000);
  expect(await stream.next()).toHaveLength(100);
  expect(await consumer.xlen(key)).toBeLessThanOrEqual(10_100);
});

test('garbage is read as what it is and does not stop what comes after it', async () => {
  const { key, consumer, open } = setUp();
  await consumer.xadd(key, '*', 'nothing', 'known');
  await consumer.xadd(key, '*', '', '');
  await consumer.xadd(key, '*', 'target', 'x'.repeat(100_000), 'reason', '\0');
  const binary = [Buffer.from([0xff, 0xfe]), Buffer.from([0x80])] as const;
  await consumer.xadd(key, '*', ...binary);
  await consumer.xadd(key, '*', 'target', 'one', 'target', 'two', '__proto__', 'x');
  await consumer.xadd(key, '*', 'target', 'c/t/graph', 'reason', 'missing');
  const read = await readAll(open(), 6);
  expect(read.map(({ target }) => target.slice(0, 10))).toEqual([
    '',
    '',
    'xxxxxxxxxx',
    '',
    'two',
    'c/t/graph',
  ]);
});

test('entries that were deleted before they were read do no harm', async () => {
  const { key, consumer, open } = setUp();
  const id = (await consumer.xadd(key, '*', 'target', 'gone', 'reason', 'missing')) as string;
  await consumer.xadd(key, '*', 'target', 'c/t/graph', 'reason', 'missing');
  await consumer.xdel(key, id);
  expect((await readAll(open(), 1)).map(({ target }) => target)).toEqual(['c/t/graph']);
});

test('a key of another type is an error that says so, and no loop', async () => {
  const { key, consumer, open } = setUp();
  await consumer.set(key, 'not a stream');
  await expect(open().next()).rejects.toThrow('WRONGTYPE');
});
