import { createHash } from 'node:crypto';
import type { Client, Resource, Target } from '../core/client.ts';
import { perSecond, type Rate } from '../core/duration.ts';
import { type ClientLoad, type HostPlan, type Life, planHost } from '../core/feasibility.ts';
import { formatTarget, isTenant, NO_TENANT, type TargetId } from '../core/target.ts';
import { fingerprint, hostOf, normaliseTenant, parametersKey, tenantProblem, tokenUrl } from './wire.ts';

/** What operators added or removed while the daemon runs, by `client/tenant`. */
export type Overrides = ReadonlyMap<string, 'add' | 'remove'>;

/** One client with what is the same for all its targets, worked out once. */
interface Entry {
  readonly client: Client;
  readonly host: string;
  readonly tenants: ReadonlySet<string>;
  readonly resources: ReadonlyMap<string, { readonly resource: Resource; readonly parameters: string }>;
  /** What the windows of its targets are made from. */
  plannedOutageMs: number;
}

const NO_LIVES: ReadonlyMap<string, Life> = new Map();

/**
 * The targets of a configuration. Cheap for a million of them: ids are made while they are asked for, and a target
 * when it is first needed.
 */
export class Catalogue {
  /** How many targets there are. */
  readonly size: number;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #targets = new Map<TargetId, Target>();
  #hash: string | undefined;
  #hosts: ReadonlyMap<string, { readonly perHost: Rate }> | undefined;

  /** Overrides that name an unknown client, or a tenant that its endpoint cannot have, change nothing. */
  constructor(clients: readonly Client[], overrides: Overrides = new Map()) {
    const tenants = tenantsByClient(clients, overrides);
    this.#entries = new Map(
      clients.map((client) => [client.name, entryOf(client, tenants.get(client.name) ?? new Set())]),
    );
    const sizes = [...this.#entries.values()].map(({ tenants: own, resources }) => own.size * resources.size);
    this.size = sizes.reduce((sum, size) => sum + size, 0);
    this.replan();
  }

  /**
   * Plans for each host which outages are survived, and has every target go by it from now on, at a cost for each client
   * and none for each target. `lives`: of the tokens of clients, where some were seen; else it is what the configuration
   * expects. `limitOf`: what the fleet may ask of a host, where that is not what this configuration says.
   */
  replan(
    lives: ReadonlyMap<string, Life> = NO_LIVES,
    limitOf: (host: string) => Rate | undefined = () => undefined,
  ): HostPlan[] {
    const entries = [...this.#entries.values()];
    return [...this.hosts()].map(([host, { perHost }]) => {
      const own = entries.filter((entry) => entry.host === host);
      const plan = planHost({
        host,
        limitPerSecond: perSecond(limitOf(host) ?? perHost),
        clients: own.map((entry) => loadOf(entry, lives.get(entry.client.name))),
      });
      plan.clients.forEach(({ plannedOutageMs }, i) => {
        const entry = own[i];
        if (entry) entry.plannedOutageMs = plannedOutageMs;
      });
      return plan;
    });
  }

  /** The target of that id, or undefined where it is not managed. */
  get(id: TargetId): Target | undefined {
    const cached = this.#targets.get(id);
    if (cached) return cached;
    const target = this.#build(id);
    if (target) this.#targets.set(id, target);
    return target;
  }

  /** How many tenants a client has, operators' included; where its endpoint has none, how many targets. */
  scopes(client: string): number {
    const entry = this.#entries.get(client);
    if (entry === undefined) return 0;
    return entry.tenants.has(NO_TENANT) ? entry.resources.size : entry.tenants.size;
  }

  /**
   * Every id, or those of one client: clients in turn, and of each every tenant's first resource, then every tenant's
   * second, so that whoever goes through all of them in this order keeps nobody waiting behind a large neighbour.
   */
  *ids(only?: string): Generator<TargetId, void, void> {
    let clients = [...this.#entries]
      .filter(([client]) => only === undefined || client === only)
      .map(([client, entry]) => idsOf(client, entry));
    while (clients.length > 0) {
      const more: typeof clients = [];
      for (const ids of clients) {
        const { value, done } = ids.next();
        if (done) continue;
        more.push(ids);
        yield value;
      }
      clients = more;
    }
  }

  /** The hosts of all token endpoints. Where clients share one, the lowest rate wins. */
  hosts(): ReadonlyMap<string, { readonly perHost: Rate }> {
    this.#hosts ??= hostsOf([...this.#entries.values()]);
    return this.#hosts;
  }

  /**
   * 16 hexadecimal characters that are the same for the same targets, whatever the order they are written in: clients,
   * ids, endpoints, parameters, limits, plans and tenants, overrides included; not credentials.
   */
  get hash(): string {
    this.#hash ??= hashOf([...this.#entries.values()]);
    return this.#hash;
  }

  #build(id: TargetId): Target | undefined {
    const [name = '', tenant = '', resourceName = '', ...rest] = id.split('/');
    const entry = this.#entries.get(name);
    const found = entry?.resources.get(resourceName);
    if (!entry || !found || rest.length > 0 || !entry.tenants.has(tenant)) return undefined;
    const { client, host } = entry;
    const url = tokenUrl(client.endpoint, tenant);
    return {
      id,
      client,
      tenant,
      resource: found.resource,
      tokenUrl: url,
      host,
      tenantScope: `${name}/${tenant}`,
      fingerprint: fingerprint(url, client.clientId, found.parameters),
      get outageTargetMs() {
        return entry.plannedOutageMs;
      },
      latestShare: client.latestShare,
      retireUnreadAfterMs: client.retireUnreadAfterMs,
      identical: client.limits.identical,
    };
  }
}

function* idsOf(client: string, { tenants, resources }: Entry): Generator<TargetId, void, void> {
  for (const resource of resources.keys())
    for (const tenant of tenants) yield formatTarget({ client, tenant, resource });
}

function entryOf(client: Client, tenants: ReadonlySet<string>): Entry {
  const resources = client.resources.map(
    (resource) => [resource.name, { resource, parameters: parametersKey(resource, client.grant) }] as const,
  );
  const { endpoint, outageTargetMs: plannedOutageMs } = client;
  return { client, host: hostOf(endpoint), tenants, resources: new Map(resources), plannedOutageMs };
}

function loadOf({ client, tenants, resources }: Entry, seen: Life | undefined): ClientLoad {
  const { name, expectLifetimeMs: lifeMs, outageTargetMs, latestShare, limits } = client;
  return {
    ...{ client: name, tenants: tenants.size, resources: resources.size, outageTargetMs, latestShare },
    life: seen ?? { shortestMs: lifeMs, meanMs: lifeMs, longestMs: lifeMs },
    isSeen: seen !== undefined,
    ...{ identical: limits.identical, perTenant: limits.perTenant },
  };
}

function tenantsByClient(clients: readonly Client[], overrides: Overrides): Map<string, Set<string>> {
  const tenants = new Map(clients.map(({ name, tenants: own }) => [name, new Set(own)]));
  const byName = new Map(clients.map((client) => [client.name, client]));
  for (const [scope, change] of overrides) {
    const [name = '', written = ''] = scope.split('/');
    const [client, own] = [byName.get(name), tenants.get(name)];
    if (!client || !own) continue;
    const tenant = normaliseTenant(client.endpoint, written);
    if (change === 'remove') own.delete(tenant);
    else if (isTenant(tenant) && tenantProblem(client.endpoint, tenant) === undefined) own.add(tenant);
  }
  return tenants;
}

function hashOf(entries: readonly Entry[]): string {
  const hash = createHash('sha256');
  const byName = entries.toSorted((a, b) => (a.client.name < b.client.name ? -1 : 1));
  for (const { client, tenants, resources } of byName) {
    const { name, clientId, endpoint, limits, outageTargetMs, latestShare } = client;
    const { expectLifetimeMs, assumeLifetimeMs, retireUnreadAfterMs } = client;
    const wanted = [...resources.values()].map(({ resource, parameters }) => [
      resource.name,
      parameters,
      resource.expectAudience ?? null,
    ]);
    const { perHost, perTenant, identical } = limits;
    const rates = [perHost, perTenant, identical].map(({ count, windowMs }) => [count, windowMs]);
    const own = [
      name,
      clientId,
      Object.entries(endpoint),
      rates,
      outageTargetMs,
      expectLifetimeMs,
      latestShare,
      assumeLifetimeMs ?? null,
      retireUnreadAfterMs ?? null,
    ];
    hash.update(JSON.stringify([own, wanted.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))]));
    // One update for all tenants: one for each costs more than the hashing.
    hash.update(JSON.stringify([...tenants].toSorted()));
  }
  return hash.digest('hex').slice(0, 16);
}

function hostsOf(entries: readonly Entry[]): Map<string, { readonly perHost: Rate }> {
  const hosts = new Map<string, { readonly perHost: Rate }>();
  for (const { client, host } of entries) {
    const { perHost } = client.limits;
    const known = hosts.get(host);
    if (!known || perSecond(perHost) < perSecond(known.perHost)) hosts.set(host, { perHost });
  }
  return hosts;
}
