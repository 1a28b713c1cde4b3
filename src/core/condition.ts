import type { Hold } from './credential-choice.ts';
import type { Gate } from './gate.ts';
import { hasLiveToken, isWanted, type TargetPolicy, type TargetState } from './state.ts';
import type { TargetId } from './target.ts';

/**
 * How a target is, in a word. `failing`: its last attempt failed, whether or not a token still lives. `dormant`: left
 * alone, since nobody reads its token.
 */
export type Condition = 'fresh' | 'due' | 'expired' | 'never issued' | 'failing' | 'dormant';

export const CONDITIONS: readonly Condition[] = [
  'fresh',
  'due',
  'failing',
  'expired',
  'never issued',
  'dormant',
];

/** What the indexes say about a target that is managed. */
export interface Standing {
  /** When it is looked at next, epoch ms. */
  readonly dueAt: number;
  /** It is due and waits for the gate. */
  readonly ready: boolean;
}

export function conditionOf(state: TargetState, standing: Standing | undefined, now: number): Condition {
  if (state.dormantSince > 0 && !isWanted(state)) return 'dormant';
  if (state.failures > 0) return 'failing';
  if (state.expiresAt === 0) return 'never issued';
  if (!hasLiveToken(state, now)) return 'expired';
  const isDue = standing !== undefined && (standing.ready || standing.dueAt <= now);
  return isDue || isWanted(state) || state.leaseUntil > now ? 'due' : 'fresh';
}

/** All that is known about one target at one moment. */
export interface KnownTarget {
  readonly id: TargetId;
  readonly state: TargetState;
  /** Undefined where neither the configuration at hand nor an operator's override names the target. */
  readonly policy: TargetPolicy | undefined;
  /** Undefined where the target is not managed. */
  readonly standing: Standing | undefined;
  readonly hostGate: Gate;
  readonly tenantGate: Gate;
  /** The ceilings of the gates, requests a second, where they are known. */
  readonly limits?: { readonly perHost: number; readonly perTenant: number } | undefined;
  readonly pausedUntil: number | undefined;
  /** Why the credentials of its client are not used now; undefined: they are. */
  readonly hold?: Hold | undefined;
  /** Since the token key was last read, where that matters and can be known. */
  readonly idleMs?: number | undefined;
  /** Whether the token key exists. */
  readonly tokenThere: boolean;
  readonly now: number;
}
