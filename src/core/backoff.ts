import type { FailureKind } from './state.ts';

/** One failure, as far as the wait after it depends on it. */
export interface BackoffInput {
  readonly kind: FailureKind;
  readonly retryAfterMs: number | undefined;
  /** Failures in a row, this one included. */
  readonly failures: number;
  /** Life left in the token that is there; 0 or less without one. */
  readonly lifeLeftMs: number;
}

const TRANSIENT_BASE_MS = 1000;
const TRANSIENT_LONGEST_MS = 5 * 60_000;
/** Without a live token nobody is served by long waits; the identical limit and the gates bound the calls. */
const WITHOUT_TOKEN_LONGEST_MS = 30_000;
const SHORTEST_MS = 250;

const PARKED_BASE_MS = 30_000;
const PARKED_LONGEST_MS = 30 * 60_000;

/** A 429 without Retry-After: what Entra documents for client credentials. */
export const THROTTLED_DEFAULT_MS = 60_000;

/**
 * How long to wait after a failure, for a random draw in [0, 1). Transient: full jitter under a doubling bound
 * that never takes more than a quarter of the life left. Throttled: what the server said. The rest is mended by
 * people and is probed with a growing, short-capped cool-down, half of it drawn. None is sooner than Retry-After.
 */
export function backoffMs(input: BackoffInput, draw: number): number {
  switch (input.kind) {
    case 'transient': {
      const longest =
        input.lifeLeftMs > 0
          ? Math.min(TRANSIENT_LONGEST_MS, input.lifeLeftMs / 4)
          : WITHOUT_TOKEN_LONGEST_MS;
      const bound = Math.min(longest, TRANSIENT_BASE_MS * 2 ** Math.min(20, input.failures - 1));
      return Math.max(SHORTEST_MS, Math.round(bound * draw), input.retryAfterMs ?? 0);
    }
    case 'throttled':
      return input.retryAfterMs ?? THROTTLED_DEFAULT_MS;
    case 'credential':
    case 'configuration':
    case 'tenant': {
      const bound = Math.min(PARKED_LONGEST_MS, PARKED_BASE_MS * 2 ** Math.min(20, input.failures - 1));
      return Math.max(Math.round(bound * (0.5 + draw / 2)), input.retryAfterMs ?? 0);
    }
  }
}
