import type { Target } from '../core/client.ts';
import type { Rate } from '../core/duration.ts';
import type { Failure } from '../core/failure.ts';
import type { Gate, GateEvent, GateScope } from '../core/gate.ts';
import type { Secret } from '../core/secret.ts';
import type { FailureNote, TargetPolicy, TargetState } from '../core/state.ts';
import type { TargetId } from '../core/target.ts';
import type { Token } from '../core/token.ts';

/** What the use cases need of the world. Adapters have these shapes; `compose.ts` brings them together. */

export interface StatesPort {
  read(targets: readonly TargetId[]): Promise<TargetState[]>;
  begin(policy: TargetPolicy, leaseMs: number): Promise<Begun>;
  countRequest(policy: TargetPolicy, generation: number): Promise<number | undefined>;
  release(target: TargetId, generation: number, before: number, begunAt: number): Promise<void>;
  publish(policy: TargetPolicy, token: Token): Promise<'published' | 'stale' | 'dead'>;
  fail(
    target: TargetId,
    generation: number,
    failure: FailureNote,
    retryInMs: number,
  ): Promise<number | undefined>;
  want(
    target: TargetId,
    by: string,
    order?: number,
    onlyIf?: number,
  ): Promise<{ outcome: 'wanted' | 'superseded' | 'newer' }>;
  erase(target: TargetId, forget: boolean): Promise<boolean>;
  restore(policy: TargetPolicy, token: Token | undefined, requestLog: readonly number[]): Promise<boolean>;
}

export type Begun =
  | {
      readonly outcome: 'begun';
      readonly now: number;
      readonly generation: number;
      readonly state: TargetState;
    }
  | { readonly outcome: 'leased' | 'limited'; readonly now: number; readonly until: number }
  | { readonly outcome: 'newer'; readonly now: number; readonly version: number };

export interface Filed {
  readonly target: TargetId;
  readonly seen: number;
  readonly as: 'ready' | 'wait';
  readonly score: number;
}

export interface Due {
  readonly target: TargetId;
  readonly dueAt: number;
}

export type Dispatched =
  | { readonly outcome: 'epoch' }
  | {
      readonly outcome: 'ok';
      readonly now: number;
      readonly closedUntil: number;
      readonly nextDueAt: number;
      readonly waiting: number;
      readonly claimed: readonly TargetId[];
      readonly due: readonly Due[];
    };

export interface IndexesPort {
  enter(
    policy: Pick<TargetPolicy, 'id' | 'host' | 'tenantScope'>,
    jobId: string,
  ): Promise<{ now: number; until: number | undefined; hostGate: Gate; tenantGate: Gate }>;
  dispatch(
    epoch: string,
    host: string,
    perHost: Rate,
    mostWaiting: number,
    filed: readonly Filed[],
  ): Promise<Dispatched>;
  plan(
    host: string,
    target: TargetId,
    seen: number,
    slotMs: number,
    moments: readonly [number, number],
  ): Promise<number | undefined>;
  giveBack(host: string, target: TargetId, seen: number, perHost: Rate, againInMs: number): Promise<void>;
  dueAt(host: string, targets: readonly TargetId[]): Promise<(number | undefined)[]>;
  enlist(host: string, entries: readonly Due[]): Promise<void>;
  setDue(host: string, targets: readonly TargetId[], dueAt: number): Promise<void>;
  remove(host: string, targets: readonly TargetId[]): Promise<void>;
  inReady(host: string, targets: readonly TargetId[]): Promise<boolean[]>;
  hosts(): Promise<string[]>;
  count(host: string): Promise<number>;
  scan(host: string): AsyncIterable<readonly Due[]>;
}

export interface GatesPort {
  read(scope: GateScope): Promise<Gate>;
  report(
    scope: GateScope,
    event: GateEvent,
    now: number,
  ): Promise<{ readonly before: Gate; readonly after: Gate }>;
}

export interface ClockPort {
  /** Redis time, ms. */
  now(): Promise<number>;
}

/** The targets that are configured, and what is known of them. */
export interface CataloguePort {
  get(id: TargetId): Target | undefined;
  ids(): Iterable<TargetId>;
  hosts(): ReadonlyMap<string, { readonly perHost: Rate }>;
  readonly size: number;
  readonly hash: string;
}

/** One HTTP request with one credential. */
export interface AcquirePort {
  /** The credentials to try for a target, the one that worked last first. Never empty. */
  credentials(target: Target): readonly number[];
  request(target: Target, credential: number, options: { timeoutMs: number; now: number }): Promise<Acquired>;
}

export type Acquired =
  | {
      readonly ok: true;
      readonly accessToken: Secret;
      readonly tokenType: string;
      readonly expiresInSeconds: number;
    }
  | { readonly ok: false; readonly failure: Failure };

/** Random draws in [0, 1). */
export type Draw = () => number;
