import { describe, expect, it } from 'vitest';
import { expiryWarning } from '../../src/credentials/expiry.ts';

const DAY_MS = 86_400_000;

describe('the warning before the end of a credential', () => {
  it.each([
    [31, undefined],
    [30, 30],
    [14.1, 30],
    [14, 14],
    [7, 7],
    [1.1, 7],
    [1, 1],
    [0.01, 1],
    [0, 'ended'],
    [-400, 'ended'],
  ])('%s days before it is %s', (days, expected) => {
    const now = 1_900_000_000_000;
    expect(expiryWarning(now + days * DAY_MS, now)).toBe(expected);
  });
});
