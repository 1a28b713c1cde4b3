import { EvertokenError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import { matchManaged } from './match.ts';
import { type AddOrder, type OrderResult, type RemoveOrder, Tally } from './orders.ts';
import type { CataloguePort, ClockPort, IndexesPort } from './ports.ts';
import type { Reconciler } from './reconcile.ts';

/** What operators' orders about tenants change for the whole fleet. */
export interface TenantOrdersPort {
  overrideTenants(
    client: string,
    tenants: readonly string[],
    override: { op: 'add' | 'remove'; by: string; at: number },
  ): Promise<void>;
  announce(change: string): Promise<void>;
}

export interface ManageTenantsDependencies {
  readonly catalogue: () => CataloguePort;
  /** The tenant as it stands in ids. Throws `NOT_FOUND` for an unknown client, `COMMAND_REFUSED` for an impossible tenant. */
  readonly resolve: (client: string, tenant: string) => string;
  /** Whether all live processes have the same configuration. */
  readonly agrees: () => Promise<boolean>;
  readonly indexes: IndexesPort;
  readonly clock: ClockPort;
  readonly orders: TenantOrdersPort;
  readonly reconciler: Reconciler;
  readonly reload: () => Promise<void>;
  readonly wake: () => void;
}

/** Carries out what operators order about tenants. Each order may be said twice and is then done once. */
export class ManageTenants {
  readonly #deps: ManageTenantsDependencies;

  constructor(deps: ManageTenantsDependencies) {
    this.#deps = deps;
  }

  async add(request: AddOrder): Promise<OrderResult> {
    const { catalogue, wake } = this.#deps;
    const before = catalogue().size;
    await this.#override('add', request);
    wake();
    const tally = new Tally();
    tally.accept(Math.max(0, catalogue().size - before));
    return tally.result();
  }

  async remove(request: RemoveOrder): Promise<OrderResult> {
    if (request.absent === true) return this.#removeAbsent(request.client);
    const tenants = await this.#override('remove', request);
    const tally = new Tally();
    const matches = (id: TargetId): boolean => {
      const [client, tenant] = id.split('/');
      return client === request.client && tenants.has(tenant as string);
    };
    for await (const { host, entries } of matchManaged(this.#deps.indexes, { matches, exact: undefined })) {
      await Promise.all(
        entries.map(async ({ target }) => {
          await this.#deps.reconciler.drop(host, target);
          await this.#deps.orders.announce(`purge ${target}`);
          tally.accept();
        }),
      );
    }
    if (tally.matched > 0) return tally.result();
    throw new EvertokenError(
      'NOT_FOUND',
      'none of these tenants is managed; `evertoken targets` lists what is',
    );
  }

  /** An operator's word that what the configuration no longer names is meant to go. */
  async #removeAbsent(client: string): Promise<OrderResult> {
    const { agrees, reconciler, orders } = this.#deps;
    if (!(await agrees())) {
      throw new EvertokenError(
        'COMMAND_REFUSED',
        'the live processes have different configurations, so it is open what is absent; `evertoken status` shows them',
      );
    }
    const { removed } = await reconciler.removeAbsent(agrees, client);
    const own = removed.filter((target) => target.startsWith(`${client}/`));
    if (own.length === 0) {
      throw new EvertokenError(
        'NOT_FOUND',
        'nothing that is managed of this client is absent from the configuration',
      );
    }
    await Promise.all(own.map((target) => orders.announce(`purge ${target}`)));
    const tally = new Tally();
    tally.accept(own.length);
    return tally.result();
  }

  async #override(op: 'add' | 'remove', { client, tenants, by }: AddOrder): Promise<Set<string>> {
    const { resolve, orders, clock, reload } = this.#deps;
    const resolved = new Set(tenants.map((tenant) => resolve(client, tenant)));
    await orders.overrideTenants(client, [...resolved], {
      op,
      by: by ?? 'an operator',
      at: await clock.now(),
    });
    await orders.announce('tenants');
    await reload();
    return resolved;
  }
}
