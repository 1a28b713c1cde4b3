import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { Bulkhead } from '../../src/refresh/bulkhead.ts';

describe('the slots of a process', () => {
  test.each([
    [1, 1],
    [2, 1],
    [3, 1],
    [10, 5],
    [11, 5],
  ])('%i give one host %i', (slots, most) => {
    const bulkhead = new Bulkhead(slots);
    const entered = Array.from({ length: slots + 1 }, () => bulkhead.enter('a'));
    expect(entered.filter(Boolean)).toHaveLength(most);
    expect(bulkhead.inFlight).toBe(most);
  });

  it('of one host that hangs leave the other hosts theirs', () => {
    const bulkhead = new Bulkhead(4);
    expect([bulkhead.enter('hangs'), bulkhead.enter('hangs'), bulkhead.enter('hangs')]).toEqual([
      true,
      true,
      false,
    ]);
    expect([bulkhead.enter('well'), bulkhead.enter('well')]).toEqual([true, true]);
  });

  it('are free again when they are left', () => {
    const bulkhead = new Bulkhead(2);
    bulkhead.enter('a');
    bulkhead.leave('a');
    expect(bulkhead.inFlight).toBe(0);
    expect(bulkhead.enter('a')).toBe(true);
  });

  it('do not become more when one is left that nobody held', () => {
    const bulkhead = new Bulkhead(2);
    bulkhead.leave('a');
    bulkhead.leave('a');
    expect([bulkhead.inFlight, bulkhead.enter('a'), bulkhead.enter('a')]).toEqual([0, true, false]);
  });

  it('are never held by one host beyond its half, whoever comes and goes', () => {
    const moves = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 100 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), moves, (slots, all) => {
        const bulkhead = new Bulkhead(slots);
        const held = new Map<string, number>();
        for (const [host, comes] of all) {
          const before = held.get(host) ?? 0;
          if (comes && bulkhead.enter(host)) held.set(host, before + 1);
          else if (!comes && before > 0) {
            bulkhead.leave(host);
            held.set(host, before - 1);
          }
          expect(held.get(host) ?? 0).toBeLessThanOrEqual(Math.max(1, slots / 2));
          expect(bulkhead.inFlight).toBe([...held.values()].reduce((sum, count) => sum + count, 0));
        }
      }),
    );
  });
});
