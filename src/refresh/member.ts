import { perSecond, type Rate } from '../core/duration.ts';
import { lowestLimit } from '../core/lowest-limit.ts';
import type { TargetId } from '../core/target.ts';
import type { RedisClock } from './clock-back.ts';
import type { Enlisted } from './enlist.ts';
import type { FleetPort, FleetView } from './fleet-port.ts';
import { type ConfigurationPort, InEffect } from './in-effect.ts';
import { inTurn } from './in-turn.ts';
import type { CataloguePort } from './ports.ts';
import type { Reconciler, Removals } from './reconcile.ts';

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
  /** Client -> how many of its targets are kept, and refreshed, until an operator confirms that they are meant to go. */
  readonly kept: (kept: ReadonlyMap<string, number>) => void;
  /** A change of the configuration is taken over, and what it asks for is managed. */
  readonly configured: (event: { targets: number; enlisted: Enlisted | undefined }) => void;
  /**
   * Redis time has gone back, as after a failover. `renewed`: so many tokens are wanted anew; undefined: this process
   * does not dispatch, and leaves that to those that do.
   */
  readonly clockWentBack: (event: { lostMs: number; renewed: number | undefined }) => void;
}

export interface MemberDependencies {
  readonly id: string;
  /** Whether this process dispatches, and so keeps the index as configured. */
  readonly schedules: boolean;
  readonly fleet: FleetPort;
  readonly reconciler: Reconciler;
  readonly configuration: ConfigurationPort;
  readonly newEpochId: () => string;
  readonly clock: RedisClock;
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
/** Whatever all live processes have agreed upon for so long has been removed. */
const SETTLED_BEATS = 10;

/** One process as a member of the fleet: what it knows of the others, and what it does when Redis is not what it was. */
export class Member {
  readonly #deps: MemberDependencies;
  readonly #inEffect: InEffect;
  readonly #enlistTurn = inTurn();
  readonly #listeners: (() => void)[] = [];
  #epoch = '';
  #runId = '';
  #beats = 0;
  #beatsInAgreement = 0;
  #removeAtBeat = 0;
  /** Whether a process with another configuration may have retired what this one would not. */
  #mayOversleep = true;
  /** Whether the limits for tenants that the fleet goes by are those of this process, and not slower ones of another. */
  #ownLimitsHold = false;
  #view: FleetView = { now: 0, epoch: '', processes: [] };
  #unsavedTokens = false;
  /** By how much Redis time has gone back, where not everything has been renewed since. */
  #lostMs = 0;
  /** The catalogue whose targets are all managed, and the configuration that it was made of. */
  #enlisted: { readonly catalogue: CataloguePort; readonly version: number } | undefined;

  constructor(deps: MemberDependencies) {
    this.#deps = deps;
    this.#inEffect = new InEffect(deps.configuration, deps.fleet);
  }

  get catalogue(): CataloguePort {
    return this.#inEffect.catalogue;
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
    return this.#inEffect.pausedUntil(target);
  }

  /** Hears of every change of the catalogue, before the fleet does. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Says that a token could not be put into Redis: the next heartbeat that gets through gives it back. */
  noteUnsaved(): void {
    this.#unsavedTokens = true;
  }

  /** Says that this process lives, and hears who else does. */
  async sayAlive(): Promise<void> {
    const { id, fleet } = this.#deps;
    const { catalogue, writtenHash } = this.#inEffect;
    const limits = Object.fromEntries(
      [...catalogue.hosts()].map(([host, { perHost }]) => [host, perSecond(perHost)]),
    );
    this.#view = await fleet.heartbeat({ id, configHash: catalogue.hash, writtenHash, limits });
    if (!this.allAgree()) this.#mayOversleep = true;
  }

  /** What the fleet may ask of a host; undefined where this process does not know it. */
  perHost(host: string): Rate | undefined {
    const own = this.catalogue.hosts().get(host)?.perHost;
    return own === undefined ? undefined : lowestLimit(host, own, this.#view.processes);
  }

  async #publishLimits(): Promise<void> {
    const agreed = this.allAgree();
    await this.#deps.fleet.publishLimits(agreed);
    this.#ownLimitsHold = agreed;
  }

  /** One heartbeat, and whatever it shows to be necessary. Throws when Redis does not answer. */
  async beat(): Promise<void> {
    await this.sayAlive();
    this.#beats += 1;
    if (this.#view.epoch === '' || this.#view.epoch !== this.#epoch) await this.#join(this.#view.epoch);
    else await this.#recover();
    await this.#followClock();
    await this.#enlist();
    if (this.#beats % RELOAD_EVERY_BEATS === 0 || this.#inEffect.isStale) await this.reload();
    if (this.#beats % PRUNE_EVERY_BEATS === 0) this.#deps.reconciler.prune(this.#view.now);
    if (this.#deps.schedules && this.#beats % REMOVE_EVERY_BEATS === 0) await this.#removeAbsent();
    this.#beatsInAgreement = this.allAgree() ? this.#beatsInAgreement + 1 : 0;
    if (this.#beatsInAgreement === 0) this.#ownLimitsHold = false;
    else if (!this.#ownLimitsHold) await this.#publishLimits();
    if (this.#beatsInAgreement > 0 && this.#mayOversleep) await this.#wakeOverslept();
    if (this.#beatsInAgreement % SETTLED_BEATS === SETTLED_BEATS - 1) this.#deps.configuration.settle();
  }

  async #join(current: string): Promise<void> {
    const { fleet, reconciler, schedules, newEpochId, events } = this.#deps;
    const lost = this.#epoch !== '';
    const epoch = current === '' ? (await fleet.beginEpoch(newEpochId(), lost ? GRACE_MS : 0)).id : current;
    // Requests and tokens first: once targets are enlisted, anyone may claim them.
    const restored = await this.#restore('everything');
    this.#runId = await fleet.serverRunId();
    this.#enlisted = undefined;
    if (await this.#readInEffect()) await this.sayAlive();
    await this.#publishLimits();
    const { catalogue, version } = this.#inEffect;
    const enlisted = schedules ? await reconciler.enlist({ retryParked: !lost }) : undefined;
    this.#enlisted = { catalogue, version };
    this.#epoch = epoch;
    events.joined({ epoch, lost, enlisted, restored });
  }

  async #followClock(): Promise<void> {
    const { clock, schedules, reconciler, events } = this.#deps;
    this.#lostMs = Math.max(this.#lostMs, clock.goneBackMs(this.#view.now));
    if (this.#lostMs === 0) return;
    reconciler.clockWentBack(this.#view.now);
    const renewed = schedules ? await reconciler.renew() : undefined;
    events.clockWentBack({ lostMs: this.#lostMs, renewed });
    this.#lostMs = 0;
  }

  /** Only once all agree: a process that differs would retire it again. */
  async #wakeOverslept(): Promise<void> {
    const { schedules, reconciler } = this.#deps;
    // Cleared first: whoever comes meanwhile with another configuration sets it again.
    this.#mayOversleep = false;
    try {
      if (schedules) await reconciler.wakeOverslept();
    } catch (error) {
      this.#mayOversleep = true;
      throw error;
    }
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
  #enlist(): Promise<void> {
    return this.#enlistTurn(async () => {
      const { catalogue, version } = this.#inEffect;
      const before = this.#enlisted;
      if (this.#epoch === '' || before?.catalogue === catalogue) return;
      const { schedules, reconciler, events } = this.#deps;
      const reconfigured = before !== undefined && before.version !== version;
      if (reconfigured) await this.#publishLimits();
      const enlisted = schedules
        ? await reconciler.enlist({ retryParked: reconfigured, before: before?.catalogue })
        : undefined;
      this.#enlisted = { catalogue, version };
      if (reconfigured) events.configured({ targets: catalogue.size, enlisted });
    });
  }

  /** Takes over a changed configuration and the tenants and pauses that the fleet shares, and begins to manage what is new. */
  async reload(): Promise<void> {
    if (this.#epoch === '') return;
    // The others have to know first that this process differs from them: they would remove what they do not know.
    if (await this.#readInEffect()) await this.sayAlive();
    await this.#enlist();
  }

  async #readInEffect(): Promise<boolean> {
    if (!(await this.#inEffect.read())) return false;
    this.#removeAtBeat = 0;
    this.#deps.events.kept(this.#deps.configuration.awaiting);
    for (const listener of this.#listeners) listener();
    return true;
  }

  /** Asks whether all live processes manage the same targets, as removals need it. */
  async agrees(): Promise<boolean> {
    await this.sayAlive();
    return this.allAgree();
  }

  /** Whether all that lived at the last heartbeat manage the same targets in the same way. */
  allAgree(): boolean {
    return this.#view.processes.every(({ configHash }) => configHash === this.catalogue.hash);
  }

  /** Asks whether the same is written for all live processes, whatever some of them keep until it is confirmed. */
  async readsTheSame(): Promise<boolean> {
    await this.sayAlive();
    const own = this.#inEffect.writtenHash ?? this.catalogue.hash;
    return this.#view.processes.every(({ configHash, writtenHash }) => (writtenHash ?? configHash) === own);
  }

  async #removeAbsent(): Promise<void> {
    if (this.#beats < this.#removeAtBeat || !(await this.agrees())) return;
    const { fleet, reconciler, configuration, events } = this.#deps;
    await fleet.dropOtherLimits();
    const removals = await reconciler.removeAbsent(
      () => this.agrees(),
      (client) => configuration.isConfirmed(client),
    );
    if (removals.awaitingConfirmation.size > 0) this.#removeAtBeat = this.#beats + REMOVE_AGAIN_AFTER_BEATS;
    // Redis manages nothing else any more: what was dropped must not come back with the next change.
    else if (this.allAgree()) configuration.settle();
    events.removals(removals);
  }

  async leave(): Promise<void> {
    await this.#deps.fleet.leave();
  }
}
