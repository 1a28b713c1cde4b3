import { describe, expect, test } from 'vitest';
import { type AwaitedOutcome, awaitOutcomes, outcomeOf } from '../../src/cli/awaited.ts';
import { EMPTY_STATE, type TargetState } from '../../src/core/state.ts';

const FAILURE = { kind: 'transient', code: 'timeout' } as const;
const BEFORE: TargetState = { ...EMPTY_STATE, generation: 5, attempted: 5, issuedAt: 1, expiresAt: 9000 };

describe('of a target that is awaited since generation 10', () => {
  test.each<[string, TargetState, string | undefined]>([
    ['an older token says nothing yet', BEFORE, undefined],
    ['an order that is not begun says nothing yet', { ...BEFORE, wanted: 10 }, undefined],
    ['a running attempt says nothing yet', { ...BEFORE, attempted: 10, leaseUntil: 500 }, undefined],
    [
      'the failure of an attempt that began before says nothing yet',
      { ...BEFORE, attempted: 9, failures: 1, failure: FAILURE },
      undefined,
    ],
    [
      'an attempt whose process died says nothing yet',
      { ...BEFORE, attempted: 10, leaseUntil: 1 },
      undefined,
    ],
    [
      'a purge, which raises the generation as well, says nothing yet',
      { ...EMPTY_STATE, generation: 12, attempted: 12 },
      undefined,
    ],
    ['a token of that generation says refreshed', { ...BEFORE, generation: 10, attempted: 10 }, 'refreshed'],
    [
      'a newer token says refreshed',
      { ...BEFORE, generation: 11, attempted: 12, leaseUntil: 500 },
      'refreshed',
    ],
    [
      'the failure of an attempt since then says failed',
      { ...BEFORE, attempted: 10, failures: 1, failure: FAILURE },
      'failed',
    ],
  ])('%s', (_what, state, outcome) => {
    expect(outcomeOf({ id: 'a/t/r', since: 10 }, state)?.outcome).toBe(outcome);
  });
});

describe('waiting', () => {
  /** States change with the clock, which only sleeping moves. */
  function world(statesAt: (now: number) => TargetState[]) {
    let now = 0;
    const outcomes: AwaitedOutcome[] = [];
    const options = {
      timeoutMs: 1000,
      read: async () => statesAt(now),
      now: async () => now,
      sleep: async (ms: number) => {
        now += ms;
      },
      onOutcome: (outcome: AwaitedOutcome) => {
        outcomes.push(outcome);
      },
    };
    return { options, outcomes, elapsed: () => now };
  }
  const target = { id: 'a/t/r', since: 10 };

  test('ends as soon as everything has an outcome', async () => {
    const { options, outcomes, elapsed } = world((now) => [
      now < 300 ? BEFORE : { ...BEFORE, generation: 10, attempted: 10 },
    ]);
    expect(await awaitOutcomes([target], options)).toEqual([]);
    expect(outcomes).toEqual([{ outcome: 'refreshed', target: 'a/t/r', generation: 10, expiresAt: 9000 }]);
    expect(elapsed()).toBe(300);
  });

  test('ends at its time-out and gives what is left', async () => {
    const { options, outcomes, elapsed } = world(() => [BEFORE]);
    expect(await awaitOutcomes([target], options)).toEqual([target]);
    expect(outcomes).toEqual([]);
    expect(elapsed()).toBe(1000);
  });
});
