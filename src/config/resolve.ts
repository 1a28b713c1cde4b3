import { resolve } from 'node:path';
import type { Client, Limits, Resource, SecretCredential, SecretSource } from '../core/client.ts';
import { isName, NAME_GRAMMAR, printable } from '../core/target.ts';
import type { Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import type { ClientInput, Sections } from './schema.ts';
import { resolveTenants } from './tenants.ts';
import { isScope } from './values.ts';

/** What a client takes from around it. */
export interface Surroundings {
  /** The configuration file's; relative paths begin there. */
  readonly folder: string;
  readonly sections: Pick<Sections, 'refresh' | 'limits'>;
}

/** Checks what the schema cannot, most of it about more than one key of a client, and fills in what stands at the top level. */
export function resolveClient(
  name: string,
  input: ClientInput,
  around: Surroundings,
  report: Report,
): Client | undefined {
  const path: Path = ['clients', name];
  const endpoint = resolveEndpoint(input, path, report);
  if (!endpoint) return undefined;
  return {
    name,
    clientId: input.clientId,
    endpoint,
    credentials: input.credentials.map((credential) => resolveCredential(credential, around.folder)),
    tenants: resolveTenants(input.tenants, endpoint, [...path, 'tenants'], around.folder, report),
    resources: resolveResources(input.resources, 'authority' in endpoint, [...path, 'resources'], report),
    limits: resolveLimits(input, around.sections),
    outageTargetMs: input.refresh?.outageTarget ?? around.sections.refresh.outageTarget,
    expectLifetimeMs: input.expectLifetime,
  };
}

/** The grammar of client and resource names. */
export function checkName(name: string, path: Path, report: Report): void {
  if (isName(name)) return;
  report({ path, at: 'key', message: `expected a name (${NAME_GRAMMAR}) but got "${printable(name)}"` });
}

function resolveEndpoint(
  { authority, tokenEndpoint }: ClientInput,
  path: Path,
  report: Report,
): Client['endpoint'] | undefined {
  if (authority !== undefined && tokenEndpoint === undefined) return { authority };
  if (authority === undefined && tokenEndpoint !== undefined) return { tokenEndpoint };
  const got = authority === undefined ? 'neither' : 'both';
  report({
    path,
    message: `expected exactly one of authority (Entra) and tokenEndpoint (any other), but got ${got}`,
  });
  return undefined;
}

/** A source with its path made absolute. `env` and `file` are never both there: the schema has seen to that. */
export function resolveSource(
  { env, file }: { readonly env?: string | undefined; readonly file?: string | undefined },
  folder: string,
): SecretSource {
  return env === undefined ? { file: resolve(folder, file ?? '') } : { env };
}

function resolveCredential({ secret }: ClientInput['credentials'][number], folder: string): SecretCredential {
  return { kind: 'secret', source: resolveSource(secret, folder), method: secret.method };
}

function resolveLimits({ limits }: ClientInput, { limits: defaults }: Pick<Sections, 'limits'>): Limits {
  return {
    perHost: limits?.perHost ?? defaults.perHost,
    perTenant: limits?.perTenant ?? defaults.perTenant,
    identical: limits?.identical ?? defaults.identical,
  };
}

function resolveResources(
  inputs: ClientInput['resources'],
  isEntra: boolean,
  path: Path,
  report: Report,
): Resource[] {
  return Object.entries(inputs).map(([name, input]) => {
    const place = [...path, name];
    checkName(name, place, report);
    const { scope, params = {}, expectAudience } = typeof input === 'string' ? { scope: input } : input;
    checkParams(params, scope, [...place, 'params'], report);
    const sent = scope === undefined ? params : { ...params, scope };
    const scopePath =
      typeof input === 'string' ? place : [...place, ...(scope === undefined ? ['params'] : []), 'scope'];
    if (isEntra) checkEntraScope(sent.scope, sent.scope === undefined ? place : scopePath, report);
    return { name, params: sent, expectAudience };
  });
}

/** What the request itself consists of; a second one would contradict it, or show a secret in the configuration. */
const OWN_PARAMETERS = [
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
];

function checkParams(
  params: Readonly<Record<string, string>>,
  scope: string | undefined,
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
  if (params.scope === undefined) return;
  if (scope !== undefined)
    report({ path: [...path, 'scope'], at: 'key', message: 'scope is given twice: here and beside params' });
  else if (!isScope(params.scope))
    report({
      path: [...path, 'scope'],
      message: 'expected a scope: words of printable ASCII with one space between them',
    });
}

/** Learn this before the first request: the server's answer, AADSTS1002012, comes for every tenant anew. */
function checkEntraScope(scope: string | undefined, path: Path, report: Report): void {
  if (scope === undefined) {
    report({
      path,
      message:
        'scope is missing: under authority every resource needs one, such as https://graph.microsoft.com/.default',
    });
  } else if (!scope.endsWith('/.default') || scope.includes(' ')) {
    report({
      path,
      message: 'expected one scope that ends in /.default: client credentials need /.default under authority',
    });
  }
}
