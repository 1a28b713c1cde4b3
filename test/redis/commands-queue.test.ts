import { type Job, Queue, QueueEvents, type Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { EvertokenError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  type Command,
  type CommandContext,
  CommandsClient,
  startCommandsWorker,
} from '../../src/queue/commands-queue.ts';
import { connectRedis, whenReady } from '../../src/store/connection.ts';
import { Keys } from '../../src/store/keys.ts';
import { connect, sharedRedis } from '../support/redis.ts';

type CarryOut = (command: Command, context: CommandContext) => Promise<unknown>;

interface World {
  readonly namespace: string;
  readonly keys: Keys;
  /** An operator's program, which knows only the contract and BullMQ. */
  readonly operator: Queue;
  readonly events: QueueEvents;
  work(carryOut: CarryOut): Worker;
  client(): Promise<CommandsClient>;
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
  const prefix = `{${namespace}}`;
  const operator = new Queue('commands', { connection: connect(url), prefix });
  const events = new QueueEvents('commands', {
    connection: connect(url, { maxRetriesPerRequest: null }),
    prefix,
    lastEventId: '0-0',
  });
  onTestFinished(async () => {
    await events.close();
    await operator.close();
  });
  return {
    ...{ namespace, keys, operator, events, open },
    work(carryOut) {
      const worker = startCommandsWorker(carryOut, {
        connection: open('blocking'),
        prefix: keys.queuePrefix,
      });
      worker.on('error', () => {});
      onTestFinished(() => worker.close(true));
      return worker;
    },
    async client() {
      const redis = open('commands');
      await whenReady(redis);
      const client = new CommandsClient(redis, open('blocking'), keys.queuePrefix);
      onTestFinished(() => client.close());
      return client;
    },
  };
}

/** Carries out everything and remembers it. */
function recorder(): { carried: [Command, number | undefined][]; carryOut: CarryOut } {
  const carried: [Command, number | undefined][] = [];
  const carryOut: CarryOut = async (command, { order }) => {
    carried.push([command, order]);
    return { matched: 1 };
  };
  return { carried, carryOut };
}

test('a command in the shape of the contract is carried out, and its result is the return value', async () => {
  const { operator, events, work } = await setUp();
  const { carried, carryOut } = recorder();
  work(carryOut);
  const data = { select: 'billing/*/graph', force: true, by: 'oncall', reason: 'secret rotated' };
  const job = await operator.add('refresh', data);
  expect(await job.waitUntilFinished(events, 10_000)).toEqual({ matched: 1 });
  expect(carried).toEqual([[{ name: 'refresh', data }, undefined]]);
});

test.each([
  ['a name of no command', 'drop-everything', {}, {}],
  ['a name of every object', '__proto__', {}, {}],
  ['another name of every object', 'constructor', { select: 'a/b/c' }, {}],
  ['no data', 'refresh', undefined, {}],
  ['data that is null', 'refresh', null, {}],
  ['data that is a list', 'refresh', [1], {}],
  ['data that is a text', 'refresh', 'a/b/c', {}],
  ['a key too many', 'refresh', { select: 'a/b/c', fource: true }, {}],
  ['a wrong type', 'refresh', { select: 'a/b/c', force: 'yes' }, {}],
  ['an order of its own', 'refresh', { select: 'a/b/c', force: true, order: 1e300 }, {}],
  ['a reason too long', 'refresh', { select: 'a/b/c', reason: 'x'.repeat(501) }, {}],
  ['an end that is no time', 'pause', { select: 'a/b/c', until: 'tomorrow-ish' }, {}],
  ['no tenants', 'add', { client: 'billing', tenants: [] }, {}],
  ['attempts of its own', 'refresh', { select: 'a/b/c' }, { attempts: 3 }],
] as const)(
  'a command with %s fails at once with a stable code, and the next one is carried out',
  async (_what, name, data, opts) => {
    const { operator, events, work } = await setUp();
    const { carried, carryOut } = recorder();
    work(carryOut);
    const refused = await operator.add(name, data, opts);
    await expect(refused.waitUntilFinished(events, 10_000)).rejects.toThrow(/^COMMAND_REFUSED: /);
    expect(await refused.getState()).toBe('failed');
    const next = await operator.add('resume', { select: 'a/b/c' });
    await next.waitUntilFinished(events, 10_000);
    expect(carried).toEqual([[{ name: 'resume', data: { select: 'a/b/c' } }, undefined]]);
  },
);

test('a command that matches nothing fails with its code, and the next one is carried out', async () => {
  const { operator, events, work } = await setUp();
  work(async (command) => {
    if (command.name === 'purge')
      throw new EvertokenError('NOT_FOUND', 'select "a/b/c" matches no managed target');
    return 'done';
  });
  const refused = await operator.add('purge', { select: 'a/b/c' });
  await expect(refused.waitUntilFinished(events, 10_000)).rejects.toThrow(
    /^NOT_FOUND: select "a\/b\/c" matches/,
  );
  const next = await operator.add('resume', { select: 'a/b/c' });
  expect(await next.waitUntilFinished(events, 10_000)).toBe('done');
});

test('a command during which something breaks leaves nothing of the error in Redis, which its daemon hears', async () => {
  const { operator, events, open, keys } = await setUp();
  const redis = open('commands');
  await whenReady(redis);
  const broken = Object.assign(new Error('sentinel-secret'), { stack: 'at sentinel-secret' });
  const heard: unknown[] = [];
  const worker = startCommandsWorker(() => Promise.reject(broken), {
    connection: open('blocking'),
    prefix: keys.queuePrefix,
    onTrouble: (error, job) => heard.push([job, error]),
  });
  onTestFinished(() => worker.close(true));
  const job = await operator.add('resume', { select: 'a/b/c' });
  await expect(job.waitUntilFinished(events, 10_000)).rejects.toThrow(
    /^COMMAND_FAILED: Redis or the daemon failed/,
  );
  expect(heard).toEqual([[job.id, broken]]);
  const kept = JSON.stringify(await redis.hgetall(operator.toKey(String(job.id))));
  expect(kept).toContain('COMMAND_FAILED');
  expect(kept).not.toContain('sentinel-secret');
});

test.each([
  [1_800_000_000, { untilMs: 1_800_000_000_000 }],
  [1_800_000_000_123, { untilMs: 1_800_000_000_123 }],
  [1_800_000_000.1234, { untilMs: 1_800_000_000_123 }],
  ['30m', { forMs: 1_800_000 }],
  ['2027-01-15T08:00:00Z', { untilMs: 1_800_000_000_000 }],
  [undefined, {}],
])('a pause until %s is understood, in whole milliseconds', async (until, expected) => {
  const { operator, events, work } = await setUp();
  const { carried, carryOut } = recorder();
  work(carryOut);
  const job = await operator.add('pause', { select: 'a/b/c', ...(until === undefined ? {} : { until }) });
  await job.waitUntilFinished(events, 10_000);
  expect(carried[0]?.[0].data).toEqual({ select: 'a/b/c', ...expected });
});

test('a command whose worker was killed is run again with the order that it was given', async () => {
  const { operator, events, open, keys, work } = await setUp();
  const job = await operator.add('refresh', { select: 'a/b/c', force: true });
  const stopped = open('blocking');
  const first = startCommandsWorker(
    async (_command, { order, keepOrder }) => {
      if (order === undefined) await keepOrder(4711);
      stopped.disconnect();
      await new Promise(() => {});
    },
    { connection: stopped, prefix: keys.queuePrefix },
  );
  first.on('error', () => {});
  onTestFinished(() => first.close(true));
  await expect.poll(() => stopped.status, { timeout: 5000 }).toBe('end');
  // As a SIGKILL would: its lock is renewed by nobody.
  await first.close(true);
  const { carried, carryOut } = recorder();
  work(carryOut);
  await job.waitUntilFinished(events, 30_000);
  expect(carried).toEqual([[{ name: 'refresh', data: { select: 'a/b/c', force: true } }, 4711]]);
}, 45_000);

test('what is kept of commands is bounded, also of those that say they want to be kept', async () => {
  const { operator, work } = await setUp();
  let done = 0;
  work(async () => {
    done += 1;
    if (done % 2 === 0) throw new EvertokenError('NOT_FOUND', 'nothing');
    return 'done';
  });
  const keepAll = { removeOnComplete: false, removeOnFail: false };
  const jobs = Array.from({ length: 2400 }, () => ({
    name: 'resume',
    data: { select: 'a/b/c' },
    opts: keepAll,
  }));
  await operator.addBulk(jobs);
  await expect.poll(() => done, { timeout: 25_000 }).toBe(2400);
  await expect.poll(() => operator.getActiveCount()).toBe(0);
  expect(await operator.getCompletedCount()).toBeLessThanOrEqual(1000);
  expect(await operator.getFailedCount()).toBeLessThanOrEqual(1000);
}, 40_000);

test('the command line hears the result', async () => {
  const { work, client } = await setUp();
  work(async (command) => ({ name: command.name, matched: 3 }));
  expect(await (await client()).order('purge', { select: 'a/b/c' }, 10_000)).toEqual({
    name: 'purge',
    matched: 3,
  });
});

test.each([
  ['NOT_FOUND', 3],
  ['SELECT_INVALID', 2],
  ['COMMAND_FAILED', 1],
] as const)('the command line hears a refusal with its code %s', async (code, exitCode) => {
  const { work, client } = await setUp();
  work(async () => {
    throw new EvertokenError(code, 'in so many words:\non two lines');
  });
  const error = await (await client())
    .order('purge', { select: 'a/b/c' }, 10_000)
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(EvertokenError);
  expect(error).toMatchObject({ code, exitCode, message: 'in so many words:\non two lines' });
});

test('the command line hears in time that no daemon answers, and the order stays in the queue', async () => {
  const { client, operator } = await setUp();
  const startedAt = performance.now();
  const error = await (await client())
    .order('purge', { select: 'a/b/c' }, 400)
    .catch((caught: unknown) => caught);
  expect(performance.now() - startedAt).toBeLessThan(3000);
  expect(error).toMatchObject({ code: 'COMMAND_UNANSWERED', exitCode: 1 });
  const [job] = (await operator.getWaiting()) as [Job];
  expect(job).toMatchObject({ name: 'purge', data: { select: 'a/b/c' } });
  expect(String(error)).toContain(`order ${job.id}`);
});
