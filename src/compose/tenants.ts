import { Catalogue } from '../config/catalogue.ts';
import type { Config } from '../config/config.ts';
import { normaliseTenant, tenantProblem } from '../config/wire.ts';
import type { Client } from '../core/client.ts';
import { EvertokenError } from '../core/errors.ts';
import { formatTarget, isTenant, TENANT_GRAMMAR } from '../core/target.ts';
import type { CataloguePort } from '../refresh/ports.ts';

/** Client -> ms between two requests for one of its tenants. */
export function tenantIntervals({ clients }: Pick<Config, 'clients'>): Map<string, number> {
  return new Map(
    clients.map(({ name, limits }) => [name, limits.perTenant.windowMs / limits.perTenant.count]),
  );
}

/**
 * A tenant of a configured client, as it stands in ids. Throws `NOT_FOUND` for an unknown client and
 * `COMMAND_REFUSED` for a tenant that it cannot have.
 */
export function resolveTenant(
  { clients }: Pick<Config, 'clients'>,
  catalogue: CataloguePort,
  name: string,
  tenant: string,
): string {
  const client = clients.find((candidate) => candidate.name === name);
  if (client === undefined) {
    const known = clients.map((candidate) => candidate.name).sort();
    throw new EvertokenError(
      'NOT_FOUND',
      `no client of that name is configured; known are ${known.join(', ')}`,
    );
  }
  if (!isTenant(tenant)) throw new EvertokenError('COMMAND_REFUSED', `expected tenants of ${TENANT_GRAMMAR}`);
  const normalised = normaliseTenant(client.endpoint, tenant);
  const problem = tenantProblem(client.endpoint, normalised);
  if (problem !== undefined) throw new EvertokenError('COMMAND_REFUSED', problem);
  const identical = findIdenticalTarget(clients, catalogue, client, normalised);
  if (identical === undefined) return normalised;
  throw new EvertokenError(
    'COMMAND_REFUSED',
    `the server could not tell its requests from those of ${identical}, which is managed already; use that one`,
  );
}

/** A managed target of another client whose request a target of this tenant would repeat: one limit would count both. */
function findIdenticalTarget(
  clients: readonly Client[],
  catalogue: CataloguePort,
  client: Client,
  tenant: string,
): string | undefined {
  const own = new Catalogue([client], new Map([[`${client.name}/${tenant}`, 'add']]));
  const fingerprints = new Set(
    client.resources.map(
      ({ name: resource }) => own.get(formatTarget({ client: client.name, tenant, resource }))?.fingerprint,
    ),
  );
  return clients
    .filter(({ name }) => name !== client.name)
    .flatMap((other) =>
      other.resources.map(({ name: resource }) => formatTarget({ client: other.name, tenant, resource })),
    )
    .find((id) => fingerprints.has(catalogue.get(id)?.fingerprint ?? ''));
}
