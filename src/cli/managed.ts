import { type Condition, conditionOf, type Standing } from '../core/condition.ts';
import type { TargetState } from '../core/state.ts';
import { type ParsedSelect, parseSelect, type TargetId } from '../core/target.ts';
import { REFRESH_QUEUE } from '../queue/refresh-queue.ts';
import { matchManaged } from '../refresh/match.ts';
import { type Pause, PROCESS_LIVE_MS, type ProcessInfo } from '../store/fleet.ts';
import { Indexes } from '../store/indexes.ts';
import type { Session } from './session.ts';

/** A target that is managed, as Redis knows it. */
export interface ManagedTarget {
  readonly id: TargetId;
  readonly host: string;
  readonly standing: Standing;
  readonly state: TargetState;
  readonly condition: Condition;
}

export function indexesOf({ redis, keys }: Session): Indexes {
  return new Indexes(redis, keys, REFRESH_QUEUE);
}

/** Any target there is. */
export const EVERYTHING = parseSelect('*', { all: true });

/** The managed targets that a select means, in pages, with their states at `now`. */
export async function* managedTargets(
  session: Session,
  select: ParsedSelect,
  now: number,
): AsyncGenerator<readonly ManagedTarget[]> {
  const indexes = indexesOf(session);
  for await (const { host, entries } of matchManaged(indexes, select)) {
    const ids = entries.map(({ target }) => target);
    const [states, ready] = await Promise.all([session.states.read(ids), indexes.inReady(host, ids)]);
    yield entries.map(({ target, dueAt }, i) => {
      const state = states[i] as TargetState;
      const standing = { dueAt, ready: ready[i] === true };
      return { id: target, host, standing, state, condition: conditionOf(state, standing, now) };
    });
  }
}

/** Where a target is managed; undefined: nowhere. */
export async function standingOf(
  session: Session,
  id: TargetId,
): Promise<{ readonly host: string; readonly standing: Standing } | undefined> {
  const indexes = indexesOf(session);
  for (const host of await indexes.hosts()) {
    const [[dueAt], [ready]] = await Promise.all([indexes.dueAt(host, [id]), indexes.inReady(host, [id])]);
    if (dueAt !== undefined) return { host, standing: { dueAt, ready: ready === true } };
  }
  return undefined;
}

/** Until when a target is paused; undefined: it is not. */
export function pausedUntil(pauses: readonly Pause[], id: TargetId): number | undefined {
  const ends = pauses.filter((pause) => matches(pause, id)).map(({ until }) => until);
  return ends.length === 0 ? undefined : Math.max(...ends);
}

/** A pause that cannot be read, because another version wrote it, say, holds nothing back in a daemon either. */
function matches({ select, all }: Pause, id: TargetId): boolean {
  try {
    return parseSelect(select, { all }).matches(id);
  } catch {
    return false;
  }
}

/** The processes that live. */
export async function liveProcesses({ fleet }: Session): Promise<readonly ProcessInfo[]> {
  return (await fleet.view(PROCESS_LIVE_MS)).processes;
}

/** Whether a process dispatches and carries out orders; the others only refresh. */
export const isScheduling = ({ role }: ProcessInfo): boolean => role !== 'worker';
