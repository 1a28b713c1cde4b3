import { advice } from '../core/failure.ts';
import { formatMoment } from '../core/moment.ts';
import type { TargetId } from '../core/target.ts';
import type { AwaitedOutcome } from './awaited.ts';
import { describeLife } from './progress.ts';

/** A target that was not done in time, and why. */
export interface Waiting {
  readonly target: TargetId;
  readonly summary: string;
  readonly next: string;
}

/** How many refreshed targets are still listed one by one. */
const MOST_LISTED = 20;

/** The end of `refresh --wait`. `left`: how many still wait, of which `waiting` explains the first. */
export function renderEnd(
  outcomes: readonly AwaitedOutcome[],
  waiting: readonly Waiting[],
  left: number,
  now: number,
): string {
  const refreshed = outcomes.filter((outcome) => outcome.outcome === 'refreshed');
  const failed = outcomes.filter((outcome) => outcome.outcome === 'failed');
  const listed = refreshed.length > MOST_LISTED ? [] : refreshed;
  const counts = [
    `${refreshed.length} refreshed`,
    ...(failed.length === 0 ? [] : [`${failed.length} failed`]),
    ...(left === 0 ? [] : [`${left} still waiting at the time-out`]),
  ];
  return [
    ...listed.map(
      ({ target, generation, expiresAt }) =>
        `refreshed  ${target}: generation ${generation}, ${describeLife(expiresAt, now)}`,
    ),
    ...failed.map(({ target, failure, retryAt }) => {
      const { what, todo } = advice(failure);
      const again = retryAt > now ? `; tried again ${formatMoment(retryAt, now)}` : '';
      return `failed     ${target}: ${failure.code}: ${what}; what to do: ${todo}${again}`;
    }),
    ...waiting.map(({ target, next }) => `waiting    ${target}: ${next}`),
    ...(left > waiting.length ? [`waiting    and ${left - waiting.length} more`] : []),
    `${counts.join(', ')}.`,
  ].join('\n');
}
