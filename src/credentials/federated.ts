import type { Client } from '../core/client.ts';
import type { ClientAuthentication } from '../core/client-authentication.ts';
import { Secret } from '../core/secret.ts';
import { placeAssertion } from './assertion.ts';
import { CredentialError } from './credential-error.ts';

/** A JWT that another issuer has signed, and its `exp` (epoch ms) if it has one. */
export interface ForeignJwt {
  readonly jwt: Secret;
  readonly expiresAt: number | undefined;
}

/**
 * Reads the JWT of another issuer out of a file. Only its shape is checked: what is in it is between its issuer and the
 * authorization server.
 */
export function readForeignJwt(content: Buffer): ForeignJwt {
  const jwt = content
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trim();
  const [header, payload, signature, ...rest] = jwt.split('.');
  const claims = decodePart(payload);
  if (decodePart(header) === undefined || !claims || !isBase64Url(signature) || rest.length > 0) {
    throw new CredentialError('assertion not a JWT', 'expected a signed JWT in the file, and it is none');
  }
  const { exp } = claims;
  return { jwt: new Secret(jwt), expiresAt: typeof exp === 'number' ? exp * 1000 : undefined };
}

/** Sends the JWT of another issuer as the assertion. */
export function foreignAssertion(
  client: Pick<Client, 'clientId' | 'grant'>,
  jwt: Secret,
): ClientAuthentication {
  return (request) => placeAssertion(request, client, jwt);
}

const isBase64Url = (part: string | undefined): part is string =>
  part !== undefined && /^[A-Za-z0-9_-]+$/.test(part);

function decodePart(part: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (!isBase64Url(part)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
