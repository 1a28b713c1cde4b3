import { expect, onTestFinished, test } from 'vitest';
import type { Parts } from '../../src/compose/parts.ts';
import { Secret } from '../../src/core/secret.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { RefreshQueue } from '../../src/queue/refresh-queue.ts';
import type { RefreshReport } from '../../src/refresh/report.ts';
import { connectRedis, whenReady } from '../../src/store/connection.ts';
import { Keys } from '../../src/store/keys.ts';
import { startRefreshing } from '../../workers/refresh.ts';
import { sharedRedis } from '../support/redis.ts';

const TARGET = 'billing/contoso/graph';
const DONE: RefreshReport = {
  ...{ target: TARGET, outcome: 'refreshed', reason: 'due', why: '' },
  ...{ durationMs: 1, requests: 0 },
};

/** A worker whose jobs end as `run` says; gives what it logs at `warn` and whether it takes tokens for unsaved. */
async function work(run: () => Promise<RefreshReport>, info: () => void = () => {}) {
  const { url, namespace } = sharedRedis();
  const keys = new Keys(namespace);
  const open = (kind: 'commands' | 'blocking') => {
    const redis = connectRedis({ url: new Secret(url) }, kind, 'test');
    redis.on('error', () => {});
    onTestFinished(() => redis.disconnect());
    return redis;
  };
  const redis = open('commands');
  await whenReady(redis);
  const queue = new RefreshQueue(redis, keys.queuePrefix);
  onTestFinished(() => queue.close());
  const seen = { ended: 0, unsaved: 0, warnings: [] as string[] };
  const log = { warn: (_line: object, text: string) => seen.warnings.push(text), info, debug: () => {} };
  const parts = {
    ...{ keys, log, metrics: new Metrics(), openBlocking: () => open('blocking') },
    member: {
      catalogue: { get: () => undefined, hosts: () => new Map([['idp.example', {}]]) },
      noteUnsaved: () => seen.unsaved++,
      onChange: () => {},
    },
    refreshTarget: { run: () => run().finally(() => seen.ended++) },
  } as unknown as Parts;
  const service = startRefreshing(parts, 4);
  onTestFinished(() => service.stop(true));
  await queue.add([TARGET]);
  await expect.poll(() => seen.ended, { timeout: 10_000 }).toBe(1);
  return seen;
}

test('what breaks in a refresh is taken for a failure of Redis', async () => {
  const seen = await work(() => Promise.reject(new Error('connection is closed')));
  await expect.poll(() => seen).toEqual({ ended: 1, unsaved: 1, warnings: ['refresh interrupted'] });
});

test('what breaks in reporting a refresh is not', async () => {
  let reported = 0;
  const seen = await work(
    async () => DONE,
    () => {
      reported++;
      throw new Error('no log today');
    },
  );
  await expect.poll(() => reported).toBe(1);
  expect(seen).toEqual({ ended: 1, unsaved: 0, warnings: [] });
});
