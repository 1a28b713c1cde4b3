import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  describeLowered,
  FULL_PACE,
  lowered,
  PACE,
  type Pace,
  rateAt,
  slowStart,
} from '../../src/core/pace.ts';

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;

const pace = (changes: Partial<Pace>): Pace => ({
  rate: 1,
  rateAt: NOW,
  refused: 0,
  untested: false,
  ...changes,
});
const rounded = (rate: number): number => Math.round(rate * 100) / 100;

describe('the rate', () => {
  test.each<[what: string, pace: Pace, ceiling: number, rates: Record<number, number>]>([
    ['that nothing has lowered is the ceiling', FULL_PACE, 50, { 0: 50, 9999999: 50 }],
    [
      'after a refusal at the ceiling grows steadily, and creeps near it',
      pace({ rate: 35, refused: 50 }),
      50,
      { '-5000': 35, 0: 35, 6000: 40, 12000: 45, 162000: 50, 500000: 50 },
    ],
    [
      'after a refusal far below the ceiling creeps past it, and then grows steadily',
      pace({ rate: 7, refused: 10 }),
      50,
      { 0: 7, 2400: 9, 152400: 10, 302400: 11, 314400: 21, 349200: 50, 400000: 50 },
    ],
    [
      'below 0.7 of what was refused doubles until it is near that, and then creeps',
      pace({ rate: 2.5, refused: 40 }),
      50,
      { 0: 2.5, 500: 5, 1000: 10, 1500: 20, 1924: 36, 151924: 40 },
    ],
    [
      'after an outage doubles up to the ceiling',
      pace({ rate: 2.5 }),
      50,
      { 0: 2.5, 1500: 20, 2161: 50, 9000: 50 },
    ],
    [
      'of a ceiling below one a second',
      pace({ rate: 0.01, refused: 0 }),
      0.1,
      { 0: 0.01, 500: 0.02, 2000: 0.1 },
    ],
    ['is raised to the floor of a ceiling that was raised', pace({ rate: 1 }), 100, { 0: 5, 500: 10 }],
    ['is never above a ceiling that was lowered', pace({ rate: 35, refused: 50 }), 10, { 0: 10, 9000: 10 }],
  ])('%s', (_what, of, ceiling, rates) => {
    for (const [ms, expected] of Object.entries(rates))
      expect(rounded(rateAt(of, ceiling, NOW + Number(ms))), `after ${ms} ms`).toBe(expected);
  });

  const anyCeiling = fc.double({ min: 0.001, max: 1000, noNaN: true });
  const anyPace = fc.record({
    rate: fc.oneof(fc.constant(0), fc.double({ min: 1e-5, max: 2000, noNaN: true })),
    rateAt: fc.integer({ min: NOW - 10 * MINUTE, max: NOW + 10 * MINUTE }),
    refused: fc.oneof(fc.constant(0), fc.double({ min: 1e-5, max: 2000, noNaN: true })),
    untested: fc.boolean(),
  });

  it('is never above the ceiling, never below its floor, and never falls by itself', () => {
    const times = fc.array(fc.integer({ min: -20 * MINUTE, max: 20 * MINUTE }), {
      minLength: 2,
      maxLength: 20,
    });
    fc.assert(
      fc.property(anyPace, anyCeiling, times, (of, ceiling, ms) => {
        let before = PACE.floor * ceiling;
        for (const at of ms.toSorted((a, b) => a - b)) {
          const rate = rateAt(of, ceiling, NOW + at);
          expect(rate).toBeGreaterThanOrEqual(before * (1 - 1e-9));
          expect(rate).toBeLessThanOrEqual(ceiling * (1 + 1e-9));
          before = rate;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is the ceiling again a minute and one creep after any refusal', () => {
    fc.assert(
      fc.property(anyPace, anyCeiling, (of, ceiling) => {
        const low = lowered(of, ceiling, NOW, NOW);
        expect(rateAt(low, ceiling, NOW + MINUTE + 10_000 + PACE.creepMs)).toBe(ceiling);
      }),
    );
  });
});

describe('a refusal', () => {
  it('leaves 0.7 of the rate from the moment on at which requests may go on', () => {
    const low = lowered(FULL_PACE, 50, NOW + 5000, NOW);
    expect(low).toEqual({ rate: 35, rateAt: NOW + 5000, refused: 50, untested: true });
    expect(rateAt(low, 50, NOW + 5000)).toBe(35);
  });

  it('never leaves less than a twentieth of the ceiling', () => {
    let low = FULL_PACE;
    for (let i = 0; i < 50; i++) low = lowered({ ...low, untested: false }, 50, NOW, NOW);
    expect(rateAt(low, 50, NOW)).toBe(2.5);
  });

  it('where the trouble is not the rate is nearly made up for in a quarter of a minute', () => {
    const low = lowered(FULL_PACE, 50, NOW, NOW);
    expect(rateAt(low, 50, NOW + 15_000)).toBeGreaterThan(0.9 * 50);
  });

  it.each([1, 20, 100])('%i times, with nothing accepted between, is forgotten as fast as one', (times) => {
    let low = FULL_PACE;
    for (let i = 0; i < times; i++) low = lowered(low, 50, NOW + i * 2000, NOW + i * 2000);
    const over = NOW + times * 2000;
    expect(low.refused).toBe(50);
    expect(rateAt(low, 50, over + 5000)).toBeGreaterThan(0.7 * 50);
    expect(rateAt(low, 50, over + 20_000)).toBeGreaterThan(0.9 * 50);
  });
});

/** A server that refuses whatever is faster than its limit, asked all the time for `forMs`: when it refused. */
function refusals(limit: number, ceiling: number, retryAfterMs: number, forMs: number): number[] {
  const at: number[] = [];
  let current = FULL_PACE;
  for (let now = NOW; now < NOW + forMs; now += 100) {
    if (now < current.rateAt) continue;
    if (rateAt(current, ceiling, now) > limit) {
      at.push(now - NOW);
      // It has accepted what its limit allows since the last one.
      current = lowered({ ...current, untested: false }, ceiling, now + retryAfterMs, now);
    }
  }
  return at;
}

describe('a server that takes less than our limit', () => {
  test.each([40, 30, 10, 5, 3])('of %i in 50 a second refuses a few times, and then rarely', (limit) => {
    const at = refusals(limit, 50, 5000, 60 * MINUTE);
    const settled = at.filter((ms) => ms > 5 * MINUTE);
    expect(at.length - settled.length).toBeLessThanOrEqual(12);
    const gaps = settled.slice(1).map((ms, i) => ms - (settled[i] as number));
    expect(Math.min(...gaps)).toBeGreaterThan(2 * MINUTE);
  });

  it('gives nine tenths of what it can', () => {
    let [current, given] = [FULL_PACE, 0];
    const [limit, forS] = [30, 3600];
    for (let now = NOW; now < NOW + forS * 1000; now += 100) {
      if (now < current.rateAt) continue;
      const rate = rateAt(current, 50, now);
      if (rate > limit) current = lowered({ ...current, untested: false }, 50, now + 5000, now);
      else given += rate / 10;
    }
    expect(given / (limit * forS)).toBeGreaterThan(0.9);
  });
});

describe('slow start', () => {
  it('begins at the floor, keeps what was refused, and waits for a token', () => {
    const before = pace({ rate: 20, refused: 30 });
    expect(slowStart(before, 50, NOW)).toEqual({ rate: 2.5, rateAt: NOW, refused: 30, untested: true });
  });
});

test('a lowered rate is described, and one that is not is not', () => {
  expect(describeLowered(FULL_PACE, 50, NOW)).toBeUndefined();
  expect(describeLowered(pace({ rate: 21, refused: 30 }), 50, NOW)).toBe('21/s of 50/s, refused at 30/s');
  expect(describeLowered(pace({ rate: 0.05 }), 1, NOW)).toBe('0.05/s of 1/s');
  expect(describeLowered(pace({ rate: 21, refused: 30 }), 50, NOW + 9_999_999)).toBeUndefined();
});
