import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { candidates, plannedRequests, refreshWindow, slotWidthMs } from '../../src/core/plan.ts';

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
    ['of 5 minutes: no outage target fits, half the life is used', 5 * MINUTE, DEFAULT, 0.3, 0.5],
    ['of 1 hour: 20 minutes and the recovery are left', 60 * MINUTE, DEFAULT, 0.38, 0.6333],
    ['of 24 hours: three quarters, however short the outage', 24 * 60 * MINUTE, DEFAULT, 0.45, 0.75],
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

  it('leaves the life that an outage takes, and some for the recovery, wherever half the life is enough', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, (lifeMs, policy) => {
        fc.pre(shortestCycle(lifeMs, policy) <= 0.45);
        const recoveryMs = Math.min(2 * MINUTE, lifeMs / 20);
        fc.pre(policy.outageTargetMs + recoveryMs <= lifeMs / 2);
        const left = (1 - refreshWindow(lifeMs, policy).latest) * lifeMs;
        expect(left).toBeGreaterThanOrEqual(policy.outageTargetMs + recoveryMs - 0.01);
      }),
    );
  });

  it('keeps half the life for an outage that is longer than that', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, (lifeMs, policy) => {
        fc.pre(policy.outageTargetMs > lifeMs / 2 && shortestCycle(lifeMs, policy) <= 0.45);
        expect(refreshWindow(lifeMs, policy).latest).toBe(0.5);
      }),
    );
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

  it('gets no later when a longer outage is to be survived', () => {
    fc.assert(
      fc.property(anyLife, anyPolicy, fc.nat(86_400_000), (lifeMs, policy, more) => {
        const longer = { ...policy, outageTargetMs: policy.outageTargetMs + more };
        expect(refreshWindow(lifeMs, longer).latest).toBeLessThanOrEqual(
          refreshWindow(lifeMs, policy).latest,
        );
      }),
    );
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

function limited(count: number, windowMinutes: number): typeof DEFAULT {
  return { ...DEFAULT, identical: { count, windowMs: windowMinutes * MINUTE } };
}
