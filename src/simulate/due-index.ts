/** Width of a bucket. About as much as comes due between two steps of a busy dispatcher. */
const BUCKET_MS = 250;
const NONE = -1;

/** One target that is due, with the score that was seen. */
export interface Due {
  readonly target: number;
  readonly dueAt: number;
}

/**
 * The due index of one host: a sorted set of targets by the moment at which something is next to be done. Targets are
 * numbers in the order of their names. A calendar of short buckets, each a list linked through two arrays, so that moving a
 * target costs the same however many there are.
 */
export class DueIndex {
  readonly #scores: Float64Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #heads: Int32Array;
  readonly #start: number;
  /** No bucket before this one has anything in it. */
  #first: number;

  /** `start`, `end`: moments between which scores are told apart by buckets; others work as well, but slowly. */
  constructor(targets: number, start: number, end: number) {
    this.#scores = new Float64Array(targets).fill(Number.NaN);
    this.#next = new Int32Array(targets).fill(NONE);
    this.#previous = new Int32Array(targets).fill(NONE);
    this.#heads = new Int32Array(Math.ceil((end - start) / BUCKET_MS) + 2).fill(NONE);
    this.#start = start;
    this.#first = this.#heads.length;
  }

  /** The due score; NaN: the target is not managed. */
  score(target: number): number {
    return this.#scores[target] as number;
  }

  /** Sets the due score, whether or not there was one. */
  set(target: number, score: number): void {
    this.remove(target);
    const bucket = this.#bucketOf(score);
    const head = this.#heads[bucket] as number;
    this.#scores[target] = score;
    this.#next[target] = head;
    this.#previous[target] = NONE;
    if (head !== NONE) this.#previous[head] = target;
    this.#heads[bucket] = target;
    if (bucket < this.#first) this.#first = bucket;
  }

  remove(target: number): void {
    const score = this.score(target);
    if (Number.isNaN(score)) return;
    const next = this.#next[target] as number;
    const previous = this.#previous[target] as number;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else this.#heads[this.#bucketOf(score)] = next;
    this.#scores[target] = Number.NaN;
  }

  /** What is due at `now`, at most `most`, the longest due first. */
  upTo(now: number, most: number): Due[] {
    const found: Due[] = [];
    const last = this.#bucketOf(now);
    this.#skipEmpty(last);
    for (let bucket = this.#first; bucket <= last && found.length < most; bucket++) {
      const inBucket: Due[] = [];
      for (
        let target = this.#heads[bucket] as number;
        target !== NONE;
        target = this.#next[target] as number
      ) {
        const dueAt = this.score(target);
        if (dueAt <= now) inBucket.push({ target, dueAt });
      }
      if (inBucket.length > 1) inBucket.sort((a, b) => a.dueAt - b.dueAt || a.target - b.target);
      found.push(...inBucket.slice(0, most - found.length));
    }
    return found;
  }

  /** The first due score after `now` that is within `lookMs`; 0: there is none. */
  nextAfter(now: number, lookMs: number): number {
    const last = this.#bucketOf(now + lookMs);
    for (let bucket = Math.max(this.#first, this.#bucketOf(now)); bucket <= last; bucket++) {
      let least = Number.POSITIVE_INFINITY;
      for (
        let target = this.#heads[bucket] as number;
        target !== NONE;
        target = this.#next[target] as number
      ) {
        const dueAt = this.score(target);
        if (dueAt > now && dueAt < least) least = dueAt;
      }
      if (least <= now + lookMs) return least;
    }
    return 0;
  }

  /** How many targets have scores from `from` on and before `to`: the load of a slot of planned work. */
  count(from: number, to: number): number {
    let count = 0;
    const last = this.#bucketOf(to);
    for (let bucket = this.#bucketOf(from); bucket <= last; bucket++) {
      for (
        let target = this.#heads[bucket] as number;
        target !== NONE;
        target = this.#next[target] as number
      ) {
        const dueAt = this.score(target);
        if (dueAt >= from && dueAt < to) count += 1;
      }
    }
    return count;
  }

  #skipEmpty(last: number): void {
    while (this.#first < last && this.#heads[this.#first] === NONE) this.#first += 1;
  }

  #bucketOf(score: number): number {
    const bucket = Math.floor((score - this.#start) / BUCKET_MS);
    return Math.min(this.#heads.length - 1, Math.max(0, bucket));
  }
}
