import { READY_BAND, READY_CLASSES } from '../core/rank.ts';
import type { ShareClass } from '../core/shares.ts';
import { MinHeap } from './min-heap.ts';

/** Bands in which who has waited longest keeps its place when it is looked at again. */
const KEEPS_ITS_PLACE: readonly number[] = [
  READY_CLASSES.indexOf('neverIssued'),
  READY_CLASSES.indexOf('operator'),
];

const FAILING = READY_CLASSES.indexOf('failing') * READY_BAND;

/**
 * The ready index of one host: a sorted set of targets in bands. One heap for each range; what was moved or taken stays
 * in its heap until it comes to the top and is dropped there.
 */
export class ReadyIndex {
  readonly #scores: Float64Array;
  readonly #heaps = {
    live: new MinHeap(),
    dead: new MinHeap(),
    neverIssued: new MinHeap(),
    failing: new MinHeap(),
    operator: new MinHeap(),
  };
  #size = 0;

  constructor(targets: number) {
    this.#scores = new Float64Array(targets).fill(Number.NaN);
  }

  get size(): number {
    return this.#size;
  }

  /** NaN: the target is not in it. */
  score(target: number): number {
    return this.#scores[target] as number;
  }

  /** Puts a target in, or ranks it anew. */
  file(target: number, score: number): void {
    const before = this.score(target);
    const band = Math.floor(score / READY_BAND);
    const staysInBand = KEEPS_ITS_PLACE.includes(band) && Math.floor(before / READY_BAND) === band;
    const rank = staysInBand ? Math.min(score, before) : score;
    if (rank === before) return;
    if (Number.isNaN(before)) this.#size += 1;
    this.#scores[target] = rank;
    this.#heaps[(['live', 'neverIssued', 'failing', 'operator'] as const)[band] ?? 'operator'].push(
      rank,
      target,
    );
  }

  remove(target: number): void {
    if (Number.isNaN(this.score(target))) return;
    this.#scores[target] = Number.NaN;
    this.#size -= 1;
  }

  /** The first of a range at `now`; -1: there is none. */
  first(range: ShareClass, now: number): number {
    if (range === 'live' || range === 'dead') this.#buryDead(now);
    const heap = this.#heaps[range === 'failingSince' ? 'failing' : range];
    if (range !== 'failingSince') return this.#top(heap);
    // What has never worked has no expiry, and so stands first in its band.
    return this.#firstAfter(heap, FAILING);
  }

  /** The live token that ends last, and of several the last by name; -1: there is none. Looks at all of them. */
  lastLive(now: number): number {
    let last = -1;
    let latest = now;
    for (let target = 0; target < this.#scores.length; target++) {
      const score = this.score(target);
      if (score < latest || score <= now || score >= READY_BAND || Number.isNaN(score)) continue;
      latest = score;
      last = target;
    }
    return last;
  }

  /** A token ends by the clock, without anybody's doing. */
  #buryDead(now: number): void {
    const { live, dead } = this.#heaps;
    while (live.leastKey <= now) {
      const score = live.leastKey;
      const target = live.pop();
      if (this.score(target) === score) dead.push(score, target);
    }
  }

  #top(heap: MinHeap): number {
    while (heap.size > 0 && this.score(heap.leastId) !== heap.leastKey) heap.pop();
    return heap.leastId;
  }

  #firstAfter(heap: MinHeap, bound: number): number {
    const aside: number[] = [];
    for (let target = this.#top(heap); target >= 0 && heap.leastKey <= bound; target = this.#top(heap)) {
      aside.push(target);
      heap.pop();
    }
    const first = this.#top(heap);
    for (const target of aside) heap.push(bound, target);
    return first;
  }
}
