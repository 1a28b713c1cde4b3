import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { parseRate, type Rate } from '../../src/core/duration.ts';
import { LoopDetector } from '../../src/mock-idp/loop-detector.ts';
import { RateLimit } from '../../src/mock-idp/rate-limit.ts';

const rateOf = (text: string): Rate => parseRate(text) as Rate;

/** When requests are allowed that are asked for at these times. */
function allowedOf(rate: Rate, times: readonly number[]): number[] {
  const limit = new RateLimit(rate, times[0] ?? 0);
  return times.filter((at) => limit.allows(at));
}

const every = (stepMs: number, untilMs: number, fromMs = 0): number[] =>
  Array.from({ length: Math.floor((untilMs - fromMs) / stepMs) + 1 }, (_, i) => fromMs + i * stepMs);

const times = (count: number, at: number): number[] => Array.from({ length: count }, () => at);

describe('a rate limit', () => {
  test.each<[string, readonly number[], readonly number[]]>([
    ['3/s', times(5, 0), [0, 0, 0]],
    ['10/s', [...times(12, 0), 99, 100, 100, 200], [...times(10, 0), 100, 200]],
    ['10/s', [...times(10, 0), ...times(12, 5000)], [...times(10, 0), ...times(10, 5000)]],
    ['2/4s', [0, 0, 1999, 2000, 4000], [0, 2000, 4000]],
    ['1/1h', [0, 1, 3_599_999, 3_600_000], [0, 3_600_000]],
    ['3/2s', [0, 0, 333, 334, 1000], [0, 334, 1000]],
    ['5/1ms', [...times(5001, 0), ...times(6, 1)], [...times(5000, 0), ...times(5, 1)]],
  ])('of %s holds a second, at least a request, and refills evenly', (rate, asked, allowed) => {
    expect(allowedOf(rateOf(rate), asked)).toEqual(allowed);
  });

  it('gets nothing from a clock that goes back, and goes on from there', () => {
    const limit = new RateLimit(rateOf('2/s'), 10_000);
    expect([limit.allows(10_000), limit.allows(10_000), limit.allows(1000), limit.allows(1499)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(limit.allows(1500)).toBe(true);
  });

  const anyRate = fc.record({
    count: fc.integer({ min: 1, max: 500 }),
    windowMs: fc.integer({ min: 1, max: 20_000 }),
  });
  const burstOf = ({ count, windowMs }: Rate): number => Math.max(1, (count * 1000) / windowMs);

  it('allows in no span more than the rate brings and it holds', () => {
    const gaps = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 })), { maxLength: 200 });
    fc.assert(
      fc.property(anyRate, gaps, (rate, between) => {
        let now = 0;
        const asked = between.map((gap) => {
          now += gap;
          return now;
        });
        const allowed = allowedOf(rate, asked);
        for (const [first, from] of allowed.entries())
          for (const [last, to] of allowed.entries()) {
            const most = ((to - from) * rate.count) / rate.windowMs + burstOf(rate);
            if (last >= first) expect(last - first + 1).toBeLessThanOrEqual(most + 1e-9);
          }
      }),
    );
  });

  it('allows all that the rate brings to who asks all the time', () => {
    const spans = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(anyRate, spans, (rate, untilMs) => {
        // As often as the bucket could fill within a millisecond, and some.
        const perMs = Math.ceil(rate.count / rate.windowMs) + 1;
        const asked = [
          ...times(Math.ceil(burstOf(rate)), 0),
          ...every(1, untilMs).flatMap((at) => times(perMs, at)),
        ];
        const least = Math.floor((untilMs * rate.count) / rate.windowMs + burstOf(rate) + 1e-9);
        expect(allowedOf(rate, asked)).toHaveLength(least);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the loop detector', () => {
  it('finds the request that makes a loop, and each after it until the window has room', () => {
    const detector = new LoopDetector({ count: 3, windowMs: 100 });
    const found = [0, 40, 80, 90, 139, 140, 240, 340, 341].map((at) => detector.isLoop('a', at));
    expect(found).toEqual([false, false, true, true, true, true, false, false, false]);
  });

  test.each([
    [99, true],
    [100, false],
  ])('takes a request %i ms after another for one of the same 100 ms: %s', (at, expected) => {
    const detector = new LoopDetector({ count: 2, windowMs: 100 });
    detector.isLoop('a', 0);
    expect(detector.isLoop('a', at)).toBe(expected);
  });

  it('keeps identical requests apart from others', () => {
    const detector = new LoopDetector({ count: 2, windowMs: 100 });
    expect(['a', 'b', 'c', 'a'].map((identity) => detector.isLoop(identity, 0))).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  it('forgets the oldest of more than it may remember', () => {
    const detector = new LoopDetector({ count: 2, windowMs: 1000 });
    expect(detector.isLoop('a', 0)).toBe(false);
    for (let i = 0; i < 200_000; i++) detector.isLoop(String(i), 1);
    expect(detector.isLoop('a', 2)).toBe(false);
    expect(detector.isLoop('a', 3)).toBe(true);
  });

  it('agrees with a plain count of the window', () => {
    const asked = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 60 })), {
      maxLength: 100,
    });
    fc.assert(
      fc.property(asked, fc.integer({ min: 2, max: 6 }), (requests, count) => {
        const detector = new LoopDetector({ count, windowMs: 100 });
        let now = 0;
        const seen = requests.map(([identity, gap]) => {
          now += gap;
          return { identity, at: now };
        });
        const found = seen.map(({ identity, at }) => detector.isLoop(identity, at));
        const plain = seen.map(
          ({ identity, at }, i) =>
            seen.slice(0, i + 1).filter((other) => other.identity === identity && other.at > at - 100)
              .length >= count,
        );
        expect(found).toEqual(plain);
      }),
    );
  });
});
