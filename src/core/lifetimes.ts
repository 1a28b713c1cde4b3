import type { Life } from './feasibility.ts';

/** What the fleet knows of how long the tokens of one client live. */
export interface SeenLife extends Life {
  /** Redis time since when tokens count in it, ms. */
  readonly at: number;
}

/** What was seen counts for so long, and once more as what was seen before: hours, so that a change shows in time. */
export const LIVES_COUNT_MS = 2 * 3_600_000;
/** Lives are drawn at random: a smaller difference says nothing, and is not worth a write. */
const NOTICEABLE = 0.05;

/**
 * Brings together what the fleet knows and what one process has seen. Gives what the fleet should know from now on, or
 * undefined where that is no news. What is older than {@link LIVES_COUNT_MS} gives way. The mean goes half of the way, so
 * that processes that see different tokens agree on one between.
 */
export function mergeLives(known: SeenLife | undefined, own: Life, now: number): SeenLife | undefined {
  // One that is dated later was dated by a clock that has gone back.
  if (known === undefined || now - known.at >= LIVES_COUNT_MS || known.at > now) return { ...own, at: now };
  const merged: SeenLife = {
    shortestMs: Math.min(known.shortestMs, own.shortestMs),
    meanMs: Math.round((known.meanMs + own.meanMs) / 2),
    longestMs: Math.max(known.longestMs, own.longestMs),
    at: known.at,
  };
  const isNews =
    differs(known.shortestMs, merged.shortestMs) ||
    differs(known.meanMs, merged.meanMs) ||
    differs(known.longestMs, merged.longestMs);
  return isNews ? merged : undefined;
}

const differs = (one: number, other: number): boolean =>
  Math.abs(one - other) > NOTICEABLE * Math.min(one, other);

/** Whether a value is such a life; what others have written need not be. */
export function isSeenLife(value: unknown): value is SeenLife {
  if (typeof value !== 'object' || value === null) return false;
  const { shortestMs, meanMs, longestMs, at } = value as Record<string, unknown>;
  const isOrdered =
    isPositive(shortestMs) &&
    isPositive(meanMs) &&
    isPositive(longestMs) &&
    shortestMs <= meanMs &&
    meanMs <= longestMs;
  return isOrdered && isPositive(at);
}

const isPositive = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;
