import type { Life } from './feasibility.ts';

/** What the fleet knows of how long the tokens of one client live. */
export interface SeenLife extends Life {
  /** How many tokens the mean is of. */
  readonly count: number;
  /** Redis time since when tokens count in it, ms. */
  readonly at: number;
}

/** What one process has seen and not told yet. */
export type Tally = Life & { readonly count: number };

/** What was seen counts for so long: hours, so that a change shows in time. */
export const LIVES_COUNT_MS = 2 * 3_600_000;
/** Lives are drawn at random: a smaller difference says nothing, and is not worth a write. */
const NOTICEABLE = 0.05;

/**
 * Brings together what the fleet knows and what one process has seen beside that. Gives what the fleet should know from
 * now on, or undefined where that is no news, and the process goes on to count. What is older than
 * {@link LIVES_COUNT_MS} gives way. Each token counts once, so that processes that see different ones do not pull to and
 * fro.
 */
export function mergeLives(known: SeenLife | undefined, own: Tally, now: number): SeenLife | undefined {
  // One that is dated later was dated by a clock that has gone back.
  if (known === undefined || now - known.at >= LIVES_COUNT_MS || known.at > now) return { ...own, at: now };
  const merged: SeenLife = { ...mergeTallies(known, own), at: known.at };
  const isNews =
    differs(known.shortestMs, merged.shortestMs) ||
    differs(known.meanMs, merged.meanMs) ||
    differs(known.longestMs, merged.longestMs);
  return isNews ? merged : undefined;
}

/** Two tallies as one. */
export function mergeTallies(one: Tally, other: Tally): Tally {
  const count = one.count + other.count;
  return {
    shortestMs: Math.min(one.shortestMs, other.shortestMs),
    meanMs: (one.meanMs * one.count + other.meanMs * other.count) / count,
    longestMs: Math.max(one.longestMs, other.longestMs),
    count,
  };
}

const differs = (one: number, other: number): boolean =>
  Math.abs(one - other) > NOTICEABLE * Math.min(one, other);

/** Whether a value is such a life; what others have written need not be. */
export function isSeenLife(value: unknown): value is SeenLife {
  if (typeof value !== 'object' || value === null) return false;
  const { shortestMs, meanMs, longestMs, count, at } = value as Record<string, unknown>;
  const isOrdered =
    isPositive(shortestMs) &&
    isPositive(meanMs) &&
    isPositive(longestMs) &&
    shortestMs <= meanMs &&
    meanMs <= longestMs;
  return isOrdered && isPositive(count) && isPositive(at);
}

const isPositive = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;
