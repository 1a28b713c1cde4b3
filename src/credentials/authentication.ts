/** A token request as client authentication sees it: the closure changes the headers or the body. */
export interface AuthenticatedRequest {
  /** The token endpoint. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly body: URLSearchParams;
}

export interface Moment {
  /** The server's time, epoch ms: the caller has corrected the skew of the clocks. */
  readonly now: number;
  /** Sign a new assertion, even if the last one should still be valid. */
  readonly signAgain: boolean;
}

/**
 * Proves who the client is (RFC 6749 section 2.3), or brings the assertion that is the grant (RFC 7523 section 2.1).
 *
 * @throws {CredentialError} when the proof cannot be had now; then nothing is to be sent.
 */
export type Authentication = (request: AuthenticatedRequest, moment: Moment) => void | Promise<void>;
