import { needsConfirmation } from '../core/removal.ts';
import { isTarget, parseTarget, type TargetId } from '../core/target.ts';
import { renewAll } from './clock-back.ts';
import { type EnlistDependencies, type Enlisted, type EnlistOptions, enlist } from './enlist.ts';
import type { Memory } from './memory.ts';
import { makeOversleptDue, wakeOverslept } from './overslept.ts';
import type { IndexesPort, StatesPort } from './ports.ts';

export interface ReconcileDependencies extends EnlistDependencies {
  readonly states: StatesPort;
  readonly indexes: IndexesPort;
  readonly memory: Memory;
}

/** Targets that are managed and that no live process has in its configuration. */
export interface Removals {
  readonly removed: readonly TargetId[];
  /** Client -> how many of its targets wait for an operator to confirm their removal, because they are many. */
  readonly awaitingConfirmation: ReadonlyMap<string, number>;
}

const CHUNK = 1000;
/** How long a process may still remember a request: longer than any identical window that makes sense. */
const REMEMBER_REQUESTS_MS = 3_600_000;

/** Brings the index and the configuration together, and a Redis that has lost its state back to work. */
export class Reconciler {
  readonly #deps: ReconcileDependencies;

  constructor(deps: ReconcileDependencies) {
    this.#deps = deps;
  }

  /** Begins to manage what is configured and not yet managed, and wants anew what is configured differently. */
  async enlist(options: EnlistOptions): Promise<Enlisted> {
    return enlist(options, this.#deps);
  }

  /** What this process remembers is dated by a clock that has gone back to `now`. */
  clockWentBack(now: number): void {
    this.#deps.memory.clockWentBack(now);
  }

  /** Wants every token anew after Redis time has gone back. Gives how many there are. */
  async renew(): Promise<number> {
    return renewAll(this.#deps);
  }

  /** Makes due what other configurations have left asleep and this one does not. Gives how many there were. */
  async wakeOverslept(): Promise<number> {
    return wakeOverslept(this.#deps);
  }

  /** Gives Redis back what this process remembers: everything, or only what Redis could not take at the time. */
  async restore(what: 'everything' | 'unsaved'): Promise<number> {
    const { memory, states, indexes, clock, catalogue } = this.#deps;
    const now = await clock.now();
    const remembered = [
      ...(what === 'everything' ? memory.live(now, REMEMBER_REQUESTS_MS) : memory.unsaved()),
    ];
    let restored = 0;
    for (let start = 0; start < remembered.length; start += CHUNK) {
      const chunk = remembered.slice(start, start + CHUNK);
      const results = await Promise.all(
        chunk.map(async ([id, { token, requestLog }]) => {
          const target = catalogue().get(id);
          if (target === undefined) return undefined;
          const wasNeeded = await states.restore(target, token, requestLog);
          if (token !== undefined) memory.saved(id, token);
          return wasNeeded ? target : undefined;
        }),
      );
      const needed = results.filter((target) => target !== undefined);
      restored += needed.length;
      // An older file may have them dormant: their tokens have ended that, and not their plans.
      for (const [host, targets] of Map.groupBy(needed, (target) => target.host))
        await makeOversleptDue(
          host,
          targets.map(({ id }) => id),
          now,
          indexes,
        );
    }
    return restored;
  }

  /** Forgets what has ended, so that memory stays within what is managed now. */
  prune(now: number): void {
    this.#deps.memory.live(now, REMEMBER_REQUESTS_MS);
  }

  /**
   * Ends the management of what is no longer configured. `agreed` asks whether every live process has the same
   * configuration: once more after the index was looked through, since one may have come meanwhile. `isConfirmed`:
   * whether an operator has confirmed it for a client, however many they are.
   */
  async removeAbsent(
    agreed: () => Promise<boolean>,
    isConfirmed: (client: string) => boolean = () => false,
  ): Promise<Removals> {
    const { indexes, catalogue } = this.#deps;
    // A target may be seen twice: in the index of the host that it has left, or by a scan.
    const managed = new Map<string, Set<TargetId>>();
    const absent = new Map<string, Map<TargetId, { host: string; target: TargetId }>>();
    const hosts = await indexes.hosts();
    const counts = await Promise.all(hosts.map((host) => indexes.count(host)));
    // Everything configured is managed by now, so equal numbers mean that nothing else is.
    if (counts.reduce((sum, count) => sum + count, 0) === catalogue().size)
      return { removed: [], awaitingConfirmation: new Map() };
    for (const host of hosts) {
      for await (const page of indexes.scan(host)) {
        for (const { target } of page) {
          // What others have put there is no target of ours; it is never claimed by anyone who knows targets.
          if (!isTarget(target)) continue;
          const { client } = parseTarget(target);
          managed.set(client, (managed.get(client) ?? new Set()).add(target));
          if (catalogue().get(target)?.host === host) continue;
          absent.set(client, (absent.get(client) ?? new Map()).set(`${host} ${target}`, { host, target }));
        }
      }
    }
    if (absent.size === 0 || !(await agreed())) return { removed: [], awaitingConfirmation: new Map() };
    return this.#remove(managed, absent, isConfirmed);
  }

  async #remove(
    managed: ReadonlyMap<string, ReadonlySet<TargetId>>,
    absent: ReadonlyMap<string, ReadonlyMap<string, { host: string; target: TargetId }>>,
    isConfirmed: (client: string) => boolean,
  ): Promise<Removals> {
    const removed: TargetId[] = [];
    const awaitingConfirmation = new Map<string, number>();
    for (const [client, seen] of absent) {
      const entries = [...seen.values()];
      const isGone = ({ target }: { target: TargetId }) => this.#deps.catalogue().get(target) === undefined;
      const gone = new Set(entries.filter(isGone).map(({ target }) => target));
      const isMany = needsConfirmation(gone.size, managed.get(client)?.size ?? 0);
      const waits = isMany && !isConfirmed(client);
      if (waits) awaitingConfirmation.set(client, gone.size);
      else removed.push(...gone);
      // Moved to another host is not removed: only the old index has to forget it.
      const dropped = waits ? entries.filter((entry) => !isGone(entry)) : entries;
      for (let start = 0; start < dropped.length; start += CHUNK) {
        const chunk = dropped.slice(start, start + CHUNK);
        // Configured meanwhile (an operator's add): then it is no longer absent.
        const absentStill = chunk.filter(
          ({ host, target }) => this.#deps.catalogue().get(target)?.host !== host,
        );
        await Promise.all(absentStill.map(({ host, target }) => this.drop(host, target)));
      }
    }
    return { removed, awaitingConfirmation };
  }

  /** Ends the management of one target on one host; its token goes unless another host manages it. */
  async drop(host: string, target: TargetId): Promise<void> {
    const { indexes, states, memory, catalogue } = this.#deps;
    await indexes.remove(host, [target]);
    const movedTo = catalogue().get(target)?.host;
    if (movedTo !== undefined && movedTo !== host) return;
    memory.forgetToken(target);
    await states.erase(target, true);
  }
}
