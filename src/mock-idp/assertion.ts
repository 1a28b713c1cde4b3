import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import { type FederatedIdentity, type KnownKey, nameOf, type Registration } from './clients.ts';
import { invalidClient, invalidRequest, type Refused } from './refusal.ts';
import type { SeenAssertions } from './seen-assertions.ts';

/** A request's client assertion (RFC 7521 section 4.2) and what it is measured by. */
export interface Asserted {
  readonly assertion: string;
  readonly assertionType: string | null;
  readonly clientId: string;
  readonly registration: Registration;
  /** The token endpoint, and the issuer, which RFC 7523 section 3 also allows. */
  readonly audiences: string[];
  /** Epoch ms of the server's clock. */
  readonly now: number;
  /** Where every assertion may be used once only. */
  readonly seen: SeenAssertions | undefined;
}

/** `credential`: the name of what it was signed with, as far as it can be told. */
export interface Proof {
  readonly credential: string | undefined;
  readonly refused?: Refused | undefined;
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const ALGORITHMS = ['PS256', 'RS256', 'ES256'];
/** Clients that follow the Date header cannot know the time better than this. */
const CLOCK_TOLERANCE_SECONDS = 1;

const MALFORMED = invalidClient(50027, 'The JWT token is invalid or malformed.');
const UNKNOWN_KEY = invalidClient(
  700027,
  'The certificate with the identifier used to sign the client assertion is not registered on the application.',
);
const BAD_SIGNATURE = invalidClient(700027, 'The client assertion contains an invalid signature.');
const OUTSIDE_VALIDITY = invalidClient(
  1000502,
  'The provided certificate is not within its specified validity period.',
);
const OUTSIDE_TIME = invalidClient(700024, 'The client assertion is not within its valid time range.');
const WRONG_AUDIENCE = invalidClient(
  700023,
  'The client assertion audience claim does not match the Realm issuer.',
);
const WRONG_CLIENT = invalidClient(
  700021,
  "The client assertion application identifier doesn't match the client_id parameter.",
);
const REUSED = invalidClient(50027, 'The JWT token was used before.', 'assertion-reused');
const WITHOUT_ID = invalidClient(50027, 'The JWT token has no jti.');

/** RFC 7523 section 3: signed by the client itself, or, when its issuer is somebody else, federated. */
export async function proveByAssertion(asserted: Asserted): Promise<Proof> {
  if (asserted.assertionType !== ASSERTION_TYPE)
    return refuse(invalidRequest('The parameter client_assertion_type is missing, or not that of a JWT.'));
  const read = decode(asserted.assertion);
  if (read === undefined) return refuse(MALFORMED);
  const isOwn = read.payload.iss === asserted.clientId || read.payload.sub === asserted.clientId;
  return isOwn ? await proveOwn(asserted, read) : await proveFederated(asserted, read.payload);
}

const refuse = (refused: Refused, credential?: string): Proof => ({ credential, refused });

interface Decoded {
  readonly thumbprint: unknown;
  readonly kid: unknown;
  readonly payload: JWTPayload;
}

function decode(assertion: string): Decoded | undefined {
  try {
    const header = decodeProtectedHeader(assertion);
    return { thumbprint: header['x5t#S256'], kid: header.kid, payload: decodeJwt(assertion) };
  } catch {
    return undefined;
  }
}

async function proveOwn(asserted: Asserted, { thumbprint, kid }: Decoded): Promise<Proof> {
  const { registration, clientId, audiences, now, seen } = asserted;
  const known = findKey(registration, thumbprint, kid);
  if (known === undefined) return refuse(UNKNOWN_KEY, claimedName(thumbprint ?? kid));
  if (now < known.validFrom || now > known.validTo) return refuse(OUTSIDE_VALIDITY, known.name);
  const checked = await check(asserted, known.key, audiences, { issuer: clientId, subject: clientId });
  if (checked.refused) return refuse(checked.refused, known.name);
  const { jti, exp = 0 } = checked.payload;
  const isKnown = seen?.isKnown(clientId, jti, exp, now / 1000) ?? false;
  if (!isKnown) return { credential: known.name };
  return refuse(jti === undefined ? WITHOUT_ID : REUSED, known.name);
}

function findKey(registration: Registration, thumbprint: unknown, kid: unknown): KnownKey | undefined {
  if (typeof thumbprint === 'string') return registration.certificates.get(thumbprint);
  return typeof kid === 'string' ? registration.publicKeys.get(kid) : undefined;
}

/** Anybody can write anything there: only what could be a thumbprint or a key's id goes into the log. */
function claimedName(identifier: unknown): string | undefined {
  return typeof identifier === 'string' && /^[\w.-]{1,128}$/.test(identifier)
    ? nameOf(identifier)
    : undefined;
}

async function proveFederated(asserted: Asserted, { iss, sub, aud }: JWTPayload): Promise<Proof> {
  const { federated } = asserted.registration;
  const sameIssuer = federated.filter(({ issuer }) => issuer === iss);
  const sameSubject = sameIssuer.filter(({ subject }) => subject === sub);
  const identity = sameSubject.find(({ audience }) => [aud].flat().includes(audience));
  if (identity === undefined) return refuse(noMatch(federated, sameIssuer, sameSubject));
  const { refused } = await check(asserted, identity.key, [identity.audience], {});
  return { credential: identity.name, refused };
}

/** What was looked for in vain says which number it is. */
function noMatch(all: readonly FederatedIdentity[], ...fitting: readonly FederatedIdentity[][]): Refused {
  const [sameIssuer = [], sameSubject = []] = fitting;
  const description = 'No matching federated identity record found for the presented assertion';
  if (all.length === 0) return invalidClient(70021, `${description}.`);
  if (sameIssuer.length === 0) return invalidClient(700211, `${description} issuer.`);
  if (sameSubject.length === 0) return invalidClient(700213, `${description} subject.`);
  return invalidClient(700212, `${description} audience.`);
}

type Checked = { readonly payload: JWTPayload; readonly refused?: never } | { readonly refused: Refused };

async function check(
  { assertion, now }: Asserted,
  key: KnownKey['key'],
  audience: string[],
  owner: { readonly issuer?: string; readonly subject?: string },
): Promise<Checked> {
  try {
    const options = { ...owner, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_SECONDS };
    const requiredClaims = ['exp', 'aud', 'iss', 'sub'];
    const currentDate = new Date(now);
    const { payload } = await jwtVerify(assertion, key, {
      ...options,
      audience,
      requiredClaims,
      currentDate,
    });
    return { payload };
  } catch (error) {
    return { refused: refusalOf(error) };
  }
}

const BY_CLAIM: Readonly<Record<string, Refused>> = {
  nbf: OUTSIDE_TIME,
  aud: WRONG_AUDIENCE,
  iss: WRONG_CLIENT,
  sub: WRONG_CLIENT,
};

/** Whatever is not jose's own says that the key is of another kind than the algorithm wants. */
function refusalOf(error: unknown): Refused {
  if (error instanceof errors.JWTExpired) return OUTSIDE_TIME;
  if (error instanceof errors.JWTClaimValidationFailed) return BY_CLAIM[error.claim] ?? MALFORMED;
  if (error instanceof errors.JWSSignatureVerificationFailed) return BAD_SIGNATURE;
  return error instanceof errors.JOSEError ? MALFORMED : BAD_SIGNATURE;
}
