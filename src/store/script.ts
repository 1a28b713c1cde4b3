import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

/** What a script may answer: nested arrays of texts and whole numbers. */
export type Reply = string | number | null | readonly Reply[];

/** One Lua script of `lua/`, sent by its hash and loaded where a server does not know it yet. */
export class Script {
  readonly #source: string;
  readonly #sha1: string;

  /** `prelude`: another text of `lua/` that comes before it. */
  constructor(name: string, prelude?: string) {
    this.#source = (prelude === undefined ? '' : readText(prelude)) + readText(name);
    this.#sha1 = createHash('sha1').update(this.#source).digest('hex');
  }

  async run(
    redis: Redis,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<readonly Reply[]> {
    const rest = [...keys, ...args.map(String)];
    try {
      return (await redis.evalsha(this.#sha1, keys.length, ...rest)) as readonly Reply[];
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return (await redis.eval(this.#source, keys.length, ...rest)) as readonly Reply[];
    }
  }
}

const readText = (name: string): string =>
  readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
