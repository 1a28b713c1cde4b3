import type { Client, Resource, Target } from '../../src/core/client.ts';

export interface Wanted extends Partial<Pick<Client, 'clientId' | 'endpoint' | 'ca' | 'assumeLifetimeMs'>> {
  readonly tokenUrl: string;
  /** Default `contoso`. */
  readonly tenant?: string;
  readonly params?: Resource['params'];
  readonly claims?: Resource['claims'];
}

/** A target that asks `tokenUrl` for a token; without `endpoint` the server is not Entra. */
export function targetOf({ tokenUrl, tenant = 'contoso', params, claims, ...wanted }: Wanted): Target {
  const rate = { count: 5, windowMs: 300_000 };
  const resource: Resource = {
    name: 'graph',
    params: params ?? { scope: 'https://g.example/.default' },
    claims,
    expectAudience: undefined,
  };
  const client: Client = {
    name: 'billing',
    clientId: wanted.clientId ?? 'id',
    endpoint: wanted.endpoint ?? { tokenEndpoint: tokenUrl },
    grant: { kind: 'client_credentials' },
    credentials: [],
    ca: wanted.ca,
    tenants: [tenant],
    resources: [resource],
    limits: { perHost: rate, perTenant: rate, identical: rate },
    outageTargetMs: 60_000,
    latestShare: 0.75,
    expectLifetimeMs: 60_000,
    assumeLifetimeMs: wanted.assumeLifetimeMs,
  };
  return {
    id: `billing/${tenant}/graph`,
    host: new URL(tokenUrl).host,
    tenantScope: `billing/${tenant}`,
    fingerprint: 'abcdefgh',
    outageTargetMs: 60_000,
    identical: rate,
    client,
    tenant,
    resource,
    tokenUrl,
  };
}
