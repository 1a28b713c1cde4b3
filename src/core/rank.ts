import { hasLiveToken, isWanted, type TargetState } from './state.ts';

/**
 * The score of a target in the ready index: its class's band, and within the band who comes first. A live or
 * expired token ranks by its expiry alone, so that it changes from live to dead by the clock, without a write.
 */
export const READY_BAND = 2 ** 42;

/** Bands of the ready index, in the order of their scores. */
export const READY_CLASSES = ['issued', 'neverIssued', 'failing', 'operator'] as const;
export type ReadyClass = (typeof READY_CLASSES)[number];

/**
 * From so many failures in a row on a target ranks as failing though its token lives. Its token would end first, and so
 * it would come first again and again, and the turns of those whose refreshes succeed would be spent on it.
 */
const FAILING_FROM = 3;

/** The class of a target that is due. */
export function readyClass(state: TargetState, now: number): ReadyClass {
  if (isWanted(state) && state.concluded < state.wanted) return 'operator';
  if (state.failures >= (hasLiveToken(state, now) ? FAILING_FROM : 1)) return 'failing';
  return state.expiresAt === 0 ? 'neverIssued' : 'issued';
}

/** Who comes first: the earliest expiry; for the never issued and the ordered, who has waited longest. */
export function readyScore(state: TargetState, dueAt: number, now: number): number {
  const readyAs = readyClass(state, now);
  const within = readyAs === 'issued' || readyAs === 'failing' ? state.expiresAt : dueAt;
  return READY_CLASSES.indexOf(readyAs) * READY_BAND + within;
}
