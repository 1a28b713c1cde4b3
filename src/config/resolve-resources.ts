import type { Resource } from '../core/client.ts';
import { isName, NAME_GRAMMAR, printable } from '../core/target.ts';
import type { Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import type { Service } from './resolve-endpoint.ts';
import type { ClientInput } from './schema-client.ts';
import { isScope } from './values.ts';

type ResourceInput = Exclude<ClientInput['resources'][string], string>;

/** The grammar of client and resource names. */
export function checkName(name: string, path: Path, report: Report): void {
  if (isName(name)) return;
  report({ path, at: 'key', message: `expected a name (${NAME_GRAMMAR}) but got "${printable(name)}"` });
}

/** The tokens that are wanted, with everything that is sent for each. */
export function resolveResources(
  { resources, capabilities }: Pick<ClientInput, 'resources' | 'capabilities'>,
  service: Service,
  clientPath: Path,
  report: Report,
): Resource[] {
  if (capabilities !== undefined && service.preset?.takesClaims !== true)
    report({ path: [...clientPath, 'capabilities'], at: 'key', message: 'capabilities are for Entra only' });
  return Object.entries(resources).map(([name, input]) => {
    const path = [...clientPath, 'resources', name];
    checkName(name, path, report);
    const {
      params = {},
      expectAudience,
      claims,
      ...named
    } = typeof input === 'string' ? { scope: input } : input;
    const sent = { ...params, ...defined(named) };
    checkParams(params, { ...named, claims: claims ?? capabilities }, [...path, 'params'], report);
    const scopePath =
      typeof input === 'string' ? path : [...path, ...(named.scope === undefined ? ['params'] : []), 'scope'];
    checkScope(sent.scope, service, sent.scope === undefined ? path : scopePath, report);
    if (claims && service.preset && !service.preset.takesClaims)
      report({
        path: [...path, 'claims'],
        at: 'key',
        message: `${service.preset.title} has no claims parameter for tokens like these: leave it out`,
      });
    return { name, params: sent, claims: withCapabilities(claims, capabilities), expectAudience };
  });
}

const defined = (values: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );

/** What the request itself consists of; a second one would contradict it, or show a secret in the configuration. */
const OWN_PARAMETERS = [
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'assertion',
];

function checkParams(
  params: Readonly<Record<string, string>>,
  named: Pick<ResourceInput, 'scope' | 'resource' | 'audience'> & { readonly claims: unknown },
  path: Path,
  report: Report,
): void {
  for (const key of OWN_PARAMETERS) {
    if (Object.hasOwn(params, key)) {
      report({
        path: [...path, key],
        at: 'key',
        message: 'the request has this parameter already; it comes from the client and its credentials',
      });
    }
  }
  if (Object.hasOwn(params, ''))
    report({ path: [...path, ''], at: 'key', message: 'expected the name of a parameter' });
  for (const [key, value] of Object.entries(named)) {
    if (value !== undefined && Object.hasOwn(params, key))
      report({ path: [...path, key], at: 'key', message: `${key} is given twice: here and beside params` });
  }
  if (params.scope !== undefined && named.scope === undefined && !isScope(params.scope))
    report({
      path: [...path, 'scope'],
      message: 'expected a scope: words of printable ASCII with one space between them',
    });
}

/** Learn this before the first request: the server's answer, such as AADSTS1002012, comes for every tenant anew. */
function checkScope(
  scope: string | undefined,
  { endpoint, preset }: Service,
  path: Path,
  report: Report,
): void {
  const isEntra = 'authority' in endpoint;
  if (scope === undefined) {
    if (isEntra) {
      report({
        path,
        message:
          'scope is missing: under authority every resource needs one, such as https://graph.microsoft.com/.default',
      });
    } else if (preset?.needsScope)
      report({ path, message: `scope is missing: ${preset.title} gives no token without one` });
  } else if (isEntra && (!scope.endsWith('/.default') || scope.includes(' '))) {
    report({
      path,
      message: 'expected one scope that ends in /.default: client credentials need /.default under authority',
    });
  }
}

type Claims = Readonly<Record<string, unknown>>;

/** Entra's form of client capabilities, merged with what the resource asks for by itself. */
function withCapabilities(
  claims: Claims | undefined,
  capabilities: readonly string[] | undefined,
): Claims | undefined {
  if (!capabilities) return claims;
  const forToken = mapping(claims?.access_token);
  const known = mapping(forToken.xms_cc);
  const values = new Set([...(Array.isArray(known.values) ? known.values : []), ...capabilities]);
  return { ...claims, access_token: { ...forToken, xms_cc: { ...known, values: [...values] } } };
}

const mapping = (value: unknown): Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
