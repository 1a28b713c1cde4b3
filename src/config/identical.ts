import type { Client, Resource } from '../core/client.ts';
import { formatTarget } from '../core/target.ts';
import type { Finding } from './diagnostics.ts';
import { hostOf, parametersKey, tokenUrl } from './wire.ts';

interface Row {
  readonly client: Client;
  readonly resource: Resource;
}

/**
 * Targets that would send the same wire request: the server counts them together and would throttle, while each
 * would have a budget of its own. Looks at tenants only where client id, host and parameters already agree, so that
 * 100,000 targets cost as much as their handful of resources. One finding for each pair of resources.
 */
export function findIdenticalRequests(clients: readonly Client[]): Finding[] {
  const alike = new Map<string, Row[]>();
  for (const client of clients) {
    for (const resource of client.resources) {
      const key = `${client.clientId}\n${hostOf(client.endpoint)}\n${parametersKey(resource, client.grant)}`;
      const rows = alike.get(key);
      if (rows) rows.push({ client, resource });
      else alike.set(key, [{ client, resource }]);
    }
  }
  return [...alike.values()].flatMap((rows) => (rows.length > 1 ? compare(rows) : []));
}

interface Pair {
  readonly earlier: string;
  readonly later: string;
  count: number;
}

function compare(rows: readonly Row[]): Finding[] {
  const firstByUrl = new Map<string, { readonly id: string; readonly row: number }>();
  return rows.flatMap(({ client, resource }, row): Finding[] => {
    const pairs = new Map<number, Pair>();
    for (const tenant of client.tenants) {
      const url = tokenUrl(client.endpoint, tenant);
      const id = formatTarget({ client: client.name, tenant, resource: resource.name });
      const first = firstByUrl.get(url);
      if (!first) firstByUrl.set(url, { id, row });
      else if (first.row !== row) count(pairs, first, id);
    }
    const path = ['clients', client.name, 'resources', resource.name];
    return [...pairs.values()].map((pair) => ({ path, message: explain(pair) }));
  });
}

function count(
  pairs: Map<number, Pair>,
  first: { readonly id: string; readonly row: number },
  later: string,
): void {
  const pair = pairs.get(first.row);
  if (pair) pair.count++;
  else pairs.set(first.row, { earlier: first.id, later, count: 1 });
}

function explain({ earlier, later, count: pairCount }: Pair): string {
  const more = pairCount > 1 ? ` (and ${pairCount - 1} more such pairs)` : '';
  return `${later} would send the same request as ${earlier}${more}: the server counts them together; keep one of them`;
}
