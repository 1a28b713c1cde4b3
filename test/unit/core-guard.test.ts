import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { lastKeptUntil, mergeLogs, nextAllowedAt, redated, withinWindow } from '../../src/core/guard.ts';

const anyCount = fc.integer({ min: 1, max: 6 });
const anyWindow = fc.integer({ min: 1, max: 1000 });
const anyGaps = fc.array(fc.oneof(fc.nat(20), fc.nat(1500)), { maxLength: 60 });

/** The most that any sliding window held, counted the slow way. */
function mostInAnyWindow(sent: readonly number[], windowMs: number): number {
  return Math.max(0, ...sent.map((end) => sent.filter((at) => at > end - windowMs && at <= end).length));
}

describe('the guard of the identical request', () => {
  it('lets no sliding window ever hold more than the limit, whenever requests are asked for', () => {
    fc.assert(
      fc.property(anyGaps, anyCount, anyWindow, (gaps, count, windowMs) => {
        const sent: number[] = [];
        let now = 1_000_000;
        for (const gap of gaps) {
          now += gap;
          const allowedAt = nextAllowedAt(sent, count, windowMs, now);
          if (allowedAt <= now) sent.push(now);
        }
        expect(mostInAnyWindow(sent, windowMs)).toBeLessThanOrEqual(count);
      }),
    );
  });

  it('lets no sliding window hold more either when everyone waits for the moment that it names', () => {
    fc.assert(
      fc.property(anyGaps, anyCount, anyWindow, (gaps, count, windowMs) => {
        const sent: number[] = [];
        let now = 1_000_000;
        for (const gap of gaps) {
          now = Math.max(now + gap, nextAllowedAt(sent, count, windowMs, now + gap));
          sent.push(now);
        }
        expect(mostInAnyWindow(sent, windowMs)).toBeLessThanOrEqual(count);
      }),
    );
  });

  it('holds nobody for longer than it must', () => {
    fc.assert(
      fc.property(anyGaps, anyCount, anyWindow, fc.nat(2000), (gaps, count, windowMs, later) => {
        const sent: number[] = [];
        for (const gap of gaps) {
          const asked = (sent.at(-1) ?? 0) + gap;
          sent.push(Math.max(asked, nextAllowedAt(sent, count, windowMs, asked)));
        }
        const now = (sent.at(-1) ?? 0) + later;
        const allowedAt = nextAllowedAt(sent, count, windowMs, now);
        if (allowedAt <= now) return;
        expect(mostInAnyWindow([...sent, allowedAt - 1], windowMs)).toBe(count + 1);
        expect(nextAllowedAt(sent, count, windowMs, allowedAt)).toBeLessThanOrEqual(allowedAt);
      }),
    );
  });

  it('lets nothing through while the window is full, also after the clock went back', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5000)), anyCount, anyWindow, fc.nat(5000), (log, count, windowMs, now) => {
        const full = log.filter((at) => at > now - windowMs).length >= count;
        expect(nextAllowedAt(log, count, windowMs, now) > now).toBe(full);
      }),
    );
  });

  test.each<[what: string, log: number[], count: number, now: number, at: number]>([
    ['an empty log allows at once', [], 1, 1000, 1000],
    ['one fewer than the limit allow at once', [900], 2, 1000, 1000],
    ['as many as the limit wait for the oldest to leave', [900, 950], 2, 1000, 1000],
    ['a single one is followed after a window', [1000], 1, 1000, 1100],
    ['requests in the same millisecond all count', [1000, 1000, 1000], 3, 1050, 1100],
    ['what is just as old as the window does not count', [900], 1, 1000, 1000],
    ['what is a millisecond younger counts', [901], 1, 1000, 1001],
    ['more than the limit wait until enough have left', [910, 920, 930], 2, 950, 1020],
  ])('%s', (_what, log, count, now, at) => {
    expect(nextAllowedAt(log, count, 100, now)).toBe(at);
  });
});

describe('two views of one log', () => {
  it('are one in order, in which nothing is missing and nothing counts twice', () => {
    const log = fc.array(fc.nat(100));
    fc.assert(
      fc.property(log, log, (one, other) => {
        const merged = mergeLogs(one, other);
        expect(merged).toEqual([...new Set([...one, ...other])].sort((a, b) => a - b));
        expect(mergeLogs(merged, one)).toEqual(merged);
        expect(mergeLogs(other, one)).toEqual(merged);
      }),
    );
  });

  it('keep what the window still holds', () => {
    expect(withinWindow([800, 900, 901, 1000, 1200], 100, 1000)).toEqual([901, 1000, 1200]);
  });
});

describe('requests that are dated later than now, by a clock that has gone back', () => {
  it('count from now on, each of them', () => {
    expect(redated([900, 4000, 4000, 5000], 1000)).toEqual([900, 998, 999, 1000]);
    expect(nextAllowedAt(redated([4000, 5000], 1000), 2, 300, 1000)).toBe(1299);
  });

  it('leave a log as it is where there are none', () => {
    expect(redated([1, 2, 998, 999, 1000], 1000)).toEqual([1, 2, 998, 999, 1000]);
    expect(redated([], 1000)).toEqual([]);
  });
});

describe('the last request of a plan', () => {
  const until = (log: readonly number[], expiresAt: number): number =>
    lastKeptUntil(log, 4, 300, expiresAt, 1000);

  test.each<[string, number[], number, number]>([
    ['is kept until a fifth is left of the life that was left at the last try', [900, 950, 960], 1160, 1120],
    ['is not kept beyond the moment at which another is allowed', [750, 950, 960], 9000, 1050],
    ['is free when that moment has come', [701, 710, 720], 1020, 960],
    ['is not touched while there are more', [950, 960], 1160, 1000],
    ['is not there where all are sent', [900, 950, 960, 970], 1160, 1000],
    ['counts what is in the window only', [100, 900, 950], 1160, 1000],
  ])('%s', (_what, log, expiresAt, expected) => {
    expect(until(log, expiresAt)).toBe(expected);
  });

  it('is the only one where a plan has no more, and not kept', () => {
    expect(lastKeptUntil([], 1, 300, 1160, 1000)).toBe(1000);
  });
});
