import type { Target } from '../core/client.ts';
import type { Rate } from '../core/duration.ts';
import type { Failure } from '../core/failure.ts';
import type { DispatchResult, Due, Filed } from '../core/filing.ts';
import type { Gate, GateEvent, GateScope } from '../core/gate.ts';
import type { Secret } from '../core/secret.ts';
import type { BeginResult, FailureNote, TargetPolicy, TargetState } from '../core/state.ts';
import type { TargetId } from '../core/target.ts';
import type { Token } from '../core/token.ts';

/** What the use cases need of the world. Adapters have these shapes; `compose.ts` brings them together. */

export interface StatesPort {
  read(targets: readonly TargetId[]): Promise<TargetState[]>;
  begin(policy: TargetPolicy, leaseMs: number): Promise<BeginResult>;
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
  ): Promise<DispatchResult>;
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
