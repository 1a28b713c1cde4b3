import { createSecretKey } from 'node:crypto';
import type { Client, Credential, FederatedCredential, SecretCredential } from '../core/client.ts';
import { signedAssertion } from './assertion.ts';
import type { Azure } from './azure.ts';
import { CredentialError } from './credential-error.ts';
import { foreignAssertion, readForeignJwt } from './federated.ts';
import { namedFingerprint, secretFingerprint } from './fingerprint.ts';
import { loadKeyCredential } from './key-credential.ts';
import { always, type Loaded } from './loaded.ts';
import { managedIdentityAssertion } from './managed-identity.ts';
import type { Parts } from './parts.ts';
import { secretAuthentication } from './secret.ts';
import { asSecret } from './source.ts';

/**
 * Makes of what was read what proves the client.
 *
 * @throws {CredentialError} when it cannot be used, whatever the time; a certificate's validity is in the result.
 */
export async function loadCredential(
  client: Client,
  credential: Credential,
  parts: Parts,
  azure: Azure,
): Promise<Loaded> {
  if (client.grant.kind === 'jwt_bearer' && !bringsAssertions(credential)) {
    throw new CredentialError(
      'private key missing',
      'the JWT-bearer grant is an assertion, and this credential signs none',
    );
  }
  if (credential.kind === 'secret') return await loadSecret(client, credential, parts);
  if (credential.kind === 'federated') return await loadFederated(client, credential, parts, azure);
  return await loadKeyCredential(client, credential, parts);
}

function bringsAssertions(credential: Credential): boolean {
  return (
    credential.kind === 'federated' ||
    credential.method === 'private_key_jwt' ||
    credential.method === 'client_secret_jwt'
  );
}

async function loadSecret(client: Client, credential: SecretCredential, { source }: Parts): Promise<Loaded> {
  const { method, assertion } = credential;
  const secret = asSecret(source, credential.source);
  const fingerprint = await secretFingerprint(method, client.clientId, secret);
  const { endsAt } = credential;
  if (method !== 'client_secret_jwt') {
    const authenticate = secretAuthentication(client.clientId, secret, method);
    return always({ fingerprint, authenticate, tls: undefined, endsAt, signsAssertions: false });
  }
  const key = createSecretKey(secret.reveal(), 'utf8');
  const header = assertion.kid === undefined ? {} : { kid: assertion.kid };
  const authenticate = signedAssertion(client, assertion, { alg: 'HS256', key, header });
  return always({ fingerprint, authenticate, tls: undefined, endsAt, signsAssertions: true });
}

async function loadFederated(
  client: Client,
  { source }: FederatedCredential,
  parts: Parts,
  azure: Azure,
): Promise<Loaded> {
  // Nobody warns of its end, since it is the platform that renews it.
  const rest = { tls: undefined, endsAt: undefined, signsAssertions: false };
  if ('managedIdentity' in source) {
    const { clientId = '', audience } = source.managedIdentity;
    const fingerprint = namedFingerprint('managedIdentity', clientId, audience);
    const authenticate = await managedIdentityAssertion(client, source.managedIdentity, azure);
    return always({ fingerprint, authenticate, ...rest });
  }
  const { jwt, expiresAt } = readForeignJwt(parts.source);
  const fingerprint = namedFingerprint('federated', source.file);
  const loaded = always({ fingerprint, authenticate: foreignAssertion(client, jwt), ...rest });
  return { ...loaded, until: expiresAt ?? loaded.until, ended: 'assertion expired' };
}
