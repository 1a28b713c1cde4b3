import type { TargetId } from './target.ts';

/** The layout of a target's state. A daemon leaves states of a higher version alone. */
export const STATE_VERSION = 1;

/**
 * What the fleet knows about one target: all that is needed to decide, so that the token itself is never read
 * on the refresh path. Times are epoch milliseconds of the Redis clock; 0 means "never".
 */
export interface TargetState {
  /** Generation of the token that is published; 0 before the first, and a floor after a purge. */
  readonly generation: number;
  /** Generation of the newest attempt, whether or not it has ended. */
  readonly attempted: number;
  /** Generation of the newest attempt that has ended, in a token or in a failure; 0 after a purge. */
  readonly concluded: number;
  /** Refresh while `generation < wanted`: an operator's force, a consumer's rejection, a changed configuration. */
  readonly wanted: number;
  /** Who raised `wanted`, in words; empty when nobody did. */
  readonly wantedBy: string;
  /** The running attempt owns the target until then. */
  readonly leaseUntil: number;
  /** Redis time when the request for the published token was sent. */
  readonly issuedAt: number;
  /** When the published token ends; 0 when there is none. */
  readonly expiresAt: number;
  /** How long after `issuedAt` the server would have it refreshed (`refresh_in`), ms; 0: it did not say. */
  readonly refreshInMs: number;
  /** Only where unread targets retire: until when the token is known to have been read when it was last written. */
  readonly readAt: number;
  /** Since when it is left alone because nobody reads it; 0: it is not. */
  readonly dormantSince: number;
  /** Failures since the last success. */
  readonly failures: number;
  /** The last failure, or undefined after a success. */
  readonly failure: FailureNote | undefined;
  /** Not to be tried before: backoff or cool-down, which what is wanted gets around once, or Retry-After. */
  readonly retryAt: number;
  /** When requests were sent lately: the fleet's log of this identical request, oldest first. */
  readonly requestLog: readonly number[];
  /** Fingerprint of the wire request that gave the published token; empty before the first. */
  readonly fingerprint: string;
  /** 8 characters that tell the published token from another; empty before the first. */
  readonly digest: string;
  /** The `tid` of the tokens so far, where the tenant is configured by a domain; else empty. */
  readonly tenantId: string;
  /** A consumer's claims challenge as JSON, for the next request; empty without one. */
  readonly claims: string;
}

/** The part of a failure that is kept: codes only, never the server's text. */
export interface FailureNote {
  readonly kind: FailureKind;
  /** Stable code: `AADSTS7000215`, an RFC 6749 `error`, `HTTP 503`, `timeout`. */
  readonly code: string;
  /** A GUID under which the server's support can look the request up. */
  readonly correlationId?: string | undefined;
}

/** Who can mend a failure, and so how it is retried. */
export type FailureKind = 'transient' | 'throttled' | 'credential' | 'configuration' | 'tenant';

/**
 * What `begin` gave: the attempt's generation with the state as it was before, or what stands in the way. `now` is Redis
 * time, ms.
 */
export type BeginResult =
  | {
      readonly outcome: 'begun';
      readonly now: number;
      readonly generation: number;
      readonly state: TargetState;
    }
  | { readonly outcome: 'leased' | 'limited'; readonly now: number; readonly until: number }
  | { readonly outcome: 'newer'; readonly now: number; readonly version: number };

export const EMPTY_STATE: TargetState = {
  generation: 0,
  attempted: 0,
  concluded: 0,
  wanted: 0,
  wantedBy: '',
  leaseUntil: 0,
  issuedAt: 0,
  expiresAt: 0,
  refreshInMs: 0,
  readAt: 0,
  dormantSince: 0,
  failures: 0,
  failure: undefined,
  retryAt: 0,
  requestLog: [],
  fingerprint: '',
  digest: '',
  tenantId: '',
  claims: '',
};

export const isWanted = (state: TargetState): boolean => state.generation < state.wanted;

export const hasLiveToken = (state: TargetState, now: number): boolean => state.expiresAt > now;

/** One managed target with what a refresh needs to know of its configuration; credentials apart. */
export interface TargetPolicy {
  readonly id: TargetId;
  /** `host:port` of the token endpoint: the scope of the indexes and of the host's gate. */
  readonly host: string;
  /** `client/tenant`: the scope of the tenant's gate. */
  readonly tenantScope: string;
  /** Identifies the wire request (endpoint, client id, scope and parameters), 8 characters. */
  readonly fingerprint: string;
  /** How long an outage of the endpoint windows are made for: the target, or what of it can be held. */
  readonly outageTargetMs: number;
  /** A token is refreshed before this share of its life; default 0.75. */
  readonly latestShare?: number | undefined;
  /** Left alone when nobody has read its token for so long; undefined: refreshed whether or not anybody reads it. */
  readonly retireUnreadAfterMs?: number | undefined;
  /** At most `count` identical requests in any `windowMs`, by the whole fleet. */
  readonly identical: { readonly count: number; readonly windowMs: number };
}
