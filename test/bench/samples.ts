import { randomUUID } from 'node:crypto';
import { Catalogue } from '../../src/config/catalogue.ts';
import type { Client } from '../../src/core/client.ts';

export const guids = (count: number): string[] => Array.from({ length: count }, () => randomUUID());

/** One client with one resource for each tenant: as many targets as tenants. */
export function catalogueOf(tenants: readonly string[], limits: Partial<Client['limits']> = {}): Catalogue {
  return new Catalogue([clientOf(tenants, limits)]);
}

export function clientOf(tenants: readonly string[], limits: Partial<Client['limits']> = {}): Client {
  return {
    name: 'billing',
    clientId: '11111111-1111-4111-8111-111111111111',
    endpoint: { authority: 'https://login.example' },
    grant: { kind: 'client_credentials' },
    credentials: [],
    ca: undefined,
    tenants,
    resources: [
      {
        name: 'graph',
        params: { scope: 'https://graph.microsoft.com/.default' },
        claims: undefined,
        expectAudience: undefined,
      },
    ],
    limits: {
      perHost: { count: 10_000, windowMs: 1000 },
      perTenant: { count: 10_000, windowMs: 1000 },
      identical: { count: 5, windowMs: 300_000 },
      ...limits,
    },
    outageTargetMs: 1_200_000,
    latestShare: 0.75,
    expectLifetimeMs: 3_600_000,
    assumeLifetimeMs: undefined,
  };
}

/** Calls `work` for chunks of the items, one chunk after the other, each item of a chunk at once. */
export async function inChunks<Item>(
  items: readonly Item[],
  size: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  for (let start = 0; start < items.length; start += size)
    await Promise.all(items.slice(start, start + size).map(work));
}
