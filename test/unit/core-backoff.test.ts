import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { type BackoffInput, backoffMs } from '../../src/core/backoff.ts';
import type { FailureKind } from '../../src/core/state.ts';

const PARKED: readonly FailureKind[] = ['credential', 'configuration', 'tenant'];
const KINDS: readonly FailureKind[] = ['transient', 'throttled', ...PARKED];
const ALMOST_ONE = 1 - Number.EPSILON;

const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const anyFailure = fc.record({
  kind: fc.constantFrom(...KINDS),
  retryAfterMs: fc.option(fc.integer({ min: 1000, max: 3_600_000 }), { nil: undefined }),
  failures: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(Number.MAX_SAFE_INTEGER)),
  lifeLeftMs: fc.oneof(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: -10, max: 60_000 })),
});
const failure = (kind: FailureKind, changes: Partial<BackoffInput> = {}): BackoffInput => ({
  kind,
  retryAfterMs: undefined,
  failures: 1,
  lifeLeftMs: 0,
  ...changes,
});

describe('the wait after a failure', () => {
  it('is finite, is not 0, and is never over an hour', () => {
    fc.assert(
      fc.property(anyFailure, draw, (input, drawn) => {
        const waitMs = backoffMs(input, drawn);
        expect(waitMs).toBeGreaterThanOrEqual(250);
        expect(waitMs).toBeLessThanOrEqual(3_600_000);
      }),
    );
  });

  it('is never shorter than Retry-After, whatever the failure', () => {
    fc.assert(
      fc.property(anyFailure, draw, (input, drawn) => {
        expect(backoffMs(input, drawn)).toBeGreaterThanOrEqual(input.retryAfterMs ?? 0);
      }),
    );
  });

  it('takes at most a quarter of the life left after a passing failure, or the floor', () => {
    fc.assert(
      fc.property(anyFailure, draw, (input, drawn) => {
        fc.pre(input.lifeLeftMs > 0);
        const waitMs = backoffMs({ ...input, kind: 'transient', retryAfterMs: undefined }, drawn);
        expect(waitMs).toBeLessThanOrEqual(Math.max(250, Math.round(input.lifeLeftMs / 4)));
        expect(waitMs).toBeLessThanOrEqual(300_000);
      }),
    );
  });

  it('takes at most half a minute after a passing failure without a live token', () => {
    fc.assert(
      fc.property(anyFailure, draw, (input, drawn) => {
        fc.pre(input.lifeLeftMs <= 0);
        const waitMs = backoffMs({ ...input, kind: 'transient', retryAfterMs: undefined }, drawn);
        expect(waitMs).toBeLessThanOrEqual(30_000);
      }),
    );
  });

  it('keeps what people have to mend for 15 seconds to 30 minutes', () => {
    fc.assert(
      fc.property(anyFailure, fc.constantFrom(...PARKED), draw, (input, kind, drawn) => {
        const waitMs = backoffMs({ ...input, kind, retryAfterMs: undefined }, drawn);
        expect(waitMs).toBeGreaterThanOrEqual(15_000);
        expect(waitMs).toBeLessThanOrEqual(1_800_000);
      }),
    );
  });

  it('does not shrink with further failures', () => {
    fc.assert(
      fc.property(anyFailure, draw, (input, drawn) => {
        const after = backoffMs({ ...input, failures: input.failures + 1 }, drawn);
        expect(after).toBeGreaterThanOrEqual(backoffMs(input, drawn));
      }),
    );
  });

  test.each<[what: string, input: BackoffInput, least: number, most: number]>([
    ['a first passing failure', failure('transient', { lifeLeftMs: 1e9 }), 250, 1000],
    ['a fourth', failure('transient', { failures: 4, lifeLeftMs: 1e9 }), 250, 8000],
    ['a hundredth', failure('transient', { failures: 100, lifeLeftMs: 1e9 }), 250, 300_000],
    [
      'a hundredth with ten seconds left',
      failure('transient', { failures: 100, lifeLeftMs: 10_000 }),
      250,
      2500,
    ],
    ['a hundredth without a token', failure('transient', { failures: 100 }), 250, 30_000],
    ['one with hardly any life left', failure('transient', { failures: 9, lifeLeftMs: 3 }), 250, 250],
    ['one of a server that names a time', failure('transient', { retryAfterMs: 9000 }), 9000, 9000],
    ['throttling', failure('throttled'), 60_000, 60_000],
    ['throttling for a second', failure('throttled', { retryAfterMs: 1000, failures: 9 }), 1000, 1000],
    ['a first refusal', failure('credential'), 15_000, 30_000],
    ['a third', failure('configuration', { failures: 3 }), 60_000, 120_000],
    ['a hundredth refusal', failure('tenant', { failures: 100 }), 900_000, 1_800_000],
    ['a refusal that names a time', failure('tenant', { retryAfterMs: 3_600_000 }), 3_600_000, 3_600_000],
  ])('after %s', (_what, input, least, most) => {
    expect(backoffMs(input, 0)).toBe(least);
    expect(backoffMs(input, ALMOST_ONE)).toBe(most);
  });
});
