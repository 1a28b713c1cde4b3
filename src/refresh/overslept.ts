import { BEYOND_ANY_PLAN_MS, isDormant } from '../core/retire.ts';
import type { TargetState } from '../core/state.ts';
import type { TargetId } from '../core/target.ts';
import type { CataloguePort, ClockPort, IndexesPort, StatesPort } from './ports.ts';

/**
 * Makes due those of these targets, which are awake, that are still planned as dormant ones are: whoever woke them was
 * stopped before they came due, or Redis has forgotten that they did. Gives how many there were.
 */
export async function makeOversleptDue(
  host: string,
  targets: readonly TargetId[],
  now: number,
  indexes: Pick<IndexesPort, 'dueAt' | 'setDue'>,
): Promise<number> {
  const dueAt = await indexes.dueAt(host, targets);
  const overslept = targets.filter((_target, i) => (dueAt[i] ?? 0) > now + BEYOND_ANY_PLAN_MS);
  if (overslept.length > 0) await indexes.setDue(host, overslept, now);
  return overslept.length;
}

export interface OversleptDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: Pick<StatesPort, 'read'>;
  readonly indexes: Pick<IndexesPort, 'beyond' | 'dueAt' | 'setDue'>;
  readonly clock: ClockPort;
  /** Told after each page: the process is well. */
  readonly alive?: () => void;
}

const PAGE = 200;

/**
 * Makes due whatever is planned as dormant ones are although by this catalogue it is awake: a process with another
 * configuration has retired it, after this one had begun to manage it. Gives how many there were.
 */
export async function wakeOverslept(deps: OversleptDependencies): Promise<number> {
  const { states, indexes, clock, alive } = deps;
  const catalogue = deps.catalogue();
  const now = await clock.now();
  let woken = 0;
  for (const host of catalogue.hosts().keys()) {
    for await (const page of indexes.beyond(host, now + BEYOND_ANY_PLAN_MS, PAGE)) {
      const targets = page
        .map(({ target }) => catalogue.get(target))
        .filter((target) => target?.host === host)
        .filter((target) => target !== undefined);
      const known = await states.read(targets.map(({ id }) => id));
      const awake = targets.filter((target, i) => !isDormant(known[i] as TargetState, target));
      woken += await makeOversleptDue(
        host,
        awake.map(({ id }) => id),
        now,
        indexes,
      );
      alive?.();
    }
  }
  return woken;
}
