import type { Client, Target } from '../core/client.ts';
import type { Marks } from '../core/credential-marks.ts';
import type { Rate } from '../core/duration.ts';
import type { Failure, Problem } from '../core/failure.ts';
import type { HostPlan, Life } from '../core/feasibility.ts';
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
    claims?: string,
  ): Promise<{ outcome: 'wanted' | 'superseded' | 'newer' }>;
  /** Since each token was last read; undefined where that is not known. */
  idleMs(targets: readonly TargetId[]): Promise<(number | undefined)[]>;
  retire(target: TargetId, generation: number): Promise<boolean>;
  erase(target: TargetId, forget: boolean): Promise<boolean>;
  restore(policy: TargetPolicy, token: Token | undefined, requestLog: readonly number[]): Promise<boolean>;
}

export interface IndexesPort {
  enter(
    policy: Pick<TargetPolicy, 'id' | 'host' | 'tenantScope'>,
    jobId: string,
  ): Promise<{ now: number; until: number | undefined; hostGate: Gate; tenantGate: Gate; marks: Marks }>;
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
  beyond(host: string, at: number, pageSize: number): AsyncIterable<readonly Due[]>;
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
  /** Of one client, or of all. */
  ids(client?: string): Iterable<TargetId>;
  hosts(): ReadonlyMap<string, { readonly perHost: Rate }>;
  /** How many tenants of a client there are; where its endpoint has none, targets. */
  scopes(client: string): number;
  /** Plans which outages are survived, and has the targets go by it. `lives`: of the clients whose tokens were seen. */
  replan(lives: ReadonlyMap<string, Life>, limitOf: (host: string) => Rate | undefined): readonly HostPlan[];
  readonly size: number;
  readonly hash: string;
}

/** What a client can prove itself with now: a credential by its fingerprint, or why one cannot be used. */
export type CredentialAtHand = { readonly fingerprint: string } | { readonly problem: Problem };

/** One HTTP request with one credential. */
export interface AcquirePort {
  /** In configured order. */
  atHand(client: Client): Promise<readonly CredentialAtHand[]>;
  request(target: Target, fingerprint: string, options: AcquireOptions): Promise<Acquired>;
}

export interface AcquireOptions {
  readonly timeoutMs: number;
  /** Redis time at which it is sent, epoch ms. */
  readonly now: number;
  /** A consumer's claims challenge as JSON, for this request alone. */
  readonly claims: string | undefined;
  /** Sign a new assertion even if the last one should still be valid. */
  readonly signAgain: boolean;
}

/** `requestId`: the id under which the server's support can look the request up. */
export type Acquired =
  | {
      readonly ok: true;
      readonly requestId: string;
      readonly accessToken: Secret;
      readonly tokenType: string;
      readonly expiresInSeconds: number;
      /** When the server would have it refreshed; 0: it did not say. */
      readonly refreshInSeconds: number;
      /** 8 characters that tell one token from another. */
      readonly digest: string;
      /** The `tid` of a token under `authority`, in lower case, where it can be read. */
      readonly tenantId: string | undefined;
    }
  | {
      readonly ok: false;
      readonly requestId: string;
      readonly failure: Failure;
      /** The signed assertion was the trouble, and a new one may be none. */
      readonly signAgain: boolean;
    };

/** What the fleet knows of the credentials of each client. */
export interface MarksPort {
  read(clients: readonly string[]): Promise<Marks[]>;
  /** Applies a pure change until nobody was faster. Gives the marks before and after it. */
  change(
    client: string,
    reduce: (marks: Marks, now: number) => Marks,
  ): Promise<{ readonly before: Marks; readonly after: Marks; readonly now: number }>;
}

/** Random draws in [0, 1). */
export type Draw = () => number;
