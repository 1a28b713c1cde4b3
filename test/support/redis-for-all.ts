import type { TestProject } from 'vitest/node';
import { startPrivateRedis } from '../../src/demo/private-redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
  }
}

/**
 * Runs once, before all tests: a Redis is found (or installed) here and not by workers that race for it, and
 * one is started that the tests share, each in its own namespace.
 */
export default async function startRedisForAll(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startPrivateRedis();
  project.provide('redisUrl', redis.url);
  return () => redis.stop();
}
