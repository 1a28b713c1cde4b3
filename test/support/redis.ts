import { randomBytes } from 'node:crypto';
import { Redis, type RedisOptions } from 'ioredis';
import { inject, onTestFinished } from 'vitest';
import {
  type PrivateRedis,
  type PrivateRedisOptions,
  startPrivateRedis,
} from '../../src/demo/private-redis.ts';

export interface SharedRedis {
  readonly url: string;
  /** Of this test alone; its keys are removed when the test ends. */
  readonly namespace: string;
}

/** A namespace in the Redis that all tests share. To be called inside a test or `beforeEach`. */
export function sharedRedis(): SharedRedis {
  const url = inject('redisUrl');
  const namespace = `t-${randomBytes(8).toString('hex')}`;
  onTestFinished(() => removeKeys(url, namespace));
  return { url, namespace };
}

/** A Redis for a test that kills, empties or configures it; ended when the test ends. */
export async function ownRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const redis = await startPrivateRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

/** A plain client, as a consumer of tokens or an operator has one; closed when the test ends. */
export function connect(url: string, options: Omit<RedisOptions, 'replyMapping'> = {}): Redis {
  const client = new Redis(url, options);
  // While a test has its Redis killed, the client reconnects; without a listener each attempt is printed.
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

async function removeKeys(url: string, namespace: string): Promise<void> {
  const client = new Redis(url);
  const batches: AsyncIterable<string[]> = client.scanStream({ match: `*${namespace}*`, count: 5_000 });
  for await (const keys of batches) if (keys.length > 0) await client.unlink(keys);
  client.disconnect();
}
