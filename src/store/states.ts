import type { Redis } from 'ioredis';
import { LONGEST_CLAIM_MS } from '../core/claim.ts';
import { KEEP_DORMANT_MS } from '../core/retire.ts';
import type { FailureNote, TargetPolicy, TargetState } from '../core/state.ts';
import { type BeginResult, EMPTY_STATE, STATE_VERSION } from '../core/state.ts';
import type { TargetId } from '../core/target.ts';
import type { Token } from '../core/token.ts';
import { decodeState, encodeFailure, encodeLog, encodeToken, encodeWantedBy } from './codec.ts';
import type { Keys } from './keys.ts';
import { Script } from './script.ts';

/** A state outlives its token by this much: what is no longer refreshed by anyone disappears. */
const KEEP_STATE_MS = 3 * 86_400_000;
/** What is left of a removed target (log and floor) outlives any identical window and most stopped processes. */
const KEEP_REMOVED_MS = 86_400_000;

const SCRIPTS = {
  begin: new Script('begin'),
  count: new Script('count'),
  release: new Script('release'),
  publish: new Script('publish'),
  fail: new Script('fail'),
  want: new Script('want'),
  erase: new Script('erase'),
  retire: new Script('retire'),
  idle: new Script('idle'),
  restore: new Script('restore'),
};

export type WantResult = { readonly outcome: 'wanted' | 'superseded' | 'newer'; readonly generation: number };

/** The states of the targets, and the token keys that share their slots. Every change is one script. */
export class States {
  readonly #redis: Redis;
  readonly #keys: Keys;

  constructor(redis: Redis, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** The state of each target, in the order asked; an unknown target has the empty state. */
  async read(targets: readonly TargetId[]): Promise<TargetState[]> {
    if (targets.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const target of targets) pipeline.hgetall(this.#keys.state(target));
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, fields]) => {
      // What others have put in its place is no state; the scripts will say so of this one target, and of no other.
      if (error?.message.startsWith('WRONGTYPE')) return EMPTY_STATE;
      if (error) throw error;
      return decodeState(Object.entries(fields as Record<string, string>).flat());
    });
  }

  /** A token's record as consumers read it, for people who ask for one; undefined where there is none. */
  async tokenRecord(target: TargetId): Promise<string | undefined> {
    return (await this.#redis.get(this.#keys.token(target))) ?? undefined;
  }

  /** Whether a token key is there. EXISTS leaves its idle time alone, which tells when a consumer last read. */
  async hasTokenKey(target: TargetId): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.token(target))) === 1;
  }

  /**
   * For how long nobody has read each token, ms, to the second; undefined where there is none, or where the server does
   * not tell. Asking is no reading.
   */
  async idleMs(targets: readonly TargetId[]): Promise<(number | undefined)[]> {
    if (targets.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const target of targets) pipeline.object('IDLETIME', this.#keys.token(target));
    const replies = (await pipeline.exec()) ?? [];
    return targets.map((_target, i) => {
      const [error, seconds] = replies[i] ?? [];
      return !error && typeof seconds === 'number' ? 1000 * seconds : undefined;
    });
  }

  /** Why this server does not tell when a key was last read; undefined: it does. */
  async whyReadsAreUnknown(): Promise<string | undefined> {
    const [outcome, why] = await SCRIPTS.idle.run(this.#redis, [this.#keys.idleTrial], []);
    return outcome === 'tracked' ? undefined : String(why);
  }

  /** Notes that a target is dormant. False: not done, since something has happened to it meanwhile. */
  async retire(target: TargetId, generation: number): Promise<boolean> {
    const args = [generation, STATE_VERSION, KEEP_DORMANT_MS];
    const [outcome] = await SCRIPTS.retire.run(this.#redis, [this.#keys.state(target)], args);
    return outcome === 'retired';
  }

  async begin(policy: TargetPolicy, leaseMs: number): Promise<BeginResult> {
    const { count, windowMs } = policy.identical;
    const [outcome, now, third, ...fields] = await SCRIPTS.begin.run(
      this.#redis,
      [this.#keys.state(policy.id)],
      [STATE_VERSION, leaseMs, count, windowMs, KEEP_STATE_MS, LONGEST_CLAIM_MS],
    );
    const at = Number(now);
    switch (outcome) {
      case 'begun':
        return { outcome, now: at, generation: Number(third), state: decodeState(fields) };
      case 'newer':
        return { outcome, now: at, version: Number(third) };
      default:
        return { outcome: outcome as 'leased' | 'limited', now: at, until: Number(third) };
    }
  }

  /** Counts one more request of a running attempt, before it is sent. Gives Redis time, or undefined: do not send. */
  async countRequest(policy: TargetPolicy, generation: number): Promise<number | undefined> {
    const { count, windowMs } = policy.identical;
    const keys = [this.#keys.state(policy.id)];
    const [outcome, now] = await SCRIPTS.count.run(this.#redis, keys, [
      generation,
      count,
      windowMs,
      STATE_VERSION,
    ]);
    return outcome === 'counted' ? Number(now) : undefined;
  }

  /** Ends an attempt that sent nothing. */
  async release(target: TargetId, generation: number, before: number, begunAt: number): Promise<void> {
    const args = [generation, before, begunAt, STATE_VERSION];
    await SCRIPTS.release.run(this.#redis, [this.#keys.state(target)], args);
  }

  /** Publishes a token, unless a newer one is there, a newer daemon has taken over the state, or it is dead. */
  async publish(policy: TargetPolicy, token: Token): Promise<'published' | 'stale' | 'dead'> {
    const [outcome, , generation] = await SCRIPTS.publish.run(
      this.#redis,
      [this.#keys.state(policy.id), this.#keys.token(policy.id)],
      [
        token.generation,
        token.issuedAt,
        token.expiresAt,
        encodeToken(token),
        policy.fingerprint,
        this.#keys.refreshed,
        `${policy.id} ${token.generation}`,
        KEEP_STATE_MS,
        STATE_VERSION,
        token.digest,
        token.tenantId,
        token.refreshInMs,
        policy.retireUnreadAfterMs === undefined ? 0 : 1,
      ],
    );
    // A publish whose answer was lost and which is said again has been done.
    if (outcome === 'stale' && Number(generation) === token.generation) return 'published';
    return outcome as 'published' | 'stale' | 'dead';
  }

  /** Notes a failure. Gives when it may be tried again, or undefined when it was left unsaid: a later attempt has begun. */
  async fail(
    target: TargetId,
    generation: number,
    failure: FailureNote,
    retryInMs: number,
  ): Promise<number | undefined> {
    const { correlationId = '' } = failure;
    const args = [
      ...[generation, encodeFailure(failure), Math.round(retryInMs)],
      ...[KEEP_STATE_MS, STATE_VERSION, correlationId],
    ];
    const [outcome, , retryAt] = await SCRIPTS.fail.run(this.#redis, [this.#keys.state(target)], args);
    return outcome === 'noted' ? Number(retryAt) : undefined;
  }

  /**
   * Raises `wanted`. `order`: the order's generation, or 0 for now; `onlyIf`: act only when this generation is
   * the published one; `claims`: JSON that the next request is to carry.
   */
  async want(target: TargetId, by: string, order = 0, onlyIf?: number, claims = ''): Promise<WantResult> {
    const [outcome, , generation] = await SCRIPTS.want.run(
      this.#redis,
      [this.#keys.state(target)],
      [order, encodeWantedBy(by), onlyIf ?? '', STATE_VERSION, KEEP_STATE_MS, claims],
    );
    return { outcome: outcome as WantResult['outcome'], generation: Number(generation) };
  }

  /** Deletes the token now. Gives whether there was one. `forget`: the state goes as well. */
  async erase(target: TargetId, forget: boolean): Promise<boolean> {
    const keys = [this.#keys.state(target), this.#keys.token(target)];
    const args = [forget ? 1 : 0, KEEP_REMOVED_MS, STATE_VERSION];
    const [, , deleted] = await SCRIPTS.erase.run(this.#redis, keys, args);
    return deleted === 1;
  }

  /** Gives back a token and a request log that this process remembers. Gives whether the token was needed. */
  async restore(
    policy: TargetPolicy,
    token: Token | undefined,
    requestLog: readonly number[],
  ): Promise<boolean> {
    const [outcome] = await SCRIPTS.restore.run(
      this.#redis,
      [this.#keys.state(policy.id), this.#keys.token(policy.id)],
      [
        token?.generation ?? 0,
        token?.issuedAt ?? 0,
        token?.expiresAt ?? 0,
        token === undefined ? '' : encodeToken(token),
        policy.fingerprint,
        encodeLog(requestLog),
        KEEP_STATE_MS,
        policy.identical.windowMs,
        this.#keys.refreshed,
        `${policy.id} ${token?.generation ?? 0}`,
        STATE_VERSION,
        token?.digest ?? '',
        token?.tenantId ?? '',
        token?.refreshInMs ?? 0,
      ],
    );
    return outcome === 'restored';
  }
}
