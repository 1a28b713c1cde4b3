import { type ParsedSelect, parseSelect, type Select, type TargetId } from '../core/target.ts';
import type { CataloguePort } from './ports.ts';
import type { Enlisted, Reconciler, Removals } from './reconcile.ts';

/** What the processes of a fleet share, apart from targets. */
export interface FleetPort {
  heartbeat(self: { readonly id: string; readonly configHash: string }): Promise<FleetView>;
  leave(): Promise<void>;
  beginEpoch(id: string, graceMs: number): Promise<{ readonly id: string }>;
  tenantOverrides(): Promise<ReadonlyMap<string, { readonly op: 'add' | 'remove' }>>;
  pauses(
    now: number,
  ): Promise<readonly { readonly select: string; readonly all: boolean; readonly until: number }[]>;
  publishLimits(): Promise<void>;
  /** Drops the limits of clients that this process does not have. */
  dropOtherLimits(): Promise<void>;
  /** Changes when the server was started anew. */
  serverRunId(): Promise<string>;
}

export interface FleetView {
  readonly now: number;
  readonly epoch: string;
  readonly processes: readonly { readonly id: string; readonly role: string; readonly configHash: string }[];
}

/** What a member tells its process. */
export interface MemberEvents {
  readonly joined: (event: {
    epoch: string;
    lost: boolean;
    enlisted: Enlisted | undefined;
    restored: number;
  }) => void;
  readonly restored: (count: number) => void;
  readonly removals: (removals: Removals) => void;
}

export interface MemberDependencies {
  readonly id: string;
  /** Whether this process dispatches, and so keeps the index as configured. */
  readonly schedules: boolean;
  readonly fleet: FleetPort;
  readonly reconciler: Reconciler;
  readonly buildCatalogue: (overrides: ReadonlyMap<string, 'add' | 'remove'>) => CataloguePort;
  readonly newEpochId: () => string;
  readonly events: MemberEvents;
}

/**
 * In a new epoch claims open after this: twice the heartbeat and some, in which every process that lives notices
 * the loss and gives back what it remembers, requests above all.
 */
const GRACE_MS = 2500;
/** Shared tenants and pauses are read again after so many heartbeats, in case an announcement was lost. */
const RELOAD_EVERY_BEATS = 5;
const REMOVE_EVERY_BEATS = 5;
/** A scan of the whole index that found nothing to remove is not repeated at every turn. */
const REMOVE_AGAIN_AFTER_BEATS = 60;
const PRUNE_EVERY_BEATS = 60;

/** One process as a member of the fleet: what it knows of the others, and what it does when Redis is not what it was. */
export class Member {
  readonly #deps: MemberDependencies;
  #catalogue: CataloguePort;
  /** What operators have changed about its tenants, as it was made with. */
  #overridden = '[]';
  #epoch = '';
  #runId = '';
  #beats = 0;
  #removeAtBeat = 0;
  #view: FleetView = { now: 0, epoch: '', processes: [] };
  #pauses: readonly { readonly matches: Select; readonly until: number }[] = [];
  #unsavedTokens = false;
  /** The catalogue whose targets are all managed. */
  #enlisted: CataloguePort | undefined;

  constructor(deps: MemberDependencies) {
    this.#deps = deps;
    this.#catalogue = deps.buildCatalogue(new Map());
  }

  get catalogue(): CataloguePort {
    return this.#catalogue;
  }

  /** Empty until this process has joined. */
  get epoch(): string {
    return this.#epoch;
  }

  get view(): FleetView {
    return this.#view;
  }

  /** Until when an operator has paused a target; undefined: not. */
  pausedUntil(target: TargetId): number | undefined {
    const untils = this.#pauses.filter((pause) => pause.matches(target)).map((pause) => pause.until);
    return untils.length === 0 ? undefined : Math.max(...untils);
  }

  /** Says that a token could not be put into Redis: the next heartbeat that gets through gives it back. */
  noteUnsaved(): void {
    this.#unsavedTokens = true;
  }

  /** Says that this process lives, and hears who else does. */
  async sayAlive(): Promise<void> {
    const { id, fleet } = this.#deps;
    this.#view = await fleet.heartbeat({ id, configHash: this.#catalogue.hash });
  }

  /** One heartbeat, and whatever it shows to be necessary. Throws when Redis does not answer. */
  async beat(): Promise<void> {
    await this.sayAlive();
    this.#beats += 1;
    if (this.#view.epoch === '' || this.#view.epoch !== this.#epoch) await this.#join(this.#view.epoch);
    else await this.#recover();
    await this.#enlist();
    if (this.#beats % RELOAD_EVERY_BEATS === 0) await this.reload();
    if (this.#beats % PRUNE_EVERY_BEATS === 0) this.#deps.reconciler.prune(this.#view.now);
    if (this.#deps.schedules && this.#beats % REMOVE_EVERY_BEATS === 0) await this.#removeAbsent();
  }

  async #join(current: string): Promise<void> {
    const { fleet, reconciler, schedules, newEpochId, events } = this.#deps;
    const lost = this.#epoch !== '';
    const epoch = current === '' ? (await fleet.beginEpoch(newEpochId(), lost ? GRACE_MS : 0)).id : current;
    // Requests and tokens first: once targets are enlisted, anyone may claim them.
    const restored = await this.#restore('everything');
    this.#runId = await fleet.serverRunId();
    this.#enlisted = undefined;
    await this.#readShared();
    await fleet.publishLimits();
    const catalogue = this.#catalogue;
    const enlisted = schedules ? await reconciler.enlist({ retryParked: !lost }) : undefined;
    this.#enlisted = catalogue;
    this.#epoch = epoch;
    events.joined({ epoch, lost, enlisted, restored });
  }

  /** After a gap: what was acquired meanwhile; after a restart of the server, whose file may be old, everything. */
  async #recover(): Promise<void> {
    const { fleet, events } = this.#deps;
    const runId = await fleet.serverRunId();
    const restarted = runId !== this.#runId;
    if (!restarted && !this.#unsavedTokens) return;
    const restored = await this.#restore(restarted ? 'everything' : 'unsaved');
    this.#runId = runId;
    events.restored(restored);
  }

  async #restore(what: 'everything' | 'unsaved'): Promise<number> {
    // Cleared first: a token that cannot be saved meanwhile has to be given back by the next beat.
    this.#unsavedTokens = false;
    try {
      return await this.#deps.reconciler.restore(what);
    } catch (error) {
      this.#unsavedTokens = true;
      throw error;
    }
  }

  /** What is configured and not yet managed; again with every beat until it has been done. */
  async #enlist(): Promise<void> {
    const catalogue = this.#catalogue;
    if (!this.#deps.schedules || this.#epoch === '' || this.#enlisted === catalogue) return;
    await this.#deps.reconciler.enlist({ retryParked: false });
    this.#enlisted = catalogue;
  }

  /** Reads the tenants and pauses that the fleet shares, and begins to manage what is new. */
  async reload(): Promise<void> {
    await this.#readShared();
    await this.#enlist();
  }

  async #readShared(): Promise<void> {
    const { fleet, buildCatalogue } = this.#deps;
    const [overrides, pauses] = await Promise.all([fleet.tenantOverrides(), fleet.pauses(this.#view.now)]);
    const operations = [...overrides].map(([scope, { op }]) => [scope, op] as const).sort();
    const overridden = JSON.stringify(operations);
    // Making and hashing a million targets takes seconds, in which nothing else runs.
    if (overridden !== this.#overridden) {
      this.#overridden = overridden;
      this.#catalogue = buildCatalogue(new Map(operations));
    }
    this.#pauses = pauses.flatMap(({ select, all, until }) => {
      const parsed = readSelect(select, all);
      return parsed === undefined ? [] : [{ until, matches: parsed.matches }];
    });
  }

  /** Asks whether all live processes have the same configuration, as removals need it. */
  async agrees(): Promise<boolean> {
    await this.sayAlive();
    return this.#view.processes.every(({ configHash }) => configHash === this.#catalogue.hash);
  }

  async #removeAbsent(): Promise<void> {
    if (this.#beats < this.#removeAtBeat || !(await this.agrees())) return;
    await this.#deps.fleet.dropOtherLimits();
    const removals = await this.#deps.reconciler.removeAbsent(() => this.agrees());
    if (removals.awaitingConfirmation.size > 0) this.#removeAtBeat = this.#beats + REMOVE_AGAIN_AFTER_BEATS;
    this.#deps.events.removals(removals);
  }

  async leave(): Promise<void> {
    await this.#deps.fleet.leave();
  }
}

/** One pause that cannot be read (another version wrote it, say) must not keep a process from taking part. */
function readSelect(select: string, all: boolean): ParsedSelect | undefined {
  try {
    return parseSelect(select, { all });
  } catch {
    return undefined;
  }
}
