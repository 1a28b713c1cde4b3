import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { TargetId } from '../core/target.ts';
import { tokenKey } from './setting.ts';
import type { Reading } from './tally.ts';

/** What a program that uses tokens does, and all it knows: `GET`, and what is written at the key. */
export interface Consumer {
  /** Reads every target once. Where Redis does not answer, every read of the sweep is a miss. */
  sweep(): Promise<readonly Reading[]>;
  close(): void;
}

const PIPELINE_LENGTH = 500;
const ANSWER_TIMEOUT_MS = 2000;

/** A consumer of these targets' tokens. */
export function startConsumer(redisUrl: string, targets: readonly TargetId[]): Consumer {
  const client = new Redis(redisUrl, { maxRetriesPerRequest: 1, commandTimeout: ANSWER_TIMEOUT_MS });
  // Without a listener each failed attempt to connect is printed; what fails shows as missed reads.
  client.on('error', () => {});
  const keys = targets.map(tokenKey);
  return {
    async sweep() {
      const readings: Reading[] = [];
      for (let start = 0; start < keys.length; start += PIPELINE_LENGTH) {
        readings.push(...(await readAll(client, keys.slice(start, start + PIPELINE_LENGTH))));
      }
      return readings;
    },
    close: () => client.disconnect(),
  };
}

async function readAll(client: Redis, keys: readonly string[]): Promise<Reading[]> {
  const pipeline = client.pipeline();
  for (const key of keys) pipeline.get(key);
  const replies = await pipeline.exec().catch(() => null);
  const nowMs = Date.now();
  return keys.map((_, i) => lifeOf(replies?.[i]?.[1], nowMs));
}

/** What the record at a token key says at `nowMs`; undefined for all that a consumer could not use. */
export function lifeOf(record: unknown, nowMs: number): Reading {
  const token = typeof record === 'string' ? parseObject(record) : {};
  const { v, access_token, expires_at, refreshed_at } = token;
  if (v !== 1 || typeof access_token !== 'string' || access_token === '') return undefined;
  if (typeof expires_at !== 'number' || typeof refreshed_at !== 'number') return undefined;
  const leftMs = expires_at * 1000 - nowMs;
  return leftMs > 0 ? { leftMs, wholeMs: (expires_at - refreshed_at) * 1000 } : undefined;
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Sweeps again and again until `signal`, with a pause where a sweep took less than `everyMs`. */
export async function keepReading(
  consumer: Pick<Consumer, 'sweep'>,
  everyMs: number,
  signal: AbortSignal,
  take: (sweep: readonly Reading[]) => void,
): Promise<void> {
  while (!signal.aborted) {
    const startedAt = performance.now();
    take(await consumer.sweep());
    const leftMs = everyMs - (performance.now() - startedAt);
    if (leftMs > 0) await sleep(leftMs, undefined, { signal }).catch(() => {});
  }
}
