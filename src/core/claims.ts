/** The `claims` parameter as an object (OpenID Connect Core section 5.5). */
export type Claims = Readonly<Record<string, unknown>>;

/** A challenge is some hundred characters. */
const MAX_CLAIMS_CHARACTERS = 2048;

/** The JSON text of a claims parameter or challenge; undefined unless it is a plain object of at most 2,048 characters. */
export function readClaims(text: string): Claims | undefined {
  if (text.length > MAX_CLAIMS_CHARACTERS) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isPlainObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What two sets of claims ask for together. Where they contradict each other the second wins; lists of accepted `values`
 * are united, so that a challenge takes no client capability away.
 */
export function mergeClaims(first: Claims, second: Claims): Claims {
  const added = Object.entries(second).map(([name, value]): [string, unknown] => [
    name,
    Object.hasOwn(first, name) ? mergeValue(name, first[name], value) : value,
  ]);
  // Entries and not assignments: a challenge may name __proto__.
  return Object.fromEntries([...Object.entries(first), ...added]);
}

function mergeValue(name: string, first: unknown, second: unknown): unknown {
  if (isPlainObject(first) && isPlainObject(second)) return mergeClaims(first, second);
  if (name === 'values' && Array.isArray(first) && Array.isArray(second))
    return [...new Set<unknown>([...first, ...second])];
  return second;
}

function isPlainObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A resource's claims challenge as a consumer hands it on: JSON, or Base64 of it as it stands in `WWW-Authenticate`
 * (Entra's continuous access evaluation). Gives it as JSON, or an empty text where it is not a JSON object of at most
 * 2,048 characters: anybody may write there.
 */
export function readChallenge(text: string): string {
  const claims = readClaims(text.trimStart().startsWith('{') ? text : decodeBase64(text));
  return claims === undefined ? '' : JSON.stringify(claims);
}

function decodeBase64(text: string): string {
  try {
    const bytes = Uint8Array.from(atob(text.trim().replaceAll('-', '+').replaceAll('_', '/')), (character) =>
      character.charCodeAt(0),
    );
    return new TextDecoder().decode(bytes);
  } catch {
    return '';
  }
}
