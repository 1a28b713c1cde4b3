import type { KeyObject } from 'node:crypto';
import { compactVerify, decodeJwt, decodeProtectedHeader, errors, type JWTPayload } from 'jose';

/** A token request as a transport gets it. */
export interface WireRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Form-encoded. */
  readonly body: string;
}

/** Every field of a request by its place, `body.scope` or `body.client_assertion.claims.aud`; random values by their kind. */
export type Fields = Readonly<Record<string, string>>;

/** What is drawn anew for each request. */
const RANDOM = ['client-request-id', 'jti'];
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * What a request says, so that two can be compared. An assertion is taken apart, and verified where a key is given; so
 * are claims.
 */
export async function fieldsOf(request: WireRequest, publicKey?: KeyObject): Promise<Fields> {
  const url = new URL(request.url);
  const body = parametersOf(new URLSearchParams(request.body));
  const { claims } = body;
  const fields: Record<string, string> = { url: url.origin + url.pathname };
  const add = (place: string, values: object): void => {
    for (const [name, value] of Object.entries(values)) fields[`${place}.${name}`] = shown(name, value);
  };
  add('query', parametersOf(url.searchParams));
  add('headers', lowerCased(request.headers));
  add('body', body);
  if (claims !== undefined) {
    delete fields['body.claims'];
    add('body.claims', leaves(JSON.parse(claims)));
  }
  for (const name of ['client_assertion', 'assertion']) {
    const assertion = body[name];
    if (assertion === undefined || publicKey === undefined) continue;
    fields[`body.${name}`] = await signatureOf(assertion, publicKey);
    add(`body.${name}.header`, decodeProtectedHeader(assertion));
    add(`body.${name}.claims`, momentsFromIssue(decodeJwt(assertion)));
  }
  return fields;
}

/** Where two requests differ, and what each has there. */
export function differences(first: Fields, second: Fields): Record<string, readonly [string, string]> {
  const places = new Set([...Object.keys(first), ...Object.keys(second)]);
  return Object.fromEntries(
    [...places]
      .filter((place) => first[place] !== second[place])
      .map((place) => [place, [first[place] ?? 'absent', second[place] ?? 'absent']]),
  );
}

/** One that is there twice, which RFC 6749 section 3.2 forbids, shows both values. */
function parametersOf(parameters: URLSearchParams): Record<string, string> {
  return Object.fromEntries(
    [...parameters.keys()].map((name) => [name, parameters.getAll(name).join(' and ')]),
  );
}

function shown(name: string, value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return RANDOM.includes(name) && GUID.test(value) ? 'a GUID' : value;
}

/** Names of header fields have no case (RFC 9110 section 5.1). */
function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** The members of nested objects by their path; arrays count as values. */
function leaves(value: object, path = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]: [string, unknown]) =>
      typeof member === 'object' && member !== null && !Array.isArray(member)
        ? Object.entries(leaves(member, `${path}${name}.`))
        : [[path + name, member]],
    ),
  );
}

/** Moments as minutes after `iat`, and `iat` as now if it is. Coarse, since clocks tick while two requests are made. */
function momentsFromIssue(claims: JWTPayload): Record<string, unknown> {
  const { iat = Number.NaN } = claims;
  const minutes = (value: number): string => `iat + ${Math.round((value - iat) / 60)} minutes`;
  const moments = Object.entries(claims).map(([name, value]) => [
    name,
    typeof value === 'number' ? minutes(value) : value,
  ]);
  const isNow = Math.abs(Date.now() / 1000 - iat) < 60;
  return {
    ...Object.fromEntries(moments),
    ...(claims.iat === undefined ? {} : { iat: isNow ? 'now' : iat }),
  };
}

async function signatureOf(assertion: string, publicKey: KeyObject): Promise<string> {
  try {
    await compactVerify(assertion, publicKey);
    return 'signed by the key';
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return 'signed by another key';
    throw error;
  }
}
