import type { Secret } from './secret.ts';

/**
 * A token request on its way to the wire. Client authentication writes into `headers` and `body`, which from then on
 * hold the credential: a request lives within one attempt and is not logged.
 */
export interface TokenRequest {
  /** The token endpoint. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly body: URLSearchParams;
}

/** When a request is authenticated, for what is signed. */
export interface Moment {
  /** The server's time, epoch ms: the caller has corrected the skew of the clocks. */
  readonly now: number;
  /** Sign a new assertion, even if the last one should still be valid. */
  readonly signAgain: boolean;
}

/**
 * Proves who the client is (RFC 6749 section 2.3), or brings the assertion that is the grant (RFC 7523 section 2.1).
 * Throws when the proof cannot be had now; then nothing is to be sent.
 */
export type ClientAuthentication = (request: TokenRequest, moment: Moment) => void | Promise<void>;

/** A client certificate for mutual TLS (RFC 8705); two with one fingerprint are the same. */
export interface ClientTls {
  readonly fingerprint: string;
  /** PEM, the client's own certificate first. */
  readonly certificateChainPem: string;
  /** PEM, PKCS #8. */
  readonly key: Secret;
}
