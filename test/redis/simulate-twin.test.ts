import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { OPEN_GATE } from '../../src/core/gate.ts';
import { FULL_PACE, type Pace } from '../../src/core/pace.ts';
import { READY_BAND } from '../../src/core/rank.ts';
import { FleetIndex, type FleetStep } from '../../src/simulate/fleet-index.ts';
import { seededDraw } from '../../src/simulate/random.ts';
import { Fleet } from '../../src/store/fleet.ts';
import { Indexes } from '../../src/store/indexes.ts';
import type { Keys } from '../../src/store/keys.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const HOST = 'idp.example:443';
const TENANTS = 6;
const TARGETS = 60;
const PER_TENANT = 20;
const MOST_SHOWN = 500;
const ACTIONS = 150;

const scopeOf = (target: number): number => Math.floor((target * TENANTS) / TARGETS);
const tenantOf = (scope: number): string => `c/t${scope}`;
/** The order of the names is that of the numbers, as in a simulation. */
const nameOf = (target: number): string => `${tenantOf(scopeOf(target))}/r${String(target).padStart(3, '0')}`;
const numberOf = (name: string): number => Number(name.slice(-3));

interface Filing {
  readonly target: number;
  readonly seen: number;
  readonly as: 'ready' | 'wait';
  readonly score: number;
}

/** The same fleet twice: in Redis with the scripts, and in memory. */
class Twins {
  readonly twin: FleetIndex;
  readonly #redis: Redis;
  readonly #keys: Keys;
  readonly #indexes: Indexes;
  readonly #perHost: number;

  constructor(redis: Redis, keys: Keys, perHost: number, now: number) {
    this.#redis = redis;
    this.#keys = keys;
    this.#indexes = new Indexes(redis, keys, 'refresh');
    this.#perHost = perHost;
    this.twin = new FleetIndex({
      ...{ targets: TARGETS, scopeOf, scopes: TENANTS, perHost, perTenant: PER_TENANT },
      ...{ start: now - 60_000, end: now + 600_000 },
    });
  }

  async enlist(entries: readonly { readonly target: number; readonly dueAt: number }[]): Promise<void> {
    await this.#indexes.enlist(
      HOST,
      entries.map(({ target, dueAt }) => ({ target: nameOf(target), dueAt })),
    );
    for (const { target, dueAt } of entries) this.twin.due.set(target, dueAt);
  }

  /** A step of both at the moment of the script; they must have done the same. */
  async step(filed: readonly Filing[], mostClaimed: number): Promise<FleetStep & { readonly now: number }> {
    const named = filed.map((entry) => ({ ...entry, target: nameOf(entry.target) }));
    const perHost = { count: this.#perHost, windowMs: 1000 };
    const result = await this.#indexes.dispatch('the epoch', HOST, perHost, mostClaimed, named);
    if (result.outcome !== 'ok') throw new Error(result.outcome);
    const { now } = result;
    const step = this.twin.step(now, filed, mostClaimed);
    expect(step.claimed.map(nameOf)).toEqual(result.claimed);
    expect(step.due.map(({ target, dueAt }) => ({ target: nameOf(target), dueAt }))).toEqual(result.due);
    expect(step.waiting).toBe(result.waiting);
    expect(Math.max(now, step.closedUntil)).toBe(Math.max(now, result.closedUntil));
    if (step.nextDueAt > 0) expect(step.nextDueAt).toBe(result.nextDueAt);
    else expect(result.nextDueAt === 0 || result.nextDueAt > now + 500).toBe(true);
    expect(result.due.length).toBeLessThanOrEqual(MOST_SHOWN);
    await this.expectSameIndexes();
    return { ...step, now };
  }

  async plan(
    target: number,
    seen: number,
    slotMs: number,
    moments: readonly [number, number],
  ): Promise<void> {
    const planned = await this.#indexes.plan(HOST, nameOf(target), seen, slotMs, moments);
    expect(this.twin.plan(target, seen, slotMs, moments)).toBe(planned);
  }

  /** The script does not say when it was; the due score that it sets does. */
  async giveBack(target: number, seen: number, againInMs: number): Promise<void> {
    const perHost = { count: this.#perHost, windowMs: 1000 };
    await this.#indexes.giveBack(HOST, nameOf(target), seen, perHost, againInMs);
    const [dueAt] = await this.#indexes.dueAt(HOST, [nameOf(target)]);
    if (dueAt !== undefined && dueAt !== seen) this.twin.giveBack(target, seen, againInMs, dueAt - againInMs);
    await this.expectSameIndexes();
  }

  async setHostGate(closedUntil: number, probing: boolean, pace: Pace): Promise<void> {
    const { claims } = this.twin.hostGate;
    this.twin.hostGate = { ...OPEN_GATE, closedUntil, probing, pace, claims };
    await this.#redis.hset(this.#keys.hostGate(HOST), {
      closedUntil,
      probing: probing ? 1 : 0,
      ...fieldsOf(pace),
    });
  }

  async setTenantGate(scope: number, closedUntil: number, pace: Pace): Promise<void> {
    this.twin.tenants.set(scope, { ...OPEN_GATE, closedUntil, pace });
    await this.#redis.hset(this.#keys.tenantGate(tenantOf(scope)), { closedUntil, ...fieldsOf(pace) });
  }

  async expectSameIndexes(): Promise<void> {
    const scores = async (key: string): Promise<Map<number, number>> => {
      const flat = await this.#redis.zrange(key, '0', '-1', 'WITHSCORES');
      const found = new Map<number, number>();
      for (let i = 0; i < flat.length; i += 2) found.set(numberOf(flat[i] as string), Number(flat[i + 1]));
      return found;
    };
    const [due, ready] = [await scores(this.#keys.due(HOST)), await scores(this.#keys.ready(HOST))];
    for (let target = 0; target < TARGETS; target++) {
      expect([target, this.twin.due.score(target)]).toEqual([target, due.get(target) ?? Number.NaN]);
      expect([target, this.twin.ready.score(target)]).toEqual([target, ready.get(target) ?? Number.NaN]);
    }
  }
}

const fieldsOf = ({ rate, rateAt, refused }: Pace): Record<string, number> => ({ rate, rateAt, refused });

async function setUp(perHost: number): Promise<{ twins: Twins; now: () => Promise<number> }> {
  const shared = sharedRedis();
  const { redis, keys } = await openStore(shared);
  const fleet = new Fleet(redis, keys);
  await fleet.beginEpoch('the epoch', 0);
  await redis.hset(keys.limits, 'c', 1000 / PER_TENANT);
  return { twins: new Twins(redis, keys, perHost, await fleet.now()), now: () => fleet.now() };
}

/** Random actions of dispatchers, workers and servers. */
class Actions {
  readonly #draw: () => number;
  readonly #twins: Twins;
  /** Of all classes, or of those alone whose turn comes late. */
  readonly #bands: readonly number[];
  #shown: FleetStep['due'] = [];
  #claimed: number[] = [];

  constructor(twins: Twins, seed: number) {
    this.#draw = seededDraw(seed);
    this.#twins = twins;
    this.#bands = seed % 4 === 0 ? [2] : seed % 4 === 1 ? [1, 3] : [0, 0, 0, 1, 2, 3];
  }

  /** Gives how many targets it claimed. */
  async next(now: number): Promise<number> {
    const kind = this.#draw();
    if (kind < 0.6) return await this.#step(now);
    if (kind < 0.75) await this.#plan(now);
    else if (kind < 0.85) await this.#giveBack();
    else if (kind < 0.93)
      await this.#twins.setHostGate(this.#closedUntil(now), this.#draw() < 0.3, this.#pace(now, 200));
    else
      await this.#twins.setTenantGate(
        this.#upTo(TENANTS),
        this.#closedUntil(now),
        this.#pace(now, PER_TENANT),
      );
    return 0;
  }

  async #step(now: number): Promise<number> {
    const filed = this.#shown.map(({ target, dueAt }): Filing => {
      // Sometimes another dispatcher has been faster.
      const seen = this.#draw() < 0.95 ? dueAt : dueAt - 1;
      return this.#draw() < 0.75
        ? { target, seen, as: 'ready', score: this.#readyScore(now) }
        : { target, seen, as: 'wait', score: now + this.#upTo(40) };
    });
    // What waits in ready already is looked at again after a while.
    const again = this.#upTo(TARGETS);
    const seen = this.#twins.twin.due.score(again);
    if (this.#draw() < 0.5 && !filed.some(({ target }) => target === again))
      filed.push({ target: again, seen, as: 'ready', score: this.#readyScore(now) });
    const step = await this.#twins.step(filed, this.#draw() < 0.2 ? this.#upTo(3) : 100);
    this.#shown = step.due;
    this.#claimed.push(...step.claimed);
    return step.claimed.length;
  }

  async #plan(now: number): Promise<void> {
    const target = this.#ofClaimed();
    const score = this.#twins.twin.due.score(target);
    const moments = [now + this.#upTo(60), now + this.#upTo(60)] as const;
    await this.#twins.plan(target, this.#draw() < 0.9 ? score : score + 1, 1 + this.#upTo(30), moments);
  }

  async #giveBack(): Promise<void> {
    const target = this.#ofClaimed();
    // An odd wait, so that the new score is not the old one.
    await this.#twins.giveBack(target, this.#twins.twin.due.score(target), 7 + this.#upTo(30));
  }

  #ofClaimed(): number {
    return this.#claimed.splice(this.#upTo(this.#claimed.length), 1)[0] ?? this.#upTo(TARGETS);
  }

  /** Of any class; the live and the dead close to now, so that some of them end while they wait, and some alike. */
  #readyScore(now: number): number {
    const band = this.#bands[this.#upTo(this.#bands.length)] as number;
    if (band === 2 && this.#draw() < 0.3) return 2 * READY_BAND;
    return band * READY_BAND + now + 10 * (this.#upTo(20) - 5) + (this.#draw() < 0.3 ? 30_000 : 0);
  }

  #closedUntil(now: number): number {
    return this.#draw() < 0.6 ? 0 : now + this.#upTo(30);
  }

  #pace(now: number, most: number): Pace {
    if (this.#draw() < 0.5) return FULL_PACE;
    const rate = most * (0.05 + 0.5 * this.#draw());
    return { rate, rateAt: now - this.#upTo(4000), refused: rate * 2 * this.#draw(), untested: false };
  }

  #upTo(count: number): number {
    return Math.floor(this.#draw() * count);
  }
}

test.each(Array.from({ length: 16 }, (_, i) => i + 1))(
  'the indexes of a simulation do what the scripts do in Redis, whatever happens (seed %d)',
  async (seed) => {
    const draw = seededDraw(seed * 7919);
    const { twins, now } = await setUp([40, 200, 1000][seed % 3] as number);
    const start = await now();
    const all = Array.from({ length: TARGETS }, (_, target) => ({
      target,
      dueAt: start - 50 + Math.floor(draw() * 100),
    }));
    await twins.enlist(all);
    const actions = new Actions(twins, seed);
    let claimed = 0;
    for (let i = 0; i < ACTIONS; i++) claimed += await actions.next(await now());
    await twins.expectSameIndexes();
    expect(claimed).toBeGreaterThan(0);
  },
);
