import type { Secret } from './secret.ts';

/** An access token as it is handed around inside one process. Times are epoch ms of the Redis clock. */
export interface Token {
  readonly accessToken: Secret;
  /** `Bearer`, or what the server said. */
  readonly tokenType: string;
  /** When its request was sent: the life counts from there, so that a slow answer cannot lengthen it. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** How long after `issuedAt` the server would have it refreshed (`refresh_in`), ms; 0: it did not say. */
  readonly refreshInMs: number;
  readonly generation: number;
  /** 8 characters that tell one token from another. */
  readonly digest: string;
  /** The `tid` that it names, where the tenant is configured by a domain; else empty. */
  readonly tenantId: string;
}
