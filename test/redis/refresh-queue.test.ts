import { type Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { RefreshQueue, startRefreshWorker } from '../../src/queue/refresh-queue.ts';
import { connectRedis, whenReady } from '../../src/store/connection.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { connect, sharedRedis } from '../support/redis.ts';

const TARGET = 'c/tenant/graph';

interface World {
  readonly keys: Keys;
  readonly redis: Redis;
  readonly queue: RefreshQueue;
  /** A producer that knows only BullMQ. */
  readonly foreign: Queue;
  work(refresh: (target: string, jobId: string) => Promise<void>, slots?: number): Worker;
  keyCount(): Promise<number>;
  open(kind: 'commands' | 'blocking'): Redis;
}

async function setUp(): Promise<World> {
  const { url, namespace } = sharedRedis();
  const keys = new Keys(namespace);
  const open = (kind: 'commands' | 'blocking'): Redis => {
    const redis = connectRedis({ url: new Secret(url) }, kind, 'test');
    redis.on('error', () => {});
    onTestFinished(() => redis.disconnect());
    return redis;
  };
  const redis = open('commands');
  await whenReady(redis);
  const queue = new RefreshQueue(redis, keys.queuePrefix);
  onTestFinished(() => queue.close());
  const foreign = new Queue('refresh', { connection: connect(url), prefix: keys.queuePrefix });
  onTestFinished(() => foreign.close());
  return {
    ...{ keys, redis, queue, foreign, open },
    work(refresh, slots = 20) {
      const worker = startRefreshWorker(refresh, {
        connection: open('blocking'),
        prefix: keys.queuePrefix,
        slots,
      });
      worker.on('error', () => {});
      onTestFinished(() => worker.close(true));
      return worker;
    },
    keyCount: async () => (await connect(url).keys(`*${namespace}*`)).length,
  };
}

/** Work that is entered and left when the test says so. */
function turnstile(): {
  enter: () => Promise<void>;
  inside(): number;
  entered(count: number): Promise<void>;
  open(): void;
} {
  let [inside, open] = [0, (): void => {}];
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    enter: () => {
      inside += 1;
      return opened;
    },
    inside: () => inside,
    entered: (count) => expect.poll(() => inside, { timeout: 10_000 }).toBe(count),
    open: () => open(),
  };
}

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `c/tenant-${i}/graph`);

test('a target that waits is not added again', async () => {
  const { queue } = await setUp();
  await queue.add([TARGET, TARGET, 'c/other/graph']);
  await queue.add([TARGET]);
  expect(await queue.waiting()).toBe(2);
});

test('the list that bounds the claims is the one in which jobs wait', async () => {
  const { queue, redis, keys } = await setUp();
  await queue.add(many(7));
  expect(await redis.llen(keys.waiting('refresh'))).toBe(7);
});

test('jobs run in the order in which they came', async () => {
  const { queue, work } = await setUp();
  const order: string[] = [];
  await queue.add(many(20));
  work(async (target) => {
    order.push(target);
  }, 1);
  await expect.poll(() => order.length).toBe(20);
  expect(order).toEqual(many(20));
});

test('while a target is refreshed it may be added again, and waits for its turn', async () => {
  const { queue, work, redis, keys } = await setUp();
  const indexes = new Indexes(redis, keys, 'refresh');
  const gate = turnstile();
  work(async (target, jobId) => {
    await indexes.enter({ id: target, host: 'idp.example', tenantScope: 'c/tenant' }, jobId);
    await gate.enter();
  });
  await queue.add([TARGET]);
  await gate.entered(1);
  const addAgain = async (): Promise<number> => {
    await queue.add([TARGET]);
    return gate.inside();
  };
  await expect.poll(addAgain).toBeGreaterThan(1);
  gate.open();
  await expect.poll(() => queue.waiting()).toBe(0);
});

test("a killed worker's job blocks nobody: its target is refreshed again long before the job is found", async () => {
  const { queue, work, open, keys, foreign } = await setUp();
  await queue.add([TARGET]);
  const connection = open('blocking');
  const killed = new Worker('refresh', null, { connection, prefix: keys.queuePrefix, lockDuration: 10_000 });
  killed.on('error', () => {});
  onTestFinished(() => killed.close(true));
  const job = (await killed.getNextJob('the killed')) as Job;
  await job.removeDeduplicationKey();
  await killed.close(true);
  connection.disconnect();

  const ran: string[] = [];
  work(async (target) => {
    ran.push(target);
  });
  await queue.add([TARGET]);
  await expect.poll(() => ran, { timeout: 3000 }).toEqual([TARGET]);
  // When it is found it is not run a second time, for the index has offered it again long since.
  await expect.poll(() => foreign.getActiveCount(), { timeout: 25_000, interval: 200 }).toBe(0);
  expect(ran).toEqual([TARGET]);
  expect(await foreign.getWaitingCount()).toBe(0);
  expect(await foreign.getFailedCount()).toBeLessThanOrEqual(1);
}, 40_000);

test('jobs that are done leave nothing behind, our own and those of others with default options', async () => {
  const { queue, foreign, work, keyCount } = await setUp();
  let done = 0;
  work(async () => {
    done += 1;
  });
  await queue.add(many(5));
  await foreign.add('refresh', { target: TARGET });
  await expect.poll(() => done).toBe(6);
  await expect.poll(() => foreign.getActiveCount()).toBe(0);
  const before = await keyCount();
  await queue.add(many(300));
  await foreign.addBulk(many(300).map((target) => ({ name: 'anything', data: { target } })));
  await expect.poll(() => done, { timeout: 20_000 }).toBe(606);
  await expect.poll(() => foreign.getActiveCount()).toBe(0);
  await expect.poll(keyCount).toBe(before);
});

test('jobs that fail leave at most a hundred behind, also when they say they want to be kept', async () => {
  const { foreign, work, keyCount } = await setUp();
  work(async () => {
    throw new Error('no');
  });
  const keepAll = { removeOnComplete: false, removeOnFail: false };
  await foreign.addBulk(many(300).map((target) => ({ name: 'refresh', data: { target }, opts: keepAll })));
  await expect
    .poll(async () => Object.values(await foreign.getJobCounts('waiting', 'active')).join(), {
      timeout: 20_000,
    })
    .toBe('0,0');
  expect(await foreign.getFailedCount()).toBeLessThanOrEqual(100);
  expect(await keyCount()).toBeLessThan(120);
});

test('jobs that are done and say they want to be kept are not', async () => {
  const { foreign, work } = await setUp();
  let done = 0;
  work(async () => {
    done += 1;
  });
  const keepAll = { removeOnComplete: false, removeOnFail: false };
  await foreign.addBulk(many(50).map((target) => ({ name: 'refresh', data: { target }, opts: keepAll })));
  await expect.poll(() => done).toBe(50);
  await expect.poll(() => foreign.getActiveCount()).toBe(0);
  expect(await foreign.getCompletedCount()).toBe(0);
});

test.each([undefined, null, {}, { target: 5 }, { target: null }, 'text', [TARGET]])(
  'a job with the data %j fails and the next one runs',
  async (data) => {
    const { queue, foreign, work } = await setUp();
    const ran: string[] = [];
    work(async (target) => {
      ran.push(target);
    }, 1);
    await foreign.add('refresh', data);
    await queue.add([TARGET]);
    await expect.poll(() => ran).toEqual([TARGET]);
    expect(await foreign.getFailedCount()).toBe(1);
  },
);

test('what waits is taken out for giving back, and may be added anew', async () => {
  const { queue, foreign } = await setUp();
  await queue.add(many(30));
  await foreign.add('refresh', {});
  const drained = await queue.drain();
  expect(drained.filter((target) => target !== undefined).toSorted()).toEqual(many(30).toSorted());
  expect(await queue.waiting()).toBe(0);
  await queue.add(many(30));
  expect(await queue.waiting()).toBe(30);
});

test('a process runs as many jobs at once as it has slots', async () => {
  const { queue, work } = await setUp();
  const gate = turnstile();
  work(gate.enter, 3);
  await queue.add(many(10));
  await gate.entered(3);
  await expect.poll(() => queue.waiting()).toBe(7);
  gate.open();
  await gate.entered(10);
});
