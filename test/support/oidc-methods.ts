import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
// @ts-expect-error: the package has no types
import { errors } from 'oidc-provider';
import type { Jwk } from './oidc-clients.ts';

/** How oidc-provider is told to check what clients prove themselves with, as an operator of it would. */

interface Context {
  readonly req: IncomingMessage;
}

/**
 * The provider's store. It remembers which assertions were used, so that none is taken twice, and nothing else: client
 * credentials tokens are never looked up here.
 */
export class RememberedAssertions {
  readonly #remembered: Map<string, object> | undefined;

  constructor(model: string) {
    this.#remembered = model === 'ReplayDetection' ? new Map() : undefined;
  }

  async upsert(id: string, payload: object, expiresInSeconds: number): Promise<void> {
    if (this.#remembered === undefined) return;
    this.#remembered.set(id, payload);
    setTimeout(() => this.#remembered?.delete(id), expiresInSeconds * 1000).unref();
  }

  async find(id: string): Promise<object | undefined> {
    return this.#remembered?.get(id);
  }

  async findByUid(): Promise<void> {}
  async findByUserCode(): Promise<void> {}
  async consume(): Promise<void> {}
  async destroy(): Promise<void> {}
  async revokeByGrantId(): Promise<void> {}
}

/** RFC 8705: both ways to know a certificate, by its subject or by itself. */
export const MUTUAL_TLS = {
  enabled: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate: ({ req }: Context): X509Certificate | undefined =>
    (req.socket as Partial<TLSSocket>).getPeerX509Certificate?.(),
  certificateAuthorized: ({ req }: Context): boolean => (req.socket as TLSSocket).authorized,
  certificateSubjectMatches: (context: Context, property: string, expected: string): boolean =>
    property === 'tls_client_auth_subject_dn' && MUTUAL_TLS.getCertificate(context)?.subject === expected,
};

/** Stricter than the provider, which tries every key of a client: an assertion has to name the registered one. */
export function checkAssertionHeader(
  _context: Context,
  _claims: unknown,
  header: Jwk,
  client: { readonly jwks?: { readonly keys: readonly Jwk[] } },
): void {
  const keys = client.jwks?.keys;
  if (keys === undefined) return;
  const named = keys.some((key) => key.kid === header.kid && key['x5t#S256'] === header['x5t#S256']);
  if (!named) throw new errors.InvalidClientAuth('the assertion names no registered key');
}
