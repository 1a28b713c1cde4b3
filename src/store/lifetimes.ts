import type { Redis } from 'ioredis';
import { isSeenLife, type SeenLife } from '../core/lifetimes.ts';
import type { Keys } from './keys.ts';

/** How long the tokens of each client live, as the fleet has seen it lately: one hash, a field for each client. */
export class SharedLifetimes {
  readonly #redis: Redis;
  readonly #keys: Keys;

  constructor(redis: Redis, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** What cannot be read, by whomever it was written, counts as nothing. */
  async read(): Promise<Map<string, SeenLife>> {
    const entries = Object.entries(await this.#redis.hgetall(this.#keys.lifetimes));
    return new Map(
      entries.flatMap(([client, json]): [string, SeenLife][] => {
        const life = parse(json);
        return life === undefined ? [] : [[client, life]];
      }),
    );
  }

  /** Of two processes that write at once one wins, and what the other has told is not counted: it is a mean all the same. */
  async write(lives: ReadonlyMap<string, SeenLife>): Promise<void> {
    if (lives.size === 0) return;
    const fields = [...lives].flatMap(([client, { shortestMs, meanMs, longestMs, count, at }]) => [
      client,
      JSON.stringify({ shortestMs, meanMs: Math.round(meanMs), longestMs, count, at }),
    ]);
    await this.#redis.hset(this.#keys.lifetimes, ...fields);
  }

  /** Drops what is known of clients that no process has any more. */
  async drop(keep: ReadonlySet<string>): Promise<void> {
    const gone = (await this.#redis.hkeys(this.#keys.lifetimes)).filter((client) => !keep.has(client));
    if (gone.length > 0) await this.#redis.hdel(this.#keys.lifetimes, ...gone);
  }
}

function parse(json: string): SeenLife | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isSeenLife(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
