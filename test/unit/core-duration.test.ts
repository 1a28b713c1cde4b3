import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  formatDuration,
  parseDurationMs,
  parseRate,
  perSecond,
  settingDuration,
} from '../../src/core/duration.ts';

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

describe('a duration', () => {
  test.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['20m', 1_200_000],
    ['1.5h', 5_400_000],
    ['3d', 259_200_000],
    ['0.5ms', 1],
    ['007s', 7000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  test.each([
    ...['', 's', '5', '-5s', '+5s', '5 s', ' 5s', '5s ', '5s\n', '5S', '5w', '1h30m', '1e3s', '.5s', '5.s'],
    ...['0s', '0.0001ms', 'Infinitys', 'NaNs', '1_000s', '٣s', `${'9'.repeat(400)}s`, '9007199254740993ms'],
  ])('%j is none', (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  });

  it('is whole, positive and exact, or none at all, whatever the text', () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.string({ unit: fc.constantFrom(...'0123456789.') }), fc.constantFrom('ms', 's', 'd')),
    );
    fc.assert(
      fc.property(text, (parts) => {
        const ms = parseDurationMs([parts].flat().join(''));
        expect(ms === undefined || (Number.isSafeInteger(ms) && ms > 0)).toBe(true);
      }),
    );
  });

  it('of one unit means what it says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.constantFrom(...keysOf(MS)), (count, unit) => {
        expect(parseDurationMs(`${count}${unit}`)).toBe(count * MS[unit]);
      }),
    );
  });
});

describe('a duration for people', () => {
  test.each([
    [0, '0ms'],
    [0.4, '0ms'],
    [-0.4, '0ms'],
    [850, '850ms'],
    [999.4, '999ms'],
    [999.6, '1s'],
    [42_000, '42s'],
    [59_499, '59s'],
    [59_500, '1m'],
    [725_000, '12m 5s'],
    [3_599_500, '1h'],
    [12_000_000, '3h 20m'],
    [86_400_000, '1d'],
    [187_200_000, '2d 4h'],
    [-5000, '-5s'],
  ])('of %d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('means the same when its parts are read again, but for what was rounded off', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 * MS.d }), (ms) => {
        const parts = formatDuration(ms).split(' ');
        const read = parts.reduce((sum, part) => sum + (parseDurationMs(part) ?? Number.NaN), 0);
        const unit = ms < 1000 ? 0 : ms < MS.h ? MS.s / 2 : ms < MS.d ? MS.m : MS.h;
        expect(Math.abs(read - ms)).toBeLessThanOrEqual(unit);
      }),
    );
  });
});

describe('a duration for the configuration', () => {
  test.each([
    [450_000, '450s'],
    [5_400_000, '90m'],
    [3_600_000, '1h'],
    [86_400_000, '1d'],
    [1500, '1500ms'],
    [999.9, '999ms'],
  ])('of %d ms is %s', (ms, text) => {
    expect(settingDuration(ms)).toBe(text);
  });

  it('is read as what it was', () => {
    const anyMs = fc.oneof(
      fc.integer({ min: 1, max: 400 * MS.d }),
      fc.integer({ min: 1, max: 9000 }).map((s) => s * MS.s),
    );
    fc.assert(
      fc.property(anyMs, (ms) => {
        expect(parseDurationMs(settingDuration(ms))).toBe(ms);
      }),
    );
  });
});

describe('a rate', () => {
  test.each([
    ['50/s', 50, 1000],
    ['5/5m', 5, 300_000],
    ['300/1h', 300, 3_600_000],
    ['1/250ms', 1, 250],
    ['7/d', 7, 86_400_000],
  ])('%s is %i in %i ms', (text, count, windowMs) => {
    expect(parseRate(text)).toEqual({ count, windowMs });
  });

  test.each([
    ...['', '/', '5', '5/', '/s', '0/s', '5/0s', '1.5/s', '-1/s', '5/s/s', '5 / s', '5/ms5', '5/-1s', '5/1'],
    `${'9'.repeat(400)}/s`,
  ])('%j is none', (text) => {
    expect(parseRate(text)).toBeUndefined();
  });
});

function keysOf<T extends object>(value: T): (keyof T)[] {
  return Object.keys(value) as (keyof T)[];
}

test('a rate is compared with others by what it gives in a second', () => {
  const rates = ['300/1h', '5/5m', '1/s', '50/s'].map((text) => parseRate(text) ?? { count: 0, windowMs: 1 });
  expect(rates.map(perSecond)).toEqual([1 / 12, 1 / 60, 1, 50]);
});
