import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  candidates,
  heldOutOfReachMs,
  identicalCycleMs,
  isInReach,
  longestHeldMs,
  outlivedMs,
  plannedRequests,
  ROUNDING_MS,
  recoveryMs,
  refreshWindow,
  slotWidthMs,
} from '../../src/core/plan.ts';

const MINUTE = 60_000;
const DEFAULT = { outageTargetMs: 20 * MINUTE, identical: { count: 5, windowMs: 5 * MINUTE } };

const anyPolicy = fc.record({
  outageTargetMs: fc.integer({ min: 1, max: 48 * 60 * MINUTE }),
  identical: fc.record({
    count: fc.integer({ min: 1, max: 100 }),
    windowMs: fc.integer({ min: 1, max: 60 * MINUTE }),
  }),
});
const anyLife = fc.oneof(
  fc.integer({ min: 1, max: 31 * 86_400_000 }),
  fc.integer({ min: 1000, max: 600_000 }),
);

/** The part of a life that one cycle takes when a plan uses all the requests that it may. */
const shortestCycle = (lifeMs: number, { identical }: typeof DEFAULT): number =>
  identical.windowMs / plannedRequests(identical.count) / lifeMs;

describe('the refresh window', () => {
  test.each<[what: string, lifeMs: number, policy: typeof DEFAULT, earliest: number, latest: number]>([
    ['of 5 minutes: 20 are out of reach, half the life is used', 5 * MINUTE, DEFAULT, 0.3, 0.5],
    ['of 5 minutes: 2 and the recovery are left', 5 * MINUTE, outage(2), 0.3, 0.5],
    ['of 1 hour: 20 minutes and the recovery are left', 60 * MINUTE, DEFAULT, 0.395, 0.6583],
    ['of 1 hour: 25 minutes', 60 * MINUTE, outage(25), 0.345, 0.575],
    ['of 1 hour: 47 minutes are within reach', 60 * MINUTE, outage(47), 0.125, 0.2083],
    ['of 1 hour: 48 are not', 60 * MINUTE, outage(48), 0.3, 0.5],
    ['of 24 hours: three quarters, however short the outage', 24 * 60 * MINUTE, DEFAULT, 0.45, 0.75],
    ['of 24 hours, refreshed late: at most 30 % of the life wide', 24 * 60 * MINUTE, late(0.95), 0.65, 0.95],
    ['of 1 hour, refreshed late: the outage wins', 60 * MINUTE, late(0.95), 0.395, 0.6583],
    ['of 20 seconds: the identical limit wins', 20_000, DEFAULT, 0.85, 0.9],
    ['of 100 seconds: a cycle of 75 s', 100_000, DEFAULT, 0.75, 0.8],
    ['of 1 hour, where one request in 50 minutes is allowed', 60 * MINUTE, limited(1, 50), 0.8333, 0.8833],
    [
      'of 1 hour, where two in 50 minutes are allowed: one is planned',
      60 * MINUTE,
      limited(2, 50),
      0.8333,
      0.8833,
    ],
    ['of 1 hour, where one in 10 hours is allowed', 60 * MINUTE, limited(1, 600), 0.85, 0.9],
  ])('%s', (_what, lifeMs, policy, earliest, latest) => {
    const window = refreshWindow(lifeMs, policy);
    expect(window.earliest).toBeCloseTo(earliest, 3);
    expect(window.latest).toBeCloseTo(latest, 3);
  });

  it('lies within the life and is never empty', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, (lifeMs, policy) => {
        const { earliest, latest } = refreshWindow(lifeMs, policy);
        expect(earliest).toBeGreaterThan(0);
        expect(latest - earliest).toBeGreaterThan(0.04);
        expect(latest).toBeLessThan(1);
      }),
    );
  });

  it('leaves the life that an outage within reach takes, and some for the recovery', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, (lifeMs, policy) => {
        fc.pre(isInReach(lifeMs, policy.outageTargetMs));
        const needed = policy.outageTargetMs + recoveryMs(lifeMs, policy.outageTargetMs);
        fc.pre(shortestCycle(lifeMs, policy) <= 1 - needed / lifeMs - 0.05);
        const { latest } = refreshWindow(lifeMs, policy);
        expect((1 - latest) * lifeMs).toBeGreaterThanOrEqual(needed - 0.01);
        expect(outlivedMs(lifeMs, (1 - latest) * lifeMs)).toBeGreaterThanOrEqual(
          policy.outageTargetMs - 0.01,
        );
      }),
    );
  });

  it('keeps half the life for an outage that is out of reach', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, (lifeMs, policy) => {
        fc.pre(!isInReach(lifeMs, policy.outageTargetMs) && shortestCycle(lifeMs, policy) <= 0.45);
        expect(refreshWindow(lifeMs, policy).latest).toBe(0.5);
      }),
    );
  });

  test.each([
    ['half of the life', 0.5, 0.5],
    ['the very beginning, which is not taken at its word', 0.0001, 0.12],
    ['the very end, which is after the window', 0.99, 0.6083],
  ])('begins where the server would have it: at %s', (_what, share, earliest) => {
    const window = refreshWindow(60 * MINUTE, DEFAULT, share * 60 * MINUTE);
    expect(window.earliest).toBeCloseTo(earliest, 3);
    expect(window.latest).toBeCloseTo(0.6583, 3);
  });

  it('makes no cycle that is shorter than the identical limit allows with one request in reserve', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, (lifeMs, policy) => {
        fc.pre(shortestCycle(lifeMs, policy) <= 0.85);
        const { count, windowMs } = policy.identical;
        const cycleMs = refreshWindow(lifeMs, policy).earliest * lifeMs;
        expect(cycleMs * Math.max(1, count - 1)).toBeGreaterThanOrEqual(windowMs * (1 - 1e-9));
      }),
    );
  });

  it('gets no later when a longer outage within reach is to be survived', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, fc.nat(86_400_000), (lifeMs, policy, more) => {
        const longer = { ...policy, outageTargetMs: policy.outageTargetMs + more };
        fc.pre(isInReach(lifeMs, longer.outageTargetMs));
        expect(refreshWindow(lifeMs, longer).latest).toBeLessThanOrEqual(
          refreshWindow(lifeMs, policy).latest,
        );
      }),
    );
  });
});

describe('the longest outage', () => {
  it('that a token outlives takes what is left of it, with the recovery', () => {
    fc.assert(
      fc.property(anyLife, fc.double({ min: 0, max: 1, noNaN: true }), (lifeMs, share) => {
        const outageMs = outlivedMs(lifeMs, share * lifeMs);
        if (outageMs > 0) expect(outageMs + recoveryMs(lifeMs, outageMs)).toBeCloseTo(share * lifeMs, 3);
        else expect(recoveryMs(lifeMs, 0)).toBeGreaterThanOrEqual(share * lifeMs - 1e-9);
      }),
    );
  });

  it('that can be asked for is held when it is asked for, and a longer one is not', () => {
    fc.assert(
      fc.property(
        anyLife,
        anyPolicy.map(({ identical }) => identical),
        (lifeMs, identical) => {
          const longestMs = longestHeldMs(lifeMs, identicalCycleMs(identical));
          fc.pre(longestMs > 1);
          const heldMs = (outageTargetMs: number): number => {
            const { latest } = refreshWindow(lifeMs, { outageTargetMs, identical });
            return outlivedMs(lifeMs, Math.min((1 - latest) * lifeMs, lifeMs - identicalCycleMs(identical)));
          };
          const asked = 0.999 * longestMs;
          expect(heldMs(asked)).toBeGreaterThanOrEqual(asked - 0.01);
          expect(heldMs(longestMs * 1.01 + 1)).toBeLessThan(longestMs * 1.01 + 1);
        },
      ),
    );
  });

  it('is held where it is asked for in the second to which it is rounded down', () => {
    const anySeconds = fc.oneof(
      fc.integer({ min: 2, max: 86_400 }),
      fc.integer({ min: 2, max: 31 * 86_400 }),
    );
    fc.assert(
      fc.property(anySeconds, anyPolicy, (seconds, { identical }) => {
        const [lifeMs, cycleMs] = [seconds * 1000, identicalCycleMs(identical)];
        const outageTargetMs = Math.floor((longestHeldMs(lifeMs, cycleMs) + ROUNDING_MS) / 1000) * 1000;
        fc.pre(outageTargetMs > 0);
        expect(isInReach(lifeMs, outageTargetMs)).toBe(true);
        const { latest } = refreshWindow(lifeMs, { outageTargetMs, identical });
        const leftMs = Math.min((1 - latest) * lifeMs, lifeMs - cycleMs);
        expect(outlivedMs(lifeMs, leftMs)).toBeGreaterThan(outageTargetMs - 1);
      }),
      { numRuns: 1000 },
    );
  });

  it('is in reach whatever the life', () => {
    fc.assert(
      fc.property(anyLife, (lifeMs) => {
        expect(isInReach(lifeMs, longestHeldMs(lifeMs, 0))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [10 * MINUTE, 450_000],
    [60 * MINUTE, 2_850_000],
    [5 * MINUTE, 210_000],
  ])('that tokens of %d ms can be asked for is %d ms, and not a millisecond more', (lifeMs, outageMs) => {
    expect(longestHeldMs(lifeMs, 0)).toBeCloseTo(outageMs, 6);
    expect(isInReach(lifeMs, outageMs)).toBe(true);
    expect(isInReach(lifeMs, outageMs + 1)).toBe(false);
  });

  it('is half of the life, without the recovery, where more is asked for than can be held', () => {
    expect(heldOutOfReachMs(60 * MINUTE)).toBe(29.5 * MINUTE);
    expect(heldOutOfReachMs(5 * MINUTE)).toBe(2 * MINUTE);
  });
});

describe('what a plan may use of the identical limit', () => {
  test.each([
    [1, 1],
    [2, 1],
    [5, 4],
  ])('of %i are %i', (count, planned) => {
    expect(plannedRequests(count)).toBe(planned);
  });
});

describe('the candidates for a plan', () => {
  const anySpan = fc
    .tuple(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 0, max: 1e9 }))
    .map(([from, width]) => ({ from, to: from + width }));
  const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('are whole moments within the span', () => {
    fc.assert(
      fc.property(anySpan, draw, draw, (span, one, other) => {
        for (const at of candidates(span, [one, other])) {
          expect(Number.isInteger(at)).toBe(true);
          expect(at).toBeGreaterThanOrEqual(span.from);
          expect(at).toBeLessThanOrEqual(span.to);
        }
      }),
    );
  });

  it('of a fixed moment are that moment', () => {
    expect(candidates({ from: 7, to: 7 }, [0, 0.99])).toEqual([7, 7]);
  });

  test.each([
    [0, 1000],
    [3_600_000, 1000],
    [36_000_000, 10_000],
  ])('in a span of %i ms are compared by slots of %i ms', (width, slotMs) => {
    expect(slotWidthMs({ from: 5, to: 5 + width })).toBe(slotMs);
  });
});

function outage(minutes: number): typeof DEFAULT {
  return { ...DEFAULT, outageTargetMs: minutes * MINUTE };
}

function late(latestShare: number): typeof DEFAULT & { latestShare: number } {
  return { ...DEFAULT, latestShare };
}

function limited(count: number, windowMinutes: number): typeof DEFAULT {
  return { ...DEFAULT, identical: { count, windowMs: windowMinutes * MINUTE } };
}
