import type { TargetId } from './target.ts';

/** What a dispatcher made of a target that had come due. */
export interface Filed {
  readonly target: TargetId;
  /** The due score that was seen; if it has moved since, nothing is done. */
  readonly seen: number;
  readonly as: 'ready' | 'wait';
  /** Ready score, or when to look again. */
  readonly score: number;
}

export interface Due {
  readonly target: TargetId;
  readonly dueAt: number;
}

export type DispatchResult =
  | { readonly outcome: 'epoch' }
  | {
      readonly outcome: 'ok';
      readonly now: number;
      readonly closedUntil: number;
      /** When the next target comes due; 0: none is managed. */
      readonly nextDueAt: number;
      readonly waiting: number;
      readonly claimed: readonly TargetId[];
      /** What is due now, at most 500 targets. */
      readonly due: readonly Due[];
    };
