/** The life of one token, as its record in Redis tells. */
export interface TokenLife {
  readonly leftMs: number;
  readonly wholeMs: number;
}

/** What one read gave; undefined when there was no usable token. */
export type Reading = TokenLife | undefined;

/** Below this share of its life a token counts as expiring: a refresh that went well came long before. */
const EXPIRING_SHARE = 0.2;

/** Where the reading stands. */
export interface Counts {
  readonly targets: number;
  /** Of the latest sweep over all targets. */
  readonly fresh: number;
  readonly expiring: number;
  readonly missing: number;
  /** How many targets had a token at least once. */
  readonly everThere: number;
  /** When every target had had a token; undefined until then. */
  readonly warmUpMs: number | undefined;
  /** Reads while warming up; a miss among them is no fault. */
  readonly warmUpReads: number;
  /** Reads after the warm-up, and how many of them found no usable token. */
  readonly reads: number;
  readonly missed: number;
  /** The least life left in the latest sweep, and in any since the warm-up. */
  readonly shortestNow: TokenLife | undefined;
  readonly shortestSeen: TokenLife | undefined;
}

/** Counts what a consumer reads, sweep by sweep. */
export class Tally {
  readonly #there: boolean[];
  #counts: Counts;

  constructor(targets: number) {
    this.#there = new Array<boolean>(targets).fill(false);
    this.#counts = {
      targets,
      fresh: 0,
      expiring: 0,
      missing: targets,
      everThere: 0,
      warmUpMs: undefined,
      warmUpReads: 0,
      reads: 0,
      missed: 0,
      shortestNow: undefined,
      shortestSeen: undefined,
    };
  }

  get counts(): Counts {
    return this.#counts;
  }

  /** Takes one reading a target, always in the same order. `elapsedMs`: since the start. */
  note(sweep: readonly Reading[], elapsedMs: number): void {
    const before = this.#counts;
    const lives = sweep.filter((reading) => reading !== undefined);
    const expiring = lives.filter(isExpiring).length;
    const missing = sweep.length - lives.length;
    const shortestNow = lives.reduce(shorter, undefined);
    const isWarm = before.warmUpMs !== undefined;
    const everThere = isWarm ? before.everThere : this.#markThere(sweep);
    this.#counts = {
      ...before,
      fresh: lives.length - expiring,
      expiring,
      missing,
      everThere,
      // The sweep that completes the warm-up still belongs to it.
      warmUpMs: before.warmUpMs ?? (everThere === before.targets ? elapsedMs : undefined),
      warmUpReads: before.warmUpReads + (isWarm ? 0 : sweep.length),
      reads: before.reads + (isWarm ? sweep.length : 0),
      missed: before.missed + (isWarm ? missing : 0),
      shortestNow,
      shortestSeen: isWarm && shortestNow ? shorter(before.shortestSeen, shortestNow) : before.shortestSeen,
    };
  }

  #markThere(sweep: readonly Reading[]): number {
    for (const [i, reading] of sweep.entries()) if (reading !== undefined) this.#there[i] = true;
    return this.#there.filter(Boolean).length;
  }
}

const isExpiring = ({ leftMs, wholeMs }: TokenLife): boolean => leftMs < EXPIRING_SHARE * wholeMs;

function shorter(one: TokenLife | undefined, other: TokenLife): TokenLife {
  return one !== undefined && one.leftMs <= other.leftMs ? one : other;
}
