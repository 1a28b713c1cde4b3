import { PACE, type Pace, rateAt } from '../core/pace.ts';

/** The pace of a scope at one moment, as the scripts have it. */
export interface PaceNow {
  /** When the next request may go, but for the burst. */
  at: number;
  /** Between two requests now, and at the ceiling. */
  readonly intervalMs: number;
  readonly fullMs: number;
}

/**
 * The pace at `now`. What is stored of it, `nextAt`, is when the next request may go at the ceiling, so that a rate that
 * has changed since holds at once. A turn further ahead than the rate could have put it counts as a burst used up.
 */
export function paceAt(nextAt: number, pace: Pace, ceiling: number, burstMs: number, now: number): PaceNow {
  const fullMs = 1000 / ceiling;
  const intervalMs = 1000 / rateAt(pace, ceiling, now);
  const at = nextAt + intervalMs - fullMs;
  const isTooFar = at > now + burstMs + intervalMs + 1;
  return { at: Math.max(now, isTooFar ? now + burstMs : at), intervalMs, fullMs };
}

/** What is stored of a pace. */
export const storedNextAt = ({ at, intervalMs, fullMs }: PaceNow): number => at - intervalMs + fullMs;

/** What is stored after a claim was given back: its place, but none that lets more than one go now. */
export function givenBackAt(nextAt: number, pace: Pace, ceiling: number, now: number): number {
  const intervalMs = 1000 / rateAt(pace, ceiling, now);
  const least = now - intervalMs + 1000 / ceiling;
  return nextAt > least ? Math.max(least, nextAt - intervalMs) : nextAt;
}

/** How long a target waits that is held back by its tenant's pace, as the `place`-th: at the end of the curve a rate has grown. */
export const heldMs = (place: number, { intervalMs, fullMs }: PaceNow): number =>
  Math.min(place * intervalMs, PACE.ceilingMs + place * fullMs);
