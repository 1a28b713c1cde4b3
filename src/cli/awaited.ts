import type { FailureNote, TargetState } from '../core/state.ts';
import type { TargetId } from '../core/target.ts';

/** A target for which an order was accepted. An attempt with a generation below `since` began before it. */
export interface Awaited {
  readonly id: TargetId;
  readonly since: number;
}

export type AwaitedOutcome =
  | {
      readonly outcome: 'refreshed';
      readonly target: TargetId;
      readonly generation: number;
      readonly expiresAt: number;
    }
  | {
      readonly outcome: 'failed';
      readonly target: TargetId;
      readonly failure: FailureNote;
      readonly retryAt: number;
    };

/** What became of an awaited target; undefined: nothing yet. */
export function outcomeOf({ id, since }: Awaited, state: TargetState): AwaitedOutcome | undefined {
  // A purge raises the generation as well, and leaves no token.
  if (state.generation >= since && state.expiresAt > 0)
    return { outcome: 'refreshed', target: id, generation: state.generation, expiresAt: state.expiresAt };
  // The conclusion of an attempt, and nothing else, ends its lease and leaves a failure.
  const hasFailed = state.attempted >= since && state.leaseUntil === 0 && state.generation < since;
  if (!hasFailed || state.failure === undefined) return undefined;
  return { outcome: 'failed', target: id, failure: state.failure, retryAt: state.retryAt };
}

/** How soon states are looked at again: at once for a person, and never most of what Redis does. */
const LOOK_AGAIN_MS = 100;
const PAGE = 1000;

export interface AwaitOptions {
  readonly timeoutMs: number;
  readonly read: (ids: readonly TargetId[]) => Promise<TargetState[]>;
  /** Redis time, ms. */
  readonly now: () => Promise<number>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onOutcome: (outcome: AwaitedOutcome) => void;
}

/** Waits for an outcome for each target. Gives those that have none in time. */
export async function awaitOutcomes(targets: readonly Awaited[], options: AwaitOptions): Promise<Awaited[]> {
  const deadline = (await options.now()) + options.timeoutMs;
  let pending = [...targets];
  for (;;) {
    const startedAt = await options.now();
    pending = await stillPending(pending, options);
    const now = await options.now();
    if (pending.length === 0 || now >= deadline) return pending;
    await options.sleep(Math.min(deadline - now, Math.max(LOOK_AGAIN_MS, now - startedAt)));
  }
}

async function stillPending(targets: readonly Awaited[], options: AwaitOptions): Promise<Awaited[]> {
  const pending: Awaited[] = [];
  for (let start = 0; start < targets.length; start += PAGE) {
    const page = targets.slice(start, start + PAGE);
    const states = await options.read(page.map(({ id }) => id));
    for (const [i, target] of page.entries()) {
      const outcome = outcomeOf(target, states[i] as TargetState);
      if (outcome === undefined) pending.push(target);
      else options.onOutcome(outcome);
    }
  }
  return pending;
}
