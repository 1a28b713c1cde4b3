import type { Worker } from 'bullmq';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import { loadConfig } from '../../src/config/load.ts';
import { EvertokenError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Command, startCommandsWorker } from '../../src/queue/commands-queue.ts';
import { connectRedis } from '../../src/store/connection.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import { Keys } from '../../src/store/keys.ts';
import { States } from '../../src/store/states.ts';
import { type CommandLine, commandLine, configText, connectStore } from '../support/cli.ts';
import { connect, ownRedis, sharedRedis } from '../support/redis.ts';

const HOST = 'idp.example';
const GRAPH = 'billing/contoso/graph';
const MAIL = 'billing/contoso/mail';
const ACCEPTED = { matched: 2, accepted: 2, refused: 0, reasons: {} };

let cli: CommandLine;
let states: States;
let indexes: Indexes;
let fleet: Fleet;
let startDaemon: (carryOut: (command: Command) => Promise<unknown>) => Promise<Worker>;
let catalogue: Catalogue;

beforeEach(async () => {
  const { url, namespace } = sharedRedis();
  cli = commandLine(configText({ redisUrl: url, namespace }));
  const redis = await connectStore(url);
  const keys = new Keys(namespace);
  states = new States(redis, keys);
  indexes = new Indexes(redis, keys, 'refresh');
  fleet = new Fleet(redis, keys);
  catalogue = new Catalogue(loadConfig(cli.configFile, {}).clients);
  // What answers orders in place of a daemon.
  startDaemon = async (carryOut) => {
    const self = { id: 'p', role: 'all', host: 'box', pid: 1, version: '1', configHash: 'h', startedAt: 0 };
    await fleet.heartbeat(self, 60_000);
    const blocking = connectRedis({ url: new Secret(url) }, 'blocking', 'test');
    const worker = startCommandsWorker(carryOut, { connection: blocking, prefix: keys.queuePrefix });
    onTestFinished(async () => {
      await worker.close();
      blocking.disconnect();
    });
    return worker;
  };
});

const manage = async (...ids: string[]): Promise<void> =>
  indexes.enlist(
    HOST,
    ids.map((target) => ({ target, dueAt: 1 })),
  );

/** One attempt, as a worker makes it. */
async function attempt(id: string, ends: 'well' | 'badly'): Promise<void> {
  const target = catalogue.get(id);
  const begun = target === undefined ? undefined : await states.begin(target, 5000);
  if (target === undefined || begun?.outcome !== 'begun') throw new Error(`expected to begin ${id}`);
  const { generation, now } = begun;
  if (ends === 'badly') {
    await states.fail(id, generation, { kind: 'credential', code: 'AADSTS7000215' }, 60_000);
    return;
  }
  const accessToken = new Secret('sentinel-access-token');
  const times = { issuedAt: now, expiresAt: now + 3_600_000 };
  const token = {
    accessToken,
    tokenType: 'Bearer',
    ...times,
    refreshInMs: 0,
    generation,
    digest: 'AAAAAAAA',
    tenantId: '',
  };
  await states.publish(target, token);
}

describe('an order', () => {
  test('goes through the queue with who gave it, and its result is printed', async () => {
    const orders: Command[] = [];
    await startDaemon(async (command) => {
      orders.push(command);
      return { ...ACCEPTED, until: 4_000_000_000 };
    });
    const paused = await cli.run('pause', 'billing/*/*', '--for', '30m', '--by', 'me');
    expect(paused).toMatchObject({ code: 0, stderr: '' });
    expect(paused.stdout).toMatch(/^Paused until 2096-10-02T07:06:40Z \(in .*\): 2 targets accepted\.\n$/);
    expect((await cli.run('resume', 'billing/*/*')).stdout).toBe('Resumed: 2 targets accepted.\n');
    expect((await cli.run('purge', '*', '--all', '--yes')).code).toBe(0);
    expect((await cli.run('add', 'billing', 'one', 'two', '--json')).stdout).toContain('"accepted": 2');
    expect((await cli.run('remove', 'billing', 'one')).stdout).toBe('Removed: 2 targets accepted.\n');
    expect(orders).toMatchObject([
      { name: 'pause', data: { select: 'billing/*/*', by: 'me' } },
      { name: 'resume', data: { select: 'billing/*/*', by: 'oncall' } },
      { name: 'purge', data: { select: '*', all: true, by: 'oncall' } },
      { name: 'add', data: { client: 'billing', tenants: ['one', 'two'], by: 'oncall' } },
      { name: 'remove', data: { client: 'billing', tenants: ['one'], by: 'oncall' } },
    ]);
  });

  test('of a pause holds the end that was said, and leaves to the daemon what was not', async () => {
    const ends: unknown[] = [];
    await startDaemon(async (command) => {
      ends.push('untilMs' in command.data ? command.data.untilMs : undefined);
      return { ...ACCEPTED, until: 4_000_000_000 };
    });
    const before = await fleet.now();
    const later = new Date(before + 12 * 3_600_000).toISOString();
    for (const end of [[], ['--until', later], ['--for', '12h']])
      expect(await cli.run('pause', 'billing/*/*', ...end)).toMatchObject({ code: 0, stderr: '' });
    expect(ends).toEqual([undefined, Date.parse(later), expect.any(Number)]);
    expect((ends[2] as number) - Date.parse(later)).toBeLessThan(25_000);
    for (const end of [
      ['--until', '2020-01-01'],
      ['--for', '25h'],
    ])
      expect(await cli.run('pause', 'billing/*/*', ...end)).toMatchObject({ code: 2, stdout: '' });
    expect(ends).toHaveLength(3);
  });

  test('that is refused ends with the code of its refusal', async () => {
    await startDaemon(async () => {
      throw new EvertokenError('NOT_FOUND', 'nothing is paused by that select');
    });
    expect(await cli.run('resume', 'billing/*/*')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'evertoken: nothing is paused by that select\n',
    });
  });

  test('is soon given up when no daemon lives', async () => {
    const { code, stderr } = await cli.run('refresh', 'billing/*/*', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'COMMAND_UNANSWERED' } });
  });
});

test('a Redis that dies while an order is given ends the command with a message and no stack trace', async () => {
  const redis = await ownRedis();
  const broken = commandLine(configText({ redisUrl: redis.url }));
  const running = broken.run('resume', 'billing/*/*');
  const events = new Keys('evertoken').queuePrefix;
  await connect(redis.url).xread('BLOCK', 0, 'STREAMS', `${events}:commands:events`, '0');
  await redis.stop();
  const { code, stderr } = await running;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^evertoken: Redis at 127\.0\.0\.1:\d+ has stopped answering; .*\n$/);
});

describe('remove --absent', () => {
  test('orders the removal of what no configuration names any more', async () => {
    const orders: Command[] = [];
    await startDaemon(async (command) => {
      orders.push(command);
      return ACCEPTED;
    });
    expect((await cli.run('remove', 'billing', '--absent')).stdout).toMatch(/^Removed: 2 targets/);
    expect(orders).toMatchObject([{ name: 'remove', data: { absent: true } }]);
  });

  test('ends with 3 when there is nothing of the kind', async () => {
    await startDaemon(async () => {
      throw new EvertokenError('NOT_FOUND', 'nothing that is managed of this client is absent');
    });
    const { code, stderr } = await cli.run('remove', 'billing', '--absent');
    expect(code).toBe(3);
    expect(stderr).toContain('nothing that is managed of this client is absent');
  });
});

describe('refresh', () => {
  test('says how many were accepted and refused, and why', async () => {
    await startDaemon(async () => ({ matched: 3, accepted: 1, refused: 2, reasons: { fresh: 2 } }));
    expect(await cli.run('refresh', 'billing/*/*')).toMatchObject({
      code: 0,
      stdout: '3 targets: 1 accepted, 2 refused (fresh: 2).\n',
    });
  });

  test('ends with 1 when all are refused', async () => {
    await startDaemon(async () => ({ matched: 2, accepted: 0, refused: 2, reasons: { paused: 2 } }));
    const { code, stdout } = await cli.run('refresh', 'billing/*/*', '--force', '--wait');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '2 targets: 0 accepted, 2 refused (paused: 2).\n' });
  });

  test('--force --wait ends when each accepted target has its new token', async () => {
    await manage(GRAPH, MAIL);
    await startDaemon(async () => {
      const order = (await fleet.now()) + 1;
      for (const id of [GRAPH, MAIL]) await states.want(id, 'by oncall', order);
      await attempt(GRAPH, 'well');
      setImmediate(() => void attempt(MAIL, 'well'));
      return { ...ACCEPTED, order };
    });
    const { code, stdout, stderr } = await cli.run('refresh', 'billing/*/*', '--force', '--wait');
    expect(code).toBe(0);
    expect(stdout).toMatch(/refreshed {2}billing\/contoso\/mail: generation \d+, lives for (1h|59m)/);
    expect(stdout).toMatch(/2 refreshed\.\n$/);
    expect(stderr).toMatch(/billing\/contoso\/graph refreshed, generation \d+\n/);
  });

  test('--wait without --force knows by itself what is accepted, and tells what failed', async () => {
    await manage(GRAPH, MAIL);
    await attempt(MAIL, 'well');
    await startDaemon(async () => {
      await attempt(GRAPH, 'badly');
      return { matched: 2, accepted: 1, refused: 1, reasons: { fresh: 1 } };
    });
    const { code, stdout } = await cli.run('refresh', 'billing/*/*', '--wait');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /failed {5}billing\/contoso\/graph: AADSTS7000215: the client secret is wrong; what to do:/,
    );
    expect(stdout).toMatch(/\n0 refreshed, 1 failed\.\n$/);
  });

  test('--wait says at its time-out what still waits, and for what', async () => {
    await manage(GRAPH);
    await startDaemon(async () => {
      const order = (await fleet.now()) + 1;
      await states.want(GRAPH, 'by oncall', order);
      return { matched: 1, accepted: 1, refused: 0, reasons: {}, order };
    });
    const { code, stdout, stderr } = await cli.run(
      ...['refresh', GRAPH, '--force', '--wait', '--timeout', '300ms', '--json'],
    );
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      accepted: 1,
      outcomes: [],
      waiting: [{ target: GRAPH, next: 'It is taken up now, with the next step of any scheduler.' }],
    });
  });
});
