import type { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { connectRedis, whenReady } from '../../src/store/connection.ts';
import { Keys } from '../../src/store/keys.ts';
import type { SharedRedis } from './redis.ts';

/** The daemon's own connection to a namespace, with its keys; closed when the test ends. */
export async function openStore({ url, namespace }: SharedRedis): Promise<{ redis: Redis; keys: Keys }> {
  const redis = connectRedis({ url: new Secret(url) }, 'commands', 'test');
  onTestFinished(() => redis.disconnect());
  await whenReady(redis);
  return { redis, keys: new Keys(namespace) };
}
