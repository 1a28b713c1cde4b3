import { EvertokenError } from './errors.ts';

/** `client/tenant/resource`: what one token is for, and its name everywhere. */
export type TargetId = string;

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const TENANT = /^(?:-|[A-Za-z0-9][A-Za-z0-9._-]{0,252})$/;
const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,30}$/;

/** The grammar in words, for error messages. */
export const NAME_GRAMMAR =
  'lower-case letters, digits, ".", "_" and "-", at most 63, beginning with a letter or digit';
export const TENANT_GRAMMAR =
  'letters, digits, ".", "_" and "-", at most 253, beginning with a letter or digit';
export const NAMESPACE_GRAMMAR =
  'lower-case letters, digits and "-", at most 31, beginning with a letter or digit';

/** The tenant of a target whose token endpoint has no `{tenant}` in it. */
export const NO_TENANT = '-';

/** Entra's tenants that stand for many: a client-credentials token cannot be issued by them. */
export const TENANTS_WITHOUT_ISSUER: ReadonlySet<string> = new Set(['common', 'organizations', 'consumers']);

export const isName = (text: string): boolean => NAME.test(text);
export const isTenant = (text: string): boolean => TENANT.test(text);
export const isNamespace = (text: string): boolean => NAMESPACE.test(text);

export interface TargetParts {
  readonly client: string;
  readonly tenant: string;
  readonly resource: string;
}

export function formatTarget({ client, tenant, resource }: TargetParts): TargetId {
  return `${client}/${tenant}/${resource}`;
}

/** Whether a text is a target id. */
export function isTarget(text: string): boolean {
  const [client = '', tenant = '', resource = '', ...rest] = text.split('/');
  return rest.length === 0 && isName(client) && isTenant(tenant) && isName(resource);
}

/** Takes a target id apart. Throws `TARGET_INVALID` for anything outside the grammar. */
export function parseTarget(id: string): TargetParts {
  if (!isTarget(id)) {
    throw new EvertokenError(
      'TARGET_INVALID',
      `expected a target as client/tenant/resource, such as billing/contoso.onmicrosoft.com/graph, but got "${printable(id)}"`,
    );
  }
  const [client, tenant, resource] = id.split('/') as [string, string, string];
  return { client, tenant, resource };
}

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a text is a GUID, as Entra's ids are; in either case. */
export const isGuid = (text: string): boolean => GUID.test(text);

/** The client of an id, also of a text that is none: what stands before the first slash. */
export const clientOf = (id: TargetId): string => id.slice(0, Math.max(0, id.indexOf('/')));

/** Whether one target is meant; the test for a whole `select`. */
export type Select = (id: TargetId) => boolean;

/** A parsed `select`; `exact` is there when it can mean no more than one target. */
export interface ParsedSelect {
  readonly text: string;
  readonly matches: Select;
  readonly exact: TargetId | undefined;
}

const SELECT_SEGMENT = /^(?:-|[A-Za-z0-9*?][A-Za-z0-9._*?-]{0,252})$/;

/**
 * Reads `client/tenant/resource` with `*` (any run of characters) and `?` (one character), which never reach
 * over a `/`. `*` alone means every target, and only with `all: true`, so that nobody says it by accident.
 * Throws `SELECT_INVALID`.
 */
export function parseSelect(text: string, options: { all?: boolean } = {}): ParsedSelect {
  if (text === '*') {
    if (options.all === true) return { text, matches: () => true, exact: undefined };
    throw new EvertokenError(
      'SELECT_INVALID',
      'select "*" means every target: say all: true (--all) with it if you mean that',
    );
  }
  const segments = text.split('/');
  if (segments.length !== 3 || !segments.every((segment) => SELECT_SEGMENT.test(segment))) {
    throw new EvertokenError(
      'SELECT_INVALID',
      `expected a select as client/tenant/resource with * and ? inside a segment, such as billing/*/graph, but got "${printable(text)}"`,
    );
  }
  if (!/[*?]/.test(text)) return { text, matches: (id) => id === text, exact: text };
  const matches: Select = (id) => {
    const parts = id.split('/');
    return parts.length === 3 && parts.every((part, i) => segmentMatches(segments[i] as string, part));
  };
  return { text, matches, exact: undefined };
}

/** Not a regular expression: of those a few `*` in one segment can take hours (a*a*a*a*…). */
function segmentMatches(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let afterStar = 0;
  for (let i = 0; i < text.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      afterStar = i;
    } else if (pattern[at] === '?' || pattern[at] === text[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      // What came after the last `*` does not fit here: it takes one character more.
      at = star + 1;
      i = ++afterStar;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** What came from outside, cut and without control characters, fit to stand in a message. */
export function printable(text: string): string {
  const clean = text.replaceAll(/[^\x20-\x7e]/g, '?');
  return clean.length > 80 ? `${clean.slice(0, 77)}...` : clean;
}
