import type { Redis } from 'ioredis';
import { CLAIM } from '../core/claim.ts';
import type { Marks } from '../core/credential-marks.ts';
import { HOST_BURST_MS, READY_RECHECK_MS, TENANT_BURST_MS } from '../core/dispatching.ts';
import type { Rate } from '../core/duration.ts';
import type { DispatchResult, Due, Filed } from '../core/filing.ts';
import type { Gate } from '../core/gate.ts';
import { PACE } from '../core/pace.ts';
import { READY_BAND } from '../core/rank.ts';
import { PASS_ON, PROBE_ORDER, TURNS } from '../core/shares.ts';
import type { TargetPolicy } from '../core/state.ts';
import { clientOf, type TargetId } from '../core/target.ts';
import { asOf, decodeGate, GATE_FIELDS, LONGEST_CLOSED_MS } from './gates.ts';
import type { Keys } from './keys.ts';
import { decodeMarks } from './marks.ts';
import { Script } from './script.ts';

const SCRIPTS = {
  dispatch: new Script('dispatch', 'pace'),
  plan: new Script('plan'),
  giveBack: new Script('give-back', 'pace'),
  enter: new Script('enter'),
  forgetHost: new Script('forget-host'),
};

/** Neither the grace of an epoch nor a probe is as long as this. */
const LONGEST_GRACE_MS = 60_000;
const MOST_SHOWN = 500;
const SCAN_COUNT = 1000;
const CHUNK = 1000;
/** What the scripts share with the core, so that it is written once. */
const CURVE = JSON.stringify(PACE);
const SHARES = JSON.stringify({ turns: TURNS, passOn: PASS_ON, probeOrder: PROBE_ORDER });

/** The due and the ready index of every host. Being in due means: this target is managed. */
export class Indexes {
  readonly #redis: Redis;
  readonly #keys: Keys;
  readonly #queue: string;

  /** `queue`: name of the queue whose waiting list bounds the claims. */
  constructor(redis: Redis, keys: Keys, queue: string) {
    this.#redis = redis;
    this.#keys = keys;
    this.#queue = queue;
  }

  async dispatch(
    epoch: string,
    host: string,
    perHost: Rate,
    mostWaiting: number,
    filed: readonly Filed[],
  ): Promise<DispatchResult> {
    const intervalMs = perHost.windowMs / perHost.count;
    const keys = [
      this.#keys.epoch,
      this.#keys.due(host),
      this.#keys.ready(host),
      this.#keys.hostGate(host),
      this.#keys.limits,
      this.#keys.waiting(this.#queue),
    ];
    const args: (string | number)[] = [
      epoch,
      this.#keys.tenantGates,
      intervalMs,
      HOST_BURST_MS,
      TENANT_BURST_MS,
      mostWaiting,
      MOST_SHOWN,
      READY_RECHECK_MS,
      CLAIM.queueMs + CLAIM.withoutTokenMs,
      CLAIM.queueMs,
      CLAIM.shareOfLife,
      CLAIM.shortestMs,
      CLAIM.longestMs,
      CLAIM.withoutTokenMs,
      READY_BAND,
      LONGEST_CLOSED_MS,
      LONGEST_GRACE_MS,
      CURVE,
      SHARES,
    ];
    for (const { target, seen, as, score } of filed) args.push(target, seen, as, score);
    const [outcome, now, closedUntil, nextDueAt, waiting, claimed, due] = await SCRIPTS.dispatch.run(
      this.#redis,
      keys,
      args,
    );
    if (outcome === 'epoch') return { outcome };
    return {
      outcome: 'ok',
      now: Number(now),
      closedUntil: Number(closedUntil),
      nextDueAt: Number(nextDueAt),
      waiting: Number(waiting),
      claimed: claimed as readonly TargetId[],
      due: pairs(due as readonly string[]),
    };
  }

  /** Plans the next look at a target. Gives the moment, or undefined when somebody else has moved it. */
  async plan(
    host: string,
    target: TargetId,
    seen: number,
    slotMs: number,
    moments: readonly [number, number],
  ): Promise<number | undefined> {
    const keys = [this.#keys.due(host), this.#keys.ready(host)];
    const [outcome, at] = await SCRIPTS.plan.run(this.#redis, keys, [target, seen, slotMs, ...moments]);
    return outcome === 'planned' ? Number(at) : undefined;
  }

  /** Takes up a claimed target for its job, and gives what may stand in the way, as it was at one moment. */
  async enter(
    { id, host, tenantScope }: Pick<TargetPolicy, 'id' | 'host' | 'tenantScope'>,
    jobId: string,
  ): Promise<{ now: number; until: number | undefined; hostGate: Gate; tenantGate: Gate; marks: Marks }> {
    const keys = [
      this.#keys.due(host),
      this.#keys.hostGate(host),
      this.#keys.tenantGate(tenantScope),
      this.#keys.deduplication(this.#queue, id),
      this.#keys.credentials(clientOf(id)),
    ];
    const args = [id, jobId, ...GATE_FIELDS];
    const [now, until, ofHost, ofTenant, marks] = await SCRIPTS.enter.run(this.#redis, keys, args);
    const at = Number(now);
    const gateOf = (values: unknown): Gate => asOf(at, decodeGate(values as readonly (string | null)[]).gate);
    return {
      now: at,
      until: until === '' ? undefined : Number(until),
      hostGate: gateOf(ofHost),
      tenantGate: gateOf(ofTenant),
      marks: decodeMarks(String(marks)),
    };
  }

  /** Gives back a claim that was not used; the target is offered again after `againInMs`. */
  async giveBack(
    host: string,
    target: TargetId,
    seen: number,
    perHost: Rate,
    againInMs: number,
  ): Promise<void> {
    const keys = [this.#keys.due(host), this.#keys.hostGate(host)];
    await SCRIPTS.giveBack.run(this.#redis, keys, [
      target,
      seen,
      againInMs,
      perHost.windowMs / perHost.count,
      CURVE,
    ]);
  }

  /** The due score of each target, or undefined where it is not managed. */
  async dueAt(host: string, targets: readonly TargetId[]): Promise<(number | undefined)[]> {
    if (targets.length === 0) return [];
    const scores = await this.#redis.zmscore(this.#keys.due(host), ...targets);
    return scores.map((score) => (score === null ? undefined : Number(score)));
  }

  /** Begins to manage targets, due at the given moments. Those that are managed already are left as they are. */
  async enlist(host: string, entries: readonly Due[]): Promise<void> {
    for (let start = 0; start < entries.length; start += CHUNK) {
      const chunk = entries.slice(start, start + CHUNK);
      const members = chunk.flatMap(({ target, dueAt }) => [Math.floor(dueAt), target]);
      await this.#redis
        .multi()
        .sadd(this.#keys.hosts, host)
        .zadd(this.#keys.due(host), 'NX', ...members)
        .exec();
    }
  }

  /** Makes managed targets due at a moment, whatever was planned. */
  async setDue(host: string, targets: readonly TargetId[], dueAt: number): Promise<void> {
    for (let start = 0; start < targets.length; start += CHUNK) {
      const chunk = targets.slice(start, start + CHUNK);
      const members = chunk.flatMap((target) => [Math.floor(dueAt), target]);
      await this.#redis.zadd(this.#keys.due(host), 'XX', ...members);
    }
  }

  /** Ends the management of targets. */
  async remove(host: string, targets: readonly TargetId[]): Promise<void> {
    for (let start = 0; start < targets.length; start += CHUNK) {
      const chunk = targets.slice(start, start + CHUNK);
      await this.#redis
        .multi()
        .zrem(this.#keys.due(host), ...chunk)
        .zrem(this.#keys.ready(host), ...chunk)
        .exec();
    }
  }

  /** The hosts that have indexes; one that manages nothing any more is dropped on the way. */
  async hosts(): Promise<string[]> {
    const hosts = await this.#redis.smembers(this.#keys.hosts);
    const managed: string[] = [];
    for (const host of hosts.sort()) {
      const [forgotten] = await SCRIPTS.forgetHost.run(
        this.#redis,
        [this.#keys.hosts, this.#keys.due(host)],
        [host],
      );
      if (forgotten === 0) managed.push(host);
    }
    return managed;
  }

  async count(host: string): Promise<number> {
    return this.#redis.zcard(this.#keys.due(host));
  }

  /** How many targets are due at `now`. */
  async dueCount(host: string, now: number): Promise<number> {
    return this.#redis.zcount(this.#keys.due(host), '-inf', now);
  }

  /** How many targets are due after `at`. */
  async dueCountAfter(host: string, at: number): Promise<number> {
    return this.#redis.zcount(this.#keys.due(host), `(${at}`, '+inf');
  }

  /** Whether each target is due and waits for the gate. */
  async inReady(host: string, targets: readonly TargetId[]): Promise<boolean[]> {
    if (targets.length === 0) return [];
    const scores = await this.#redis.zmscore(this.#keys.ready(host), ...targets);
    return scores.map((score) => score !== null);
  }

  async readyCount(host: string): Promise<number> {
    return this.#redis.zcard(this.#keys.ready(host));
  }

  /** All managed targets of a host, in pages; one that is moved meanwhile may come twice. */
  async *scan(host: string): AsyncGenerator<readonly Due[]> {
    let cursor = '0';
    do {
      const [next, flat] = await this.#redis.zscan(this.#keys.due(host), cursor, 'COUNT', SCAN_COUNT);
      cursor = next;
      yield pairs(flat);
    } while (cursor !== '0');
  }

  /**
   * The targets of a host that are due after `at`, the earliest first, in pages of about `pageSize`: more where many are
   * due at one moment. One that is moved ahead meanwhile may come twice; none is missed because others are moved.
   */
  async *beyond(host: string, at: number, pageSize: number): AsyncGenerator<readonly Due[]> {
    let from = `(${at}`;
    // Those at the moment at which the last page ended: the next one begins there, since more may be due just then.
    let seen: ReadonlySet<TargetId> = new Set();
    for (;;) {
      const most = pageSize + seen.size;
      const range = [this.#keys.due(host), from, '+inf', 'WITHSCORES', 'LIMIT', 0, most] as const;
      const found = pairs(await this.#redis.zrangebyscore(...range));
      const page = found.filter(({ target }) => !seen.has(target));
      if (page.length > 0) yield page;
      if (found.length < most) return;
      const last = found[found.length - 1]?.dueAt;
      seen = new Set(found.filter(({ dueAt }) => dueAt === last).map(({ target }) => target));
      from = String(last);
    }
  }
}

function pairs(flat: readonly string[]): Due[] {
  const entries: Due[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2)
    entries.push({ target: flat[i] as string, dueAt: Number(flat[i + 1]) });
  return entries;
}
