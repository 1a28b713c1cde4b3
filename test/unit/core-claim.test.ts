import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { attemptTiming, CLAIM } from '../../src/core/claim.ts';

const NOW = 1_800_000_000_000;
const LONGEST_CLAIM_MS = CLAIM.queueMs + CLAIM.longestMs;

describe('the time of an attempt', () => {
  it('ends before its lease, and the lease before the claim, whatever is left of it', () => {
    const left = fc.oneof(
      fc.integer({ min: -1e13, max: 1e13 }),
      fc.integer({ min: 0, max: 30_000 }),
      fc.double({ min: 0, max: 30_000, noNaN: true }),
    );
    fc.assert(
      fc.property(left, (leftMs) => {
        const timing = attemptTiming(NOW + leftMs, NOW);
        if (timing === undefined) return;
        expect(timing.timeoutMs).toBeGreaterThanOrEqual(500);
        expect(timing.timeoutMs).toBeLessThanOrEqual(10_000);
        expect(timing.leaseMs).toBeGreaterThan(timing.timeoutMs);
        expect(timing.leaseMs).toBeLessThan(leftMs);
      }),
    );
  });

  test.each<[what: string, leftMs: number, timing: ReturnType<typeof attemptTiming>]>([
    ['the longest claim, begun at once', LONGEST_CLAIM_MS, { timeoutMs: 10_000, leaseMs: 17_000 }],
    ['a claim without a live token', 12_000, { timeoutMs: 8400, leaseMs: 10_200 }],
    ['the shortest claim', 5000, { timeoutMs: 3500, leaseMs: 4250 }],
    ['hardly enough', 715, { timeoutMs: 500, leaseMs: 607 }],
    ['too little', 714, undefined],
    ['a claim that has ended', 0, undefined],
    ['a claim that ended long ago', -1e12, undefined],
    ['no number at all', Number.NaN, undefined],
  ])('with %s', (_what, leftMs, timing) => {
    expect(attemptTiming(NOW + leftMs, NOW)).toEqual(timing);
  });

  test.each([3_600_000, 86_400_000, Number.POSITIVE_INFINITY])(
    'is no longer for a job that nobody claimed, where the next look is planned in %d ms',
    (leftMs) => {
      const longest = attemptTiming(NOW + LONGEST_CLAIM_MS, NOW);
      expect(attemptTiming(NOW + leftMs, NOW)).toEqual(longest);
    },
  );

  it('fits into what a claim may cost of any life: a lost claim leaves more than half of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 12_000, max: 31 * 86_400_000 }), (lifeLeftMs) => {
        const share = CLAIM.shareOfLife * lifeLeftMs;
        const claimMs = CLAIM.queueMs + Math.max(CLAIM.shortestMs, Math.min(CLAIM.longestMs, share));
        expect(claimMs).toBeLessThan(lifeLeftMs / 2);
        expect(attemptTiming(NOW + claimMs, NOW)).toBeDefined();
      }),
    );
  });
});
