import type { Rate } from '../core/duration.ts';
import type { Clients } from './clients.ts';
import type { LimitSettings } from './limits.ts';
import type { Lifetime, Mode } from './options.ts';
import type { Flavour } from './refusal.ts';

/** What can be changed while the server runs. */
export interface Behaviour extends LimitSettings {
  readonly mode: Mode;
  /** Of the requests, how many meet the mode, from 0 to 1; drawn for each. */
  readonly share: number;
  /** The tenants whose requests meet the mode; undefined: all. */
  readonly tenants: ReadonlySet<string> | undefined;
  readonly delayMs: number;
  readonly lifetime: Lifetime;
  /** `refresh_in` as a share of `expires_in`, from 0 to 1; undefined: none is given. */
  readonly refreshIn: number | undefined;
  readonly clients: Clients;
  /** `oauth`: refusals without Entra's numbers, and each assertion may be used once. */
  readonly flavour: Flavour;
  /** The same request gets the same token until that ends. */
  readonly sameToken: boolean;
  /** New tokens are ones that have ended, and `expires_in` says otherwise. */
  readonly expiredTokens: boolean;
  /** How far ahead the server's clock is: its dates, its tokens, and what it measures assertions by. */
  readonly clockSkewSeconds: number;
  /** Token requests that the whole server takes; undefined: any number. */
  readonly rate: Rate | undefined;
  /** The same for each client in each tenant. */
  readonly tenantRate: Rate | undefined;
  /** As many identical requests in the window are a loop; undefined: none are. */
  readonly loop: Rate | undefined;
  /** With each 429; undefined: none. */
  readonly retryAfterMs: number | undefined;
  /** How Retry-After is written. */
  readonly retryAfterAs: RetryAfterForm;
  /** How long after a Retry-After was sent requests may still come that were under way. */
  readonly graceMs: number;
}

/** RFC 9110 section 10.2.3. */
export const RETRY_AFTER_FORMS = ['seconds', 'date'] as const;
export type RetryAfterForm = (typeof RETRY_AFTER_FORMS)[number];

/** Entra documents a minute for what it throttles. */
export const WELL_BEHAVED: Omit<Behaviour, 'clients'> = {
  mode: 'ok',
  share: 1,
  tenants: undefined,
  delayMs: 0,
  lifetime: { minSeconds: 60, maxSeconds: 60 },
  refreshIn: undefined,
  flavour: 'entra',
  sameToken: false,
  expiredTokens: false,
  clockSkewSeconds: 0,
  rate: undefined,
  tenantRate: undefined,
  loop: undefined,
  retryAfterMs: 60_000,
  retryAfterAs: 'seconds',
  graceMs: 500,
};
