import { createHash } from 'node:crypto';
import type { Client, Grant, Resource } from '../core/client.ts';
import { NO_TENANT, TENANTS_WITHOUT_ISSUER } from '../core/target.ts';
import { TENANT_PLACEHOLDER } from './values.ts';

type Endpoint = Client['endpoint'];

/** Whether the endpoint is a different one for each tenant. */
export const hasTenants = (endpoint: Endpoint): boolean =>
  'authority' in endpoint || endpoint.tokenEndpoint.includes(TENANT_PLACEHOLDER);

/** The tenant as it stands in ids: Entra does not tell upper from lower case, another server may. */
export const normaliseTenant = (endpoint: Endpoint, tenant: string): string =>
  'authority' in endpoint ? tenant.toLowerCase() : tenant;

/** Why a normalised tenant cannot be used at an endpoint, or undefined when it can. */
export function tenantProblem(endpoint: Endpoint, tenant: string): string | undefined {
  if (!hasTenants(endpoint)) {
    return tenant === NO_TENANT ? undefined : 'tokenEndpoint has no {tenant}: leave tenants out';
  }
  if (tenant === NO_TENANT) return '"-" means no tenant, but the endpoint has one in its URL';
  if ('authority' in endpoint && TENANTS_WITHOUT_ISSUER.has(tenant)) {
    return `"${tenant}" stands for many tenants, and client credentials get a token from one: give its id or domain`;
  }
  return undefined;
}

/** The token endpoint of one tenant. */
export function tokenUrl(endpoint: Endpoint, tenant: string): string {
  const encoded = encodeURIComponent(tenant);
  return 'authority' in endpoint
    ? `${endpoint.authority}/${encoded}/oauth2/v2.0/token`
    : endpoint.tokenEndpoint.replaceAll(TENANT_PLACEHOLDER, () => encoded);
}

/** Host of the token endpoint as URLs write it, with a port where it is not the protocol's own. */
export const hostOf = (endpoint: Endpoint): string =>
  new URL('authority' in endpoint ? endpoint.authority : endpoint.tokenEndpoint).host;

const GRANT_TYPES: Readonly<Record<Grant['kind'], string>> = {
  client_credentials: 'client_credentials',
  jwt_bearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
};

/** What is sent for a resource, credentials apart, in one form for one meaning. */
export function parametersKey({ params, claims }: Pick<Resource, 'params' | 'claims'>, grant: Grant): string {
  const subject = grant.kind === 'jwt_bearer' ? grant.subject : undefined;
  const sorted = Object.entries({ ...params, grant_type: GRANT_TYPES[grant.kind] }).sort(byKey);
  // Appended only where they are: requests without them keep the fingerprints that they have in Redis.
  return JSON.stringify([
    ...sorted,
    ...(claims === undefined ? [] : [['claims', inOneOrder(claims)]]),
    ...(subject === undefined ? [] : [['subject', subject]]),
  ]);
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : a > b ? 1 : 0);

/** JSON values with the keys of every mapping sorted. */
function inOneOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOneOrder);
  if (typeof value !== 'object' || value === null) return value;
  const sorted = Object.entries(value).sort(byKey);
  return Object.fromEntries(sorted.map(([key, each]) => [key, inOneOrder(each)]));
}

/** Identifies a wire request: 8 characters of base64url SHA-256 over token URL, client id and parameters. */
export function fingerprint(url: string, clientId: string, parameters: string): string {
  return createHash('sha256')
    .update(JSON.stringify([url, clientId, parameters]))
    .digest('base64url')
    .slice(0, 8);
}
