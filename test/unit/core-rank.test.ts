import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { READY_BAND, READY_CLASSES, type ReadyClass, readyClass, readyScore } from '../../src/core/rank.ts';
import { EMPTY_STATE, type TargetState } from '../../src/core/state.ts';

const NOW = Date.UTC(2026, 10, 22);
const END_OF_CENTURY = Date.UTC(2100, 0, 1);
const state = (changes: Partial<TargetState>): TargetState => ({ ...EMPTY_STATE, ...changes });
const WANTED = { generation: 5, attempted: 5, concluded: 5, wanted: 6 };
const TRIED = { ...WANTED, attempted: 6, concluded: 6 };

describe('the class of a target that is due', () => {
  test.each<[what: string, changes: Partial<TargetState>, ReadyClass]>([
    ['a live token', { expiresAt: NOW + 1 }, 'issued'],
    ['an expired token', { expiresAt: NOW }, 'issued'],
    ['a live token and failures that may be chance', { expiresAt: NOW + 1, failures: 2 }, 'issued'],
    ['a live token and failure after failure', { expiresAt: NOW + 1, failures: 3 }, 'failing'],
    ['an expired token and a failure', { expiresAt: NOW, failures: 1 }, 'failing'],
    ['nothing yet', {}, 'neverIssued'],
    ['nothing but failures', { failures: 1 }, 'failing'],
    ['an order', { expiresAt: NOW + 1, ...WANTED }, 'operator'],
    ['an order, while everything fails', { failures: 9, ...WANTED }, 'operator'],
    ['an order for what was never issued', { wanted: 1 }, 'operator'],
    ['an order that was tried, with a live token', { expiresAt: NOW + 1, ...TRIED }, 'issued'],
    ['an order that was tried and failed', { failures: 1, ...TRIED }, 'failing'],
    ['an order whose attempt never ended', { failures: 1, ...WANTED, attempted: 6 }, 'operator'],
  ])('with %s', (_what, changes, expected) => {
    expect(readyClass(state(changes), NOW)).toBe(expected);
  });
});

describe('the score in the ready index', () => {
  const moment = fc.integer({ min: 0, max: END_OF_CENTURY });
  const anyState = fc
    .record({
      expiresAt: moment,
      failures: fc.nat(3),
      attempted: fc.nat(2),
      concluded: fc.nat(2),
      wanted: fc.nat(2),
    })
    .map(state);

  it('keeps every class in a band of its own until 2100', () => {
    fc.assert(
      fc.property(anyState, moment, moment, (of, dueAt, now) => {
        const band = READY_CLASSES.indexOf(readyClass(of, now));
        const score = readyScore(of, dueAt, now);
        expect(Math.floor(score / READY_BAND)).toBe(band);
        expect(Number.isSafeInteger(score)).toBe(true);
      }),
    );
  });

  it('changes from live to dead by the clock alone', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: END_OF_CENTURY }), moment, moment, (expiresAt, one, other) => {
        const of = state({ expiresAt });
        expect(readyScore(of, 0, one)).toBe(expiresAt);
        expect(readyScore(of, 1, other)).toBe(expiresAt);
      }),
    );
  });

  it('puts the earlier expiry first', () => {
    const [early, late] = [NOW + 1, NOW + 2].map((expiresAt) => readyScore(state({ expiresAt }), 0, NOW));
    expect(early).toBeLessThan(late as number);
  });

  test.each<[who: string, changes: Partial<TargetState>]>([
    ['the never issued', {}],
    ['the ordered', { expiresAt: NOW + 1, ...WANTED }],
  ])('puts first, of %s, who has waited longest', (_who, changes) => {
    expect(readyScore(state(changes), NOW - 9, NOW)).toBeLessThan(readyScore(state(changes), NOW, NOW));
  });
});
