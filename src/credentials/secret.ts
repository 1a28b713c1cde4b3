import type { SecretCredential } from '../core/client.ts';
import type { Secret } from '../core/secret.ts';

/** The parts of a token request that a client secret goes into. */
interface SecretRequest {
  readonly headers: Record<string, string>;
  readonly body: URLSearchParams;
}

/**
 * Client authentication by secret (RFC 6749 section 2.3.1): in the body, or as HTTP Basic. With Basic,
 * `client_id` leaves the body, since a request proves its client in one way only.
 */
export function secretAuthentication(
  clientId: string,
  secret: Secret,
  method: Exclude<SecretCredential['method'], 'client_secret_jwt'>,
): (request: SecretRequest) => void {
  if (method === 'client_secret_basic') {
    return ({ headers, body }) => {
      body.delete('client_id');
      headers.authorization = basic(clientId, secret);
    };
  }
  return ({ body }) => {
    body.set('client_id', clientId);
    body.set('client_secret', secret.reveal());
  };
}

/** RFC 6749 section 2.3.1: form-encoded before they are joined, so that a colon in the id cannot split it. */
function basic(clientId: string, secret: Secret): string {
  const pair = `${formEncode(clientId)}:${formEncode(secret.reveal())}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/**
 * One value as `application/x-www-form-urlencoded` has it: a space is `+`. Every decoder takes `~` as it is, which many
 * secrets hold; servers that do not decode at all take it in no other way.
 */
function formEncode(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1).replaceAll('%7E', '~');
}
