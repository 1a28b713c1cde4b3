import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { asn1, pkcs12, pki } from 'node-forge';
import type { Secret } from '../core/secret.ts';
import { CredentialError } from './credential-error.ts';
import type { KeyMaterial } from './pem.ts';

/**
 * The one door to node-forge: Node reads a PFX for TLS, but gives no key out of it, and no legacy one at all. It is
 * loaded when the first PFX is read.
 */
type Forge = typeof import('node-forge');

/**
 * Reads a PFX (PKCS #12, RFC 7292): AES with PBKDF2 as of today, or RC2 and 3DES as before. RSA and elliptic curves.
 * Without a passphrase the two forms of an empty one are tried.
 */
export async function readPfx(der: Buffer, passphrase: Secret | undefined): Promise<KeyMaterial> {
  const { default: forge } = await import('node-forge');
  const pfx = parse(forge, der);
  if (roundsOf(forge, pfx) > ROUNDS_AT_MOST) {
    const detail = `expected a PFX with at most ${ROUNDS_AT_MOST} rounds of key derivation in all, and it has more`;
    throw new CredentialError('credential unreadable', detail);
  }
  const bags = open(forge, pfx, passphrase).safeContents.flatMap(({ safeBags }) => safeBags);
  const { keyBag, pkcs8ShroudedKeyBag, certBag } = forge.pki.oids;
  return {
    keys: bags
      .filter(({ type }) => type === keyBag || type === pkcs8ShroudedKeyBag)
      .map((bag) => toKey(forge, bag)),
    certificates: bags.filter(({ type }) => type === certBag).map((bag) => toCertificate(forge, bag)),
  };
}

function parse(forge: Forge, der: Buffer): asn1.Asn1 {
  try {
    return forge.asn1.fromDer(forge.util.createBuffer(der.toString('binary')), true);
  } catch {
    throw new CredentialError('credential unreadable', 'it is no whole PFX: it may be half-written');
  }
}

/** forge computes about 100 in a millisecond, and nothing else runs meanwhile. Most tools write 2,000 to 10,000 for each part. */
const ROUNDS_AT_MOST = 300_000;

/**
 * How often the passphrase is to be hashed, all parts together: a number that follows a salt is that, in MacData
 * (RFC 7292 section 4) as in the parameters of PBKDF2 and of the older ciphers. What is encrypted itself is not seen.
 */
function roundsOf(forge: Forge, { value, type, constructed }: asn1.Asn1): number {
  const { OCTETSTRING, INTEGER } = forge.asn1.Type;
  if (typeof value === 'string') {
    const inner = type === OCTETSTRING && !constructed ? tryParse(forge, value) : undefined;
    return inner ? roundsOf(forge, inner) : 0;
  }
  const counts = value.map((part, index) =>
    part.type === INTEGER && value[index - 1]?.type === OCTETSTRING && typeof part.value === 'string'
      ? Number(`0x${Buffer.from(part.value, 'binary').toString('hex')}`)
      : roundsOf(forge, part),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function tryParse(forge: Forge, der: string): asn1.Asn1 | undefined {
  try {
    return forge.asn1.fromDer(der, true);
  } catch {
    return undefined;
  }
}

function open(forge: Forge, pfx: asn1.Asn1, passphrase: Secret | undefined): pkcs12.Pkcs12Pfx {
  // An empty passphrase is two zero bytes for some tools and nothing at all for others.
  const candidates = passphrase === undefined ? ['', undefined] : [passphrase.reveal()];
  let refused = false;
  for (const candidate of candidates) {
    try {
      return forge.pkcs12.pkcs12FromAsn1(pfx, false, candidate);
    } catch (error) {
      refused ||= isWrongPassword(error);
    }
  }
  if (!refused) {
    throw new CredentialError(
      'credential unreadable',
      'expected a PFX with AES, 3DES or RC2, and it is none',
    );
  }
  throw passphrase === undefined
    ? new CredentialError('passphrase missing', 'the PFX is encrypted')
    : new CredentialError('passphrase wrong', 'the PFX does not open with the passphrase');
}

/** forge's errors have no codes. */
const isWrongPassword = (error: unknown): boolean =>
  error instanceof Error && /password|decrypt|MAC could not be verified/i.test(error.message);

/** forge decodes RSA only, and gives other keys and certificates as they were in the file. */
function toKey(forge: Forge, bag: pkcs12.Bag): KeyObject {
  const [type, structure] = bag.key
    ? (['pkcs1', forge.pki.privateKeyToAsn1(bag.key)] as const)
    : (['pkcs8', bag.asn1] as const);
  try {
    return createPrivateKey({ key: toDer(forge, structure), format: 'der', type });
  } catch {
    throw new CredentialError('private key unusable', 'the private key in the PFX cannot be read');
  }
}

function toCertificate(forge: Forge, bag: pkcs12.Bag): X509Certificate {
  try {
    return new X509Certificate(toDer(forge, bag.cert ? asSigned(forge, bag.cert) : bag.asn1));
  } catch {
    throw new CredentialError('credential unreadable', 'a certificate in the PFX cannot be read');
  }
}

/**
 * The certificate as it was in the file. forge would write the signature's algorithm anew, which makes another
 * thumbprint where it is RSASSA-PSS. RFC 5280 section 4.1.1.2: the algorithm stands in the signed part as well, after
 * the optional version and the serial number.
 */
function asSigned({ asn1 }: Forge, { tbsCertificate, signature }: pki.Certificate): asn1.Asn1 {
  const fields = tbsCertificate.value as asn1.Asn1[];
  const hasVersion = fields[0]?.tagClass === asn1.Class.CONTEXT_SPECIFIC;
  const algorithm = fields[hasVersion ? 2 : 1] as asn1.Asn1;
  const bits = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.BITSTRING, false, `\0${signature}`);
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, [tbsCertificate, algorithm, bits]);
}

const toDer = ({ asn1 }: Forge, structure: asn1.Asn1): Buffer =>
  Buffer.from(asn1.toDer(structure).getBytes(), 'binary');
