import { rateText } from './duration.ts';

/**
 * How fast requests of one scope may follow each other. The configured limit is the ceiling. What a server refuses
 * lowers the rate, and time alone raises it again, so that nothing has to be written while all is well.
 */
export interface Pace {
  /** Requests a second at `rateAt`; 0: nothing has ever lowered it, and the ceiling holds. */
  readonly rate: number;
  /** Redis time from which on the rate grows, ms. */
  readonly rateAt: number;
  /** The rate at which the server refused last, requests a second; 0: it has not. */
  readonly refused: number;
  /** Nothing has been accepted since the rate was lowered, so a further refusal says nothing about rates. */
  readonly untested: boolean;
}

export const FULL_PACE: Pace = { rate: 0, rateAt: 0, refused: 0, untested: false };

/** The numbers of the curve; `store/lua/pace.lua` is the same curve and is given them. */
export const PACE = {
  /** What is left of a rate that was refused. */
  decrease: 0.7,
  /** Share of the ceiling below which no refusal brings the rate, and where slow start begins. */
  floor: 0.05,
  /** Slow start: the rate doubles in this time, up to near what was refused last, or up to the ceiling. */
  doublingMs: 500,
  /** Additive increase: from nothing to the ceiling. */
  ceilingMs: 60_000,
  /** The rate creeps between these shares of what was refused last, for `creepMs`. */
  nearFrom: 0.9,
  nearTo: 1.1,
  /**
   * A server that takes less than our limit refuses about once in half of this; a trouble that is over, but has left a
   * low rate behind as the refused one, is felt for all of it, which should be well below an outage that tokens survive.
   */
  creepMs: 300_000,
} as const;

/**
 * The rate at a moment, requests a second: rising by the ceiling in a minute, slowly near the rate that was refused
 * last, and never above the ceiling. One that begins below 0.7 of the refused rate was not lowered by that refusal alone,
 * but by an outage or by trouble that had nothing to do with rates: it doubles until it is near (slow start). A ceiling
 * that has been changed since holds at once.
 */
export function rateAt({ rate, rateAt: from, refused }: Pace, ceiling: number, now: number): number {
  if (rate === 0) return ceiling;
  let ms = Math.max(0, now - from);
  let at = Math.min(ceiling, Math.max(rate, PACE.floor * ceiling));
  const [near, beyond] = [PACE.nearFrom * refused, PACE.nearTo * refused];
  if (at < (refused === 0 ? ceiling : PACE.decrease * refused)) {
    const to = refused === 0 ? ceiling : Math.min(ceiling, near);
    const takesMs = Math.log2(to / at) * PACE.doublingMs;
    if (ms <= takesMs) return at * 2 ** (ms / PACE.doublingMs);
    ms -= takesMs;
    at = to;
  }
  const perMs = ceiling / PACE.ceilingMs;
  const creepPerMs = (beyond - near) / PACE.creepMs;
  for (const [to, slope] of [
    [Math.min(ceiling, near), perMs],
    [Math.min(ceiling, beyond), creepPerMs],
    [ceiling, perMs],
  ] as const) {
    if (at >= to) continue;
    const takesMs = (to - at) / slope;
    if (ms <= takesMs) return at + slope * ms;
    ms -= takesMs;
    at = to;
  }
  return ceiling;
}

/** After a refusal at `now`: grows again from the moment `until` at which requests may go on. */
export function lowered(pace: Pace, ceiling: number, until: number, now: number): Pace {
  const current = rateAt(pace, ceiling, now);
  return {
    rate: Math.max(PACE.floor * ceiling, PACE.decrease * current),
    rateAt: until,
    refused: pace.untested ? pace.refused : current,
    untested: true,
  };
}

/** At the start of an outage: a refused rate that has been left behind since must not slow down the recovery. */
export function withoutPassed(pace: Pace, ceiling: number, now: number): Pace {
  const isPassed = rateAt(pace, ceiling, now) >= Math.min(ceiling, PACE.nearTo * pace.refused);
  return isPassed ? { ...pace, refused: 0 } : pace;
}

/** After an outage: from the floor, so that a server that has just come back does not meet all that has waited. */
export function slowStart(pace: Pace, ceiling: number, now: number): Pace {
  return { ...pace, rate: PACE.floor * ceiling, rateAt: now, untested: true };
}

/** For people, `21/s of 50/s, refused at 30/s`; undefined where the rate is the ceiling. */
export function describeLowered(pace: Pace, ceiling: number, now: number): string | undefined {
  const current = rateAt(pace, ceiling, now);
  if (current > NEARLY * ceiling) return undefined;
  const refused = pace.refused === 0 ? '' : `, refused at ${rateText(pace.refused)}`;
  return `${rateText(current)} of ${rateText(ceiling)}${refused}`;
}

/** Share of the ceiling from which on nobody would see a difference. */
const NEARLY = 0.995;
