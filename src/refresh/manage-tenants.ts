import { EvertokenError } from '../core/errors.ts';
import { clientOf, isName, type TargetId } from '../core/target.ts';
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
  /** Notes for the whole fleet that a client's targets that are no longer configured are meant to go. */
  confirmRemoval(client: string): Promise<void>;
  announce(change: string): Promise<void>;
}

export interface ManageTenantsDependencies {
  readonly catalogue: () => CataloguePort;
  /** The tenant as it stands in ids. Throws `NOT_FOUND` for an unknown client, `COMMAND_REFUSED` for an impossible tenant. */
  readonly resolve: (client: string, tenant: string) => string;
  /** Whether all live processes manage the same targets. */
  readonly agrees: () => Promise<boolean>;
  /** Whether the same is written for all of them, whatever some keep until it is confirmed. */
  readonly readsTheSame: () => Promise<boolean>;
  /** Client -> how many of its targets this process keeps until it is confirmed that they are meant to go. */
  readonly kept: () => ReadonlyMap<string, number>;
  readonly indexes: IndexesPort;
  readonly clock: ClockPort;
  readonly orders: TenantOrdersPort;
  readonly reconciler: Reconciler;
  readonly reload: () => Promise<void>;
  readonly wake: () => void;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Within this every live process has heard of a confirmation. */
const AGREED_WITHIN_MS = 5000;
const ASK_AGAIN_MS = 100;
const CHUNK = 1000;

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
    const { agrees, readsTheSame, kept, reconciler, orders, reload } = this.#deps;
    if (!(await readsTheSame())) {
      throw new EvertokenError(
        'COMMAND_REFUSED',
        'the live processes have different configurations, so it is open what is absent; `evertoken status` shows them',
      );
    }
    const awaiting = kept().get(client) ?? 0;
    if (isName(client)) await orders.confirmRemoval(client);
    await orders.announce('removals');
    await reload();
    await this.#allHaveHeard();
    const { removed } = await reconciler.removeAbsent(agrees, (name) => name === client);
    const own = removed.filter((target) => clientOf(target) === client);
    // Another process may have been faster to remove what this one has kept.
    const count = Math.max(own.length, awaiting);
    if (count === 0) {
      throw new EvertokenError(
        'NOT_FOUND',
        'nothing that is managed of this client is absent from the configuration',
      );
    }
    for (let start = 0; start < own.length; start += CHUNK) {
      const chunk = own.slice(start, start + CHUNK);
      await Promise.all(chunk.map((target) => orders.announce(`purge ${target}`)));
    }
    const tally = new Tally();
    tally.accept(count);
    return tally.result();
  }

  async #allHaveHeard(): Promise<void> {
    const { agrees, sleep } = this.#deps;
    for (let waitedMs = 0; !(await agrees()); waitedMs += ASK_AGAIN_MS) {
      if (waitedMs >= AGREED_WITHIN_MS) {
        throw new EvertokenError(
          'COMMAND_REFUSED',
          'it is noted that they are meant to go, but not every live process has heard of it yet; say it again in a while',
        );
      }
      await sleep(ASK_AGAIN_MS);
    }
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
