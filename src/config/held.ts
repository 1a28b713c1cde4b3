import type { Client, Resource } from '../core/client.ts';
import { needsConfirmation } from '../core/removal.ts';
import { findIdenticalRequests } from './identical.ts';
import { normaliseTenant, parametersKey, tenantProblem } from './wire.ts';

/** What a process goes by: what is written, and what an operator has still to let go. */
export interface Held {
  readonly clients: readonly Client[];
  /** Client -> how many of its targets are no longer written and kept all the same. */
  readonly awaiting: ReadonlyMap<string, number>;
}

/**
 * Takes a changed configuration over, but for removals that look like a mistake: of a client that would lose more than
 * a fifth of its targets, those that it had are kept beside what is new. Tenants and resources are kept each for
 * themselves, so a new tenant gets kept resources too. `before`: what was in effect so far.
 */
export function holdRemovals(before: readonly Client[], written: readonly Client[]): Held {
  const byName = new Map(written.map((client) => [client.name, client]));
  const awaiting = new Map<string, number>();
  for (const known of before) {
    const gone = countGone(known, byName.get(known.name));
    if (!needsConfirmation(gone, sizeOf(known))) continue;
    const kept = keep(known, byName.get(known.name));
    const others = [...byName.values()].filter(({ name }) => name !== known.name);
    if (repeatsRequests(known, kept, byName.get(known.name), others)) continue;
    byName.set(known.name, kept);
    awaiting.set(known.name, gone);
  }
  return { clients: [...byName.values()], awaiting };
}

/**
 * Everything of what was in effect and of what is now, as far as the latter allows. What was dropped little by little is
 * judged together, for as long as Redis still has it.
 */
export function everKnown(before: readonly Client[], { clients, awaiting }: Held): readonly Client[] {
  const known = new Map(before.map((client) => [client.name, client]));
  const names = new Set(clients.map(({ name }) => name));
  return [
    ...clients.map((client) => {
      const earlier = known.get(client.name);
      // What is kept is complete.
      if (earlier === undefined || awaiting.has(client.name)) return client;
      return countGone(earlier, client) === 0 ? client : keep(earlier, client);
    }),
    ...before.filter(({ name }) => !names.has(name)),
  ];
}

const sizeOf = ({ tenants, resources }: Client): number => tenants.length * resources.length;

function countGone(before: Client, after: Client | undefined): number {
  if (after === undefined) return sizeOf(before);
  const tenantsLeft = countCommon(before.tenants, after.tenants);
  const names = new Set(after.resources.map(({ name }) => name));
  const resourcesLeft = before.resources.filter(({ name }) => names.has(name)).length;
  return sizeOf(before) - tenantsLeft * resourcesLeft;
}

function countCommon(before: readonly string[], after: readonly string[]): number {
  // Most often nothing has changed, and 100,000 need not be sorted out.
  if (before.length === after.length && before.every((tenant, i) => tenant === after[i]))
    return before.length;
  const tenants = new Set(after);
  return before.filter((tenant) => tenants.has(tenant)).length;
}

/** The client as it is written, with what it had; as it was where the endpoint that is written cannot have its tenants. */
function keep(before: Client, after: Client | undefined): Client {
  if (after === undefined || !suits(after.endpoint, before.tenants)) return before;
  return {
    ...after,
    tenants: [...new Set([...after.tenants, ...before.tenants])],
    resources: [...after.resources, ...resourcesGone(before, after)],
  };
}

const suits = (endpoint: Client['endpoint'], tenants: readonly string[]): boolean =>
  tenants.every(
    (tenant) => normaliseTenant(endpoint, tenant) === tenant && tenantProblem(endpoint, tenant) === undefined,
  );

function resourcesGone(before: Client, after: Client): Resource[] {
  const names = new Set(after.resources.map(({ name }) => name));
  return before.resources.filter(({ name }) => !names.has(name));
}

/**
 * Where a client or a resource was only renamed, old and new would send the same requests, each with a limit of its
 * own, and the server would count them together. Then the new one alone is refreshed.
 */
function repeatsRequests(
  before: Client,
  kept: Client,
  after: Client | undefined,
  others: readonly Client[],
): boolean {
  if (after !== undefined) {
    const { grant } = after;
    const own = new Set(after.resources.map((resource) => parametersKey(resource, grant)));
    if (resourcesGone(before, after).some((resource) => own.has(parametersKey(resource, grant)))) return true;
  }
  const sameApplication = others.filter(({ clientId }) => clientId === kept.clientId);
  return sameApplication.length > 0 && findIdenticalRequests([...sameApplication, kept]).length > 0;
}
