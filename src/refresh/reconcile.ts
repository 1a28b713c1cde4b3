import { decide } from '../core/decide.ts';
import type { Due } from '../core/filing.ts';
import { candidates } from '../core/plan.ts';
import type { TargetState } from '../core/state.ts';
import { isTarget, parseTarget, type TargetId } from '../core/target.ts';
import type { Memory } from './memory.ts';
import type { CataloguePort, ClockPort, Draw, IndexesPort, StatesPort } from './ports.ts';

export interface ReconcileDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: StatesPort;
  readonly indexes: IndexesPort;
  readonly clock: ClockPort;
  readonly memory: Memory;
  readonly draw: Draw;
}

export interface Enlisted {
  readonly added: number;
  /** Managed before, now with another configuration, so their tokens are wanted anew. */
  readonly changed: number;
}

/** Targets that are managed and that no live process has in its configuration. */
export interface Removals {
  readonly removed: readonly TargetId[];
  /** Client -> how many of its targets wait for an operator to confirm their removal, because they are many. */
  readonly awaitingConfirmation: ReadonlyMap<string, number>;
}

const CHUNK = 1000;
/** Removing more than this share of a client's targets at once looks like a mistake in the configuration. */
const SHARE_WITHOUT_CONFIRMATION = 0.2;
/** How long a process may still remember a request: longer than any identical window that makes sense. */
const REMEMBER_REQUESTS_MS = 3_600_000;

/** Brings the index and the configuration together, and a Redis that has lost its state back to work. */
export class Reconciler {
  readonly #deps: ReconcileDependencies;

  constructor(deps: ReconcileDependencies) {
    this.#deps = deps;
  }

  /**
   * Begins to manage what is configured and not yet managed, and wants anew what is configured differently.
   * `retryParked`: what failed for want of a right credential or configuration is tried at once, because
   * starting a daemon is what an operator does after mending one.
   */
  async enlist(options: { retryParked: boolean }): Promise<Enlisted> {
    let added = 0;
    let changed = 0;
    for (const [host, targets] of this.#byHost()) {
      for (let start = 0; start < targets.length; start += CHUNK) {
        const result = await this.#enlistChunk(
          host,
          targets.slice(start, start + CHUNK),
          options.retryParked,
        );
        added += result.added;
        changed += result.changed;
      }
    }
    return { added, changed };
  }

  #byHost(): Map<string, TargetId[]> {
    const catalogue = this.#deps.catalogue();
    const byHost = new Map<string, TargetId[]>();
    for (const id of catalogue.ids()) {
      const host = catalogue.get(id)?.host;
      if (host === undefined) continue;
      const targets = byHost.get(host);
      if (targets === undefined) byHost.set(host, [id]);
      else targets.push(id);
    }
    return byHost;
  }

  async #enlistChunk(host: string, targets: readonly TargetId[], retryParked: boolean): Promise<Enlisted> {
    const { states, indexes, clock } = this.#deps;
    const [dueAt, known, now] = await Promise.all([
      indexes.dueAt(host, targets),
      states.read(targets),
      clock.now(),
    ]);
    const missing: Due[] = [];
    const changed: TargetId[] = [];
    const wants: Promise<unknown>[] = [];
    for (const [i, target] of targets.entries()) {
      const state = known[i] as TargetState;
      const by = this.#reasonToWant(target, state, retryParked && dueAt[i] !== undefined);
      if (by !== undefined) {
        wants.push(states.want(target, by));
        changed.push(target);
      }
      if (dueAt[i] === undefined)
        missing.push({ target, dueAt: by === undefined ? this.#firstDue(target, state, now) : now });
    }
    await Promise.all(wants);
    await indexes.enlist(host, missing);
    await indexes.setDue(host, changed, now);
    return { added: missing.length, changed: changed.length };
  }

  #reasonToWant(target: TargetId, state: TargetState, retryParked: boolean): string | undefined {
    const fingerprint = this.#deps.catalogue().get(target)?.fingerprint;
    if (state.fingerprint !== '' && state.fingerprint !== fingerprint) return 'its configuration has changed';
    const kind = state.failure?.kind;
    if (retryParked && (kind === 'credential' || kind === 'configuration'))
      return 'tried again after a start';
    return undefined;
  }

  #firstDue(target: TargetId, state: TargetState, now: number): number {
    const { catalogue, draw } = this.#deps;
    const policy = catalogue().get(target);
    if (policy === undefined) return now;
    const decision = decide(state, policy, now);
    if (decision.act === 'refresh') return now;
    // Of the part of the window that is still to come, so that a rebuilt index is as smooth as the lost one.
    const from = Math.max(now, decision.until.from);
    return candidates({ from, to: Math.max(from, decision.until.to) }, [draw(), 0])[0];
  }

  /** Gives Redis back what this process remembers: everything, or only what Redis could not take at the time. */
  async restore(what: 'everything' | 'unsaved'): Promise<number> {
    const { memory, states, clock, catalogue } = this.#deps;
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
          if (target === undefined) return false;
          const wasNeeded = await states.restore(target, token, requestLog);
          if (token !== undefined) memory.saved(id, token);
          return wasNeeded;
        }),
      );
      restored += results.filter(Boolean).length;
    }
    return restored;
  }

  /** Forgets what has ended, so that memory stays within what is managed now. */
  prune(now: number): void {
    this.#deps.memory.live(now, REMEMBER_REQUESTS_MS);
  }

  /**
   * Ends the management of what is no longer configured. `agreed` asks whether every live process has the same
   * configuration: once more after the index was looked through, since one may have come meanwhile. `confirmed`: a
   * client for which an operator has confirmed it, however many they are.
   */
  async removeAbsent(agreed: () => Promise<boolean>, confirmed?: string): Promise<Removals> {
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
    return this.#remove(managed, absent, confirmed);
  }

  async #remove(
    managed: ReadonlyMap<string, ReadonlySet<TargetId>>,
    absent: ReadonlyMap<string, ReadonlyMap<string, { host: string; target: TargetId }>>,
    confirmed: string | undefined,
  ): Promise<Removals> {
    const removed: TargetId[] = [];
    const awaitingConfirmation = new Map<string, number>();
    for (const [client, seen] of absent) {
      const entries = [...seen.values()];
      const isGone = ({ target }: { target: TargetId }) => this.#deps.catalogue().get(target) === undefined;
      const gone = new Set(entries.filter(isGone).map(({ target }) => target));
      const isMany = gone.size > SHARE_WITHOUT_CONFIRMATION * (managed.get(client)?.size ?? 0);
      const waits = isMany && client !== confirmed;
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
