import { hash } from 'node:crypto';
import type { Rate } from '../core/duration.ts';
import type { Asked } from './answers.ts';

const MOST_REMEMBERED = 200_000;

/** Finds clients that send the same again and again. It remembers the newest 200,000 requests of its window. */
export class LoopDetector {
  readonly #limit: Rate;
  readonly #counts = new Map<string, number>();
  /** Oldest first, from `#first` on. */
  #seen: { readonly at: number; readonly identity: string }[] = [];
  #first = 0;

  /** `count` identical requests within `windowMs` are a loop. */
  constructor(limit: Rate) {
    this.#limit = limit;
  }

  /** Counts a request, and says whether it makes the loop or goes on with it. */
  isLoop(identity: string, nowMs: number): boolean {
    this.#forget(nowMs - this.#limit.windowMs);
    const count = (this.#counts.get(identity) ?? 0) + 1;
    this.#counts.set(identity, count);
    this.#seen.push({ at: nowMs, identity });
    return count >= this.#limit.count;
  }

  #forget(before: number): void {
    for (let oldest = this.#seen[this.#first]; oldest !== undefined; oldest = this.#seen[this.#first]) {
      if (oldest.at > before && this.#seen.length - this.#first < MOST_REMEMBERED) break;
      this.#first += 1;
      const rest = (this.#counts.get(oldest.identity) ?? 1) - 1;
      if (rest === 0) this.#counts.delete(oldest.identity);
      else this.#counts.set(oldest.identity, rest);
    }
    if (this.#first < this.#seen.length / 2) return;
    this.#seen = this.#seen.slice(this.#first);
    this.#first = 0;
  }
}

const PROOFS = new Set(['client_secret', 'client_assertion', 'client_assertion_type']);

/** A digest of what makes requests identical: all but what the client proves itself with, in any order. */
export function identityOf({ tenant, isEntra, body }: Asked, clientId: string): string {
  const asked = [...body].filter(([name]) => !PROOFS.has(name) && name !== 'client_id').sort(byName);
  return hash('sha256', JSON.stringify([tenant, isEntra, clientId, asked]), 'base64url');
}

const byName = ([a]: readonly [string, string], [b]: readonly [string, string]): number =>
  a < b ? -1 : a > b ? 1 : 0;
