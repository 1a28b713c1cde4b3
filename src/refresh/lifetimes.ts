import type { Life } from '../core/feasibility.ts';
import { mergeLives, mergeTallies, type SeenLife, type Tally } from '../core/lifetimes.ts';

/** What the fleet knows of how long tokens live, by client. */
export interface LifetimesPort {
  read(): Promise<ReadonlyMap<string, SeenLife>>;
  write(lives: ReadonlyMap<string, SeenLife>): Promise<void>;
}

/** How long the tokens that this process gets live, and what the fleet makes of all of that. */
export class Lifetimes {
  readonly #shared: LifetimesPort;
  /** What the fleet has not been told yet, by client. */
  readonly #untold = new Map<string, Tally>();

  constructor(shared: LifetimesPort) {
    this.#shared = shared;
  }

  /** A client got a token that lives so long. */
  note(client: string, lifeMs: number): void {
    this.#count(client, { count: 1, shortestMs: lifeMs, meanMs: lifeMs, longestMs: lifeMs });
  }

  /** Tells the fleet what is news to it, and gives what it knows then. `now`: Redis time, ms. */
  async exchange(now: number): Promise<ReadonlyMap<string, Life>> {
    const known = await this.#shared.read();
    const news = new Map<string, SeenLife>();
    const told: [string, Tally][] = [];
    for (const [client, untold] of this.#untold) {
      const merged = mergeLives(known.get(client), untold, now);
      if (merged === undefined) continue;
      news.set(client, merged);
      told.push([client, untold]);
    }
    await this.#tell(news, told);
    return new Map([...known, ...news]);
  }

  /** What comes meanwhile is untold still; what could not be told is so again. */
  async #tell(news: ReadonlyMap<string, SeenLife>, told: readonly [string, Tally][]): Promise<void> {
    if (news.size === 0) return;
    for (const [client] of told) this.#untold.delete(client);
    try {
      await this.#shared.write(news);
    } catch (error) {
      for (const [client, tally] of told) this.#count(client, tally);
      throw error;
    }
  }

  #count(client: string, tally: Tally): void {
    const untold = this.#untold.get(client);
    this.#untold.set(client, untold === undefined ? tally : mergeTallies(untold, tally));
  }
}
