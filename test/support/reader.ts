import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';

/** What a reader has seen of all keys together. */
export interface Seen {
  readonly sweeps: number;
  /** Reads of a key that had been there before and was not there now. */
  readonly missed: readonly string[];
  /** Reads that gave a generation older than one that was read before. */
  readonly wentBack: readonly string[];
  /** Reads of a token whose life was over. */
  readonly expired: readonly string[];
  /** The smallest share of its life that any token had left. */
  readonly leastLifeLeft: number;
  /** Keys that are there now. */
  readonly present: number;
}

interface TokenRecord {
  readonly generation: number;
  readonly expires_at: number;
  readonly refreshed_at: number;
}

const SWEEP_EVERY_MS = 100;

/**
 * A consumer that knows only the contract: it reads every key, again and again, and by MGET, which is many GET for the
 * price of one. A Redis that does not answer is not a miss; what it answers counts.
 */
export class Reader {
  readonly #redis: Redis;
  readonly #keys: readonly string[];
  readonly #generations = new Map<string, number>();
  readonly #records = new Map<string, { readonly value: string; readonly record: TokenRecord }>();
  readonly #timer = new AbortController();
  #seen = emptySeen();
  #running: Promise<void> | undefined;

  constructor(url: string, namespace: string, targets: readonly string[]) {
    this.#redis = new Redis(url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => 50,
    });
    this.#redis.on('error', () => {});
    this.#keys = targets.map((target) => `${namespace}:token:${target}`);
    onTestFinished(() => this.#stop());
  }

  get seen(): Seen {
    return this.#seen;
  }

  /** Begins to read. */
  start(): void {
    this.#running = this.#run();
  }

  /** Forgets what was seen so far: from here on everything counts. */
  reset(): void {
    this.#seen = emptySeen();
  }

  /** Resolves when every key is there. */
  async everyKey(withinMs: number): Promise<void> {
    await this.until((seen) => seen.present === this.#keys.length, withinMs, 'every key is there');
  }

  /** Resolves when what was seen fits; rejects after `withinMs`. */
  async until(fits: (seen: Seen) => boolean, withinMs: number, what: string): Promise<void> {
    const end = performance.now() + withinMs;
    while (!fits(this.#seen)) {
      if (performance.now() > end)
        throw new Error(`not within ${withinMs} ms: ${what}; seen ${JSON.stringify(this.#seen)}`);
      await pause(SWEEP_EVERY_MS / 2);
    }
  }

  /** Goes on reading for so long. */
  async readFor(ms: number): Promise<void> {
    await pause(ms);
  }

  async #run(): Promise<void> {
    while (!this.#timer.signal.aborted) {
      await this.#sweep().catch(() => {});
      await pause(SWEEP_EVERY_MS, undefined, { signal: this.#timer.signal }).catch(() => {});
    }
  }

  async #sweep(): Promise<void> {
    const values = await this.#redis.mget(...this.#keys);
    const now = Date.now();
    const missed = [...this.#seen.missed];
    const wentBack = [...this.#seen.wentBack];
    const expired = [...this.#seen.expired];
    let { leastLifeLeft } = this.#seen;
    let present = 0;
    for (const [i, value] of values.entries()) {
      const key = this.#keys[i] as string;
      const before = this.#generations.get(key);
      if (value === null) {
        if (before !== undefined) missed.push(key);
        continue;
      }
      present += 1;
      const token = this.#read(key, value);
      const left = (token.expires_at * 1000 - now) / ((token.expires_at - token.refreshed_at) * 1000);
      // `expires_at` is rounded down to a second: up to one second before the key goes it can lie in the past.
      if (left * (token.expires_at - token.refreshed_at) < -1) expired.push(key);
      leastLifeLeft = Math.min(leastLifeLeft, left);
      if (before !== undefined && token.generation < before) wentBack.push(key);
      this.#generations.set(key, token.generation);
    }
    this.#seen = { sweeps: this.#seen.sweeps + 1, missed, wentBack, expired, leastLifeLeft, present };
  }

  /** Most of what is read is what was read before. */
  #read(key: string, value: string): TokenRecord {
    const known = this.#records.get(key);
    if (known?.value === value) return known.record;
    const record = JSON.parse(value) as TokenRecord;
    this.#records.set(key, { value, record });
    return record;
  }

  async #stop(): Promise<void> {
    this.#timer.abort();
    await this.#running;
    this.#redis.disconnect();
  }
}

function emptySeen(): Seen {
  return { sweeps: 0, missed: [], wentBack: [], expired: [], leastLifeLeft: 1, present: 0 };
}
