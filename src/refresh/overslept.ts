import { BEYOND_ANY_PLAN_MS } from '../core/retire.ts';
import type { TargetId } from '../core/target.ts';
import type { IndexesPort } from './ports.ts';

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
