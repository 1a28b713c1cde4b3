import { mergeLogs, redated, withinWindow } from '../core/guard.ts';
import type { TargetId } from '../core/target.ts';
import type { Token } from '../core/token.ts';

/** What a process remembers of one target. */
export interface Remembered {
  readonly token: Token | undefined;
  /** The fleet's log of the identical request as this process saw it last. */
  readonly requestLog: readonly number[];
}

const EMPTY: Remembered = { token: undefined, requestLog: [] };

/**
 * What a process could give back to a Redis that has lost its state: the tokens that it acquired and the
 * requests that it knows of. Bounded by the targets that this process refreshed and by the lives of their
 * tokens: what has ended is dropped.
 */
export class Memory {
  readonly #targets = new Map<TargetId, Remembered>();
  readonly #unsaved = new Set<TargetId>();

  get(target: TargetId): Remembered {
    return this.#targets.get(target) ?? EMPTY;
  }

  rememberRequests(target: TargetId, log: readonly number[], windowMs: number, now: number): void {
    const known = this.get(target);
    const requestLog = withinWindow(redated(mergeLogs(known.requestLog, log), now), windowMs, now);
    this.#targets.set(target, { ...known, requestLog });
  }

  /** Keeps a token until it ends; as unsaved, until `saved` says that Redis has it. */
  rememberToken(target: TargetId, token: Token): void {
    const known = this.get(target);
    // A late attempt of this process: Redis has the newer token, and so must what is given back.
    if (known.token !== undefined && known.token.generation > token.generation) return;
    this.#targets.set(target, { ...known, token });
    this.#unsaved.add(target);
  }

  /** Redis has this token, or a newer one. */
  saved(target: TargetId, token: Token): void {
    if (this.get(target).token === token) this.#unsaved.delete(target);
  }

  /** Requests that another clock than now's has dated count from now on. */
  clockWentBack(now: number): void {
    for (const [target, { token, requestLog }] of this.#targets)
      this.#targets.set(target, { token, requestLog: redated(requestLog, now) });
  }

  /** Tokens that were acquired while Redis could not take them. */
  unsaved(): Map<TargetId, Remembered> {
    return new Map([...this.#unsaved].map((target) => [target, this.get(target)]));
  }

  /** After a purge or a removal a token must not come back. */
  forgetToken(target: TargetId): void {
    const known = this.#targets.get(target);
    if (known !== undefined) this.#targets.set(target, { ...known, token: undefined });
    this.#unsaved.delete(target);
  }

  /** What is worth giving back at `now`; drops the rest. */
  live(now: number, windowMs: number): Map<TargetId, Remembered> {
    for (const [target, { token, requestLog }] of this.#targets) {
      const liveToken = token !== undefined && token.expiresAt > now ? token : undefined;
      const recent = withinWindow(requestLog, windowMs, now);
      if (liveToken === undefined) this.#unsaved.delete(target);
      if (liveToken === undefined && recent.length === 0) this.#targets.delete(target);
      else this.#targets.set(target, { token: liveToken, requestLog: recent });
    }
    return new Map(this.#targets);
  }

  get unsavedCount(): number {
    return this.#unsaved.size;
  }
}
