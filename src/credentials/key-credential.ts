import type { Client, KeyCredential } from '../core/client.ts';
import { signedAssertion } from './assertion.ts';
import { type CertifiedKey, certifiedKey } from './certificate.ts';
import { CredentialError } from './credential-error.ts';
import { certificateFingerprint, keyFingerprint } from './fingerprint.ts';
import { readKeyMaterial } from './key-material.ts';
import { type AtHand, always, type Loaded } from './loaded.ts';
import { mutualTlsAuthentication, tlsIdentity } from './mutual-tls.ts';
import type { Parts } from './parts.ts';
import type { KeyMaterial } from './pem.ts';
import { bareSigningKey, certificateSigningKey, refuseWeak } from './signing-key.ts';

/** A private key, with its certificate or without, that signs assertions or proves the connection. */
export async function loadKeyCredential(
  client: Client,
  credential: KeyCredential,
  { source, keySource, passphrase }: Parts,
): Promise<Loaded> {
  const material = await readKeyMaterial(source, passphrase);
  const separate = keySource && (await readKeyMaterial(keySource, passphrase));
  if (credential.kind === 'privateKey') return withBareKey(client, credential, separate ?? material);
  const certified = certifiedKey((separate ?? material).keys, material.certificates);
  refuseWeak(certified.key);
  return withCertificate(client, credential, certified);
}

function withCertificate(client: Client, credential: KeyCredential, certified: CertifiedKey): Loaded {
  const { method, assertion } = credential;
  const from = certified.leaf.validFromDate.getTime();
  const until = certified.leaf.validToDate.getTime();
  const fingerprint = certificateFingerprint(method, certified.leaf);
  const proof: Pick<AtHand, 'authenticate' | 'tls' | 'signsAssertions'> =
    method === 'tls_client_auth'
      ? {
          authenticate: mutualTlsAuthentication(client.clientId),
          tls: tlsIdentity(fingerprint, certified),
          signsAssertions: false,
        }
      : {
          authenticate: signedAssertion(client, assertion, certificateSigningKey(certified, assertion)),
          tls: undefined,
          signsAssertions: true,
        };
  return { atHand: { fingerprint, endsAt: until, ...proof }, from, until, ended: 'certificate expired' };
}

function withBareKey(client: Client, credential: KeyCredential, { keys, kid }: KeyMaterial): Loaded {
  const [key, ...others] = keys;
  if (!key) throw new CredentialError('private key missing', 'expected a private key, and there is none');
  if (others.length > 0) {
    const detail = `expected one private key, and there are ${keys.length}`;
    throw new CredentialError('private key unusable', detail);
  }
  if (credential.method === 'tls_client_auth') {
    throw new CredentialError('certificate missing', 'tls_client_auth wants a certificate with the key');
  }
  const signer = bareSigningKey(key, credential.assertion, kid);
  return always({
    fingerprint: keyFingerprint(credential.method, key),
    authenticate: signedAssertion(client, credential.assertion, signer),
    tls: undefined,
    endsAt: undefined,
    signsAssertions: true,
  });
}
