import type { Life } from '../core/feasibility.ts';
import { LIVES_COUNT_MS, mergeLives, type SeenLife } from '../core/lifetimes.ts';

/** What the fleet knows of how long tokens live, by client. */
export interface LifetimesPort {
  read(): Promise<ReadonlyMap<string, SeenLife>>;
  write(lives: ReadonlyMap<string, SeenLife>): Promise<void>;
}

/** What has been seen of one client since a moment. */
interface Tally {
  count: number;
  sumMs: number;
  shortestMs: number;
  longestMs: number;
}

/**
 * How long the tokens that this process gets live, and what the fleet makes of all of that. Two generations: what was seen
 * before the last one is forgotten.
 */
export class Lifetimes {
  readonly #shared: LifetimesPort;
  #current = new Map<string, Tally>();
  #before = new Map<string, Tally>();
  #since = 0;

  constructor(shared: LifetimesPort) {
    this.#shared = shared;
  }

  /** A client got a token that lives so long. */
  note(client: string, lifeMs: number): void {
    const tally = this.#current.get(client);
    if (tally === undefined) {
      this.#current.set(client, { count: 1, sumMs: lifeMs, shortestMs: lifeMs, longestMs: lifeMs });
      return;
    }
    tally.count += 1;
    tally.sumMs += lifeMs;
    tally.shortestMs = Math.min(tally.shortestMs, lifeMs);
    tally.longestMs = Math.max(tally.longestMs, lifeMs);
  }

  /** Tells the fleet what is news to it, and gives what it knows then. `now`: Redis time, ms. */
  async exchange(now: number): Promise<ReadonlyMap<string, Life>> {
    this.#forget(now);
    const known = await this.#shared.read();
    const news = new Map<string, SeenLife>();
    for (const client of new Set([...this.#before.keys(), ...this.#current.keys()])) {
      const own = summary([this.#before.get(client), this.#current.get(client)]);
      const merged = own && mergeLives(known.get(client), own, now);
      if (merged) news.set(client, merged);
    }
    if (news.size > 0) await this.#shared.write(news);
    return new Map([...known, ...news]);
  }

  #forget(now: number): void {
    if (Math.abs(now - this.#since) < LIVES_COUNT_MS) return;
    if (this.#since > 0) {
      this.#before = this.#current;
      this.#current = new Map();
    }
    this.#since = now;
  }
}

function summary(tallies: readonly (Tally | undefined)[]): Life | undefined {
  const some = tallies.filter((tally) => tally !== undefined);
  const count = some.reduce((total, tally) => total + tally.count, 0);
  if (count === 0) return undefined;
  return {
    shortestMs: Math.min(...some.map(({ shortestMs }) => shortestMs)),
    meanMs: Math.round(some.reduce((total, { sumMs }) => total + sumMs, 0) / count),
    longestMs: Math.max(...some.map(({ longestMs }) => longestMs)),
  };
}
