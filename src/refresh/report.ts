import type { RefreshReason, WaitReason } from '../core/decide.ts';
import type { Failure } from '../core/failure.ts';
import type { TargetId } from '../core/target.ts';

/** What became of one job. The log, the metrics and the tests read this; nothing in it is secret. */
export interface RefreshReport {
  readonly target: TargetId;
  readonly outcome: RefreshOutcome;
  /** The decision's reason, one of a few: a label of the metrics. */
  readonly reason: ReportReason;
  /** The same in words, with the figures. */
  readonly why: string;
  readonly durationMs: number;
  /** Under which the server's support can look the last request up. */
  readonly requestId?: string | undefined;
  /** The server gave the same token again. */
  readonly repeated?: boolean;
  /** HTTP requests that were sent. */
  readonly requests: number;
  /** Redis time at which something will next be done about the target, where this attempt has planned it. */
  readonly nextAt?: number | undefined;
  readonly generation?: number;
  readonly expiresAt?: number;
  /** How long the token that was published lives, from its request on; absent for one that was there already. */
  readonly lifeMs?: number;
  /** Share of its life that the replaced token still had; 0: it had ended; undefined: there was none. */
  readonly lifeLeft?: number | undefined;
  readonly failure?: Failure;
}

/**
 * `refreshed`: a new token is in Redis. `failed`: the server gave none. `not needed`: the policy says wait.
 * `superseded`: a newer attempt was faster. `given back`: another process or moment is better. `dropped`: the
 * claim has ended or the target is no longer managed; the index knows what to do.
 */
export type RefreshOutcome = 'refreshed' | 'failed' | 'not needed' | 'superseded' | 'given back' | 'dropped';

export type ReportReason =
  | RefreshReason
  | WaitReason
  | 'not configured here'
  | 'no slot'
  | 'gate closed'
  | 'not managed'
  | 'claim ended'
  | 'newer daemon';

/** A report before it is known how long all of it took. */
export type Closing = Omit<RefreshReport, 'target' | 'durationMs' | 'requests'> & {
  readonly requests?: number;
};
