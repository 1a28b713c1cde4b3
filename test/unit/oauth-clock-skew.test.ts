import { describe, expect, it, test } from 'vitest';
import { ClockSkews, measureSkewMs } from '../../src/oauth/clock-skew.ts';

function after(...samples: number[]): number | undefined {
  const skews = new ClockSkews();
  for (const skewMs of samples) skews.record('https://idp.example', skewMs);
  return skews.of('https://idp.example');
}

describe('a measurement', () => {
  it('compares the middle of the second that the server names with the middle of the request', () => {
    expect(measureSkewMs(61_000, 1000, 2000)).toBe(60_000);
  });
});

describe('the skew of a server', () => {
  test.each<[what: string, samples: number[], expected: number | undefined]>([
    ['is not known before it has answered', [], undefined],
    ['is what its first answer says', [60_000], 60_000],
    ['may be negative', [-60_000], -60_000],
    ['is none where it is less than can be told', [1900], 0],
    ['is none where it is a little behind', [-1999], 0],
    ['is told from 2 s on', [2000], 2000],
    ['is not moved by one slow answer', [5000, 5000, 25_000], 5000],
    ['follows a clock that drifts', [5000, 6000, 6000, 6000, 7000, 7000, 7000], 7000],
    ['is told anew at once when a clock was set', [0, 0, 0, 0, 0, 600_000], 600_000],
    ['comes back as fast', [0, 0, 0, 600_000, 0], 0],
  ])('%s', (_what, samples, expected) => {
    expect(after(...samples)).toBe(expected);
  });

  it('is that of this server alone', () => {
    const skews = new ClockSkews();
    skews.record('https://a.example', 60_000);
    expect(skews.of('https://b.example')).toBeUndefined();
  });

  it('is kept of the thousand servers that answered last', () => {
    const skews = new ClockSkews();
    for (let i = 0; i < 1001; i += 1) {
      skews.record(`https://${i}.example`, 60_000);
      skews.record('https://often.example', 60_000);
    }
    expect(skews.of('https://often.example')).toBe(60_000);
    expect(skews.of('https://1000.example')).toBe(60_000);
    expect(skews.of('https://0.example')).toBeUndefined();
  });
});
