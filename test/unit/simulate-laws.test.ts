import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HOST_BURST_MS, QUEUE_SECONDS } from '../../src/core/dispatching.ts';
import { heldMs, planOf } from '../../src/simulate/planned.ts';
import type { SeenRequest } from '../../src/simulate/recorder.ts';
import { type Run, simulate } from '../../src/simulate/run.ts';
import { OUTAGE_KINDS, type Scenario } from '../../src/simulate/scenario.ts';

const MINUTE_MS = 60_000;

const outage = fc.record({
  fromMs: fc.integer({ min: 0, max: 30 * MINUTE_MS }),
  lengthMs: fc.integer({ min: 1000, max: 15 * MINUTE_MS }),
  kind: fc.constantFrom(...OUTAGE_KINDS),
});
const crash = fc.record({
  daemon: fc.constantFrom(1, 2),
  atMs: fc.integer({ min: 0, max: 40 * MINUTE_MS }),
  downMs: fc.integer({ min: 1000, max: 5 * MINUTE_MS }),
});
const tenantThrottle = fc.record({
  fromMs: fc.integer({ min: 0, max: 20 * MINUTE_MS }),
  lengthMs: fc.integer({ min: 1000, max: 60 * MINUTE_MS }),
});

/** Small fleets for an hour, in all kinds of trouble. */
const anyScenario: fc.Arbitrary<Scenario> = fc
  .record({
    seed: fc.nat(),
    forMs: fc.constant(60 * MINUTE_MS),
    start: fc.constantFrom('warm', 'cold'),
    clients: fc.constantFrom(1, 2),
    tenants: fc.integer({ min: 1, max: 8 }),
    targets: fc.integer({ min: 20, max: 120 }),
    lifeMs: fc.constantFrom(MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS, 60 * MINUTE_MS),
    longerBy: fc.constantFrom(1, 1.5, 4),
    failingTenants: fc.constantFrom(0, 0, 1),
    troubledTenants: fc.constantFrom(0, 0, 1),
    perHost: fc.constantFrom(1, 3, 10, 30, 300),
    takes: fc.constantFrom(0.05, 0.4, 0.8, 1, 2),
    retryAfterMs: fc.constantFrom(undefined, 1000, 10_000, 120_000),
    latencyMs: fc.constantFrom(0, 50, 400),
    outages: fc.array(outage, { maxLength: 2 }),
    tenantThrottle: fc.option(tenantThrottle, { nil: undefined }),
    daemons: fc.constantFrom(1, 2, 3),
    crashes: fc.array(crash, { maxLength: 2 }),
    perTenant: fc.constantFrom(0.5, 5),
    identical: fc.constantFrom({ count: 5, windowMs: 300_000 }, { count: 2, windowMs: 60_000 }),
    outageTargetMs: fc.constantFrom(MINUTE_MS, 20 * MINUTE_MS),
  })
  .map(({ targets, lifeMs, longerBy, takes, ...rest }) => ({
    ...rest,
    issuedWithinMs: undefined,
    latestShare: 0.75,
    lifetimes: [{ minMs: lifeMs, maxMs: lifeMs * longerBy, targets }],
    idpPerSecond: rest.perHost * takes,
  }));

/** What is said of a run is said of each request as the server sees it. */
function holds(
  scenario: Scenario,
  judge: () => { each: (seen: SeenRequest) => void; end?: (run: Run) => void },
): void {
  const { each, end } = judge();
  const run = simulate(scenario, { onRequest: each });
  end?.(run);
}

/** Whether jobs may wait in the queue for a worker: all slots may be taken, or no daemon be there. */
const mayWait = ({ crashes, outages, perHost, latencyMs, daemons }: Scenario): boolean =>
  crashes.length > 0 ||
  outages.some(({ kind }) => kind === 'hangs') ||
  (perHost * latencyMs) / 1000 > 64 * daemons;

function law(name: string, judge: (scenario: Scenario) => ReturnType<Parameters<typeof holds>[1]>): void {
  test(name, { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(anyScenario, (scenario) => holds(scenario, () => judge(scenario))),
      { numRuns: 40 },
    );
  });
}

law(
  'the identical request is never sent more often than its limit allows, whatever happens',
  ({ identical }) => {
    const sent = new Map<number, number[]>();
    return {
      each: ({ target, at }) => {
        const recent = (sent.get(target.index) ?? []).filter((before) => before > at - identical.windowMs);
        recent.push(at);
        sent.set(target.index, recent);
        expect(recent.length).toBeLessThanOrEqual(identical.count);
      },
    };
  },
);

law('within a Retry-After nothing is sent to its scope but what is in flight', (scenario) => {
  const { latencyMs, crashes } = scenario;
  // The answer may have been for a daemon that was no longer there.
  const isHeard = (at: number, start: number): boolean =>
    !crashes.some(({ atMs }) => start + atMs >= at && start + atMs <= at + latencyMs);
  const closures: { scope: number | undefined; from: number; until: number }[] = [];
  let requests: SeenRequest[] = [];
  return {
    each: (seen) => requests.push(seen),
    end: ({ start }) => {
      for (const { target, at, failure } of requests) {
        for (const { scope, from, until } of closures)
          if (scope === undefined || scope === target.scope) expect(at > from && at < until).toBe(false);
        if (failure?.kind !== 'throttled' || failure.retryAfterMs === undefined || !isHeard(at, start))
          continue;
        const scope = failure.answeredBy === 'server' ? target.scope : undefined;
        closures.push({ scope, from: at + latencyMs, until: at + failure.retryAfterMs });
      }
      requests = [];
    },
  };
});

law('no more is sent than the limit, its burst and what may wait in the queue', (scenario) => {
  const { perHost } = scenario;
  const sent: number[] = [];
  // What waits in the queue while no worker is free goes all at once when one is.
  const queued = mayWait(scenario) ? Math.ceil(QUEUE_SECONDS * perHost) : 0;
  return {
    each: ({ at }) => {
      sent.push(at);
      for (const spanMs of [100, 1000, 10_000]) {
        const within = sent.length - 1 - sent.findLastIndex((before) => before <= at - spanMs);
        // Jobs that follow each other within a step begin together.
        expect(within).toBeLessThanOrEqual(queued + 2 + (perHost * (spanMs + HOST_BURST_MS)) / 1000);
      }
    },
  };
});

law('a failure takes nothing away, and no token gives way to an older one', () => {
  const known = new Map<number, { generation: number; expiresAt: number }>();
  const look = ({ index, state: { generation, expiresAt } }: SeenRequest['target']): void => {
    const before = known.get(index);
    if (before !== undefined) {
      expect(generation).toBeGreaterThanOrEqual(before.generation);
      if (generation === before.generation) expect(expiresAt).toBe(before.expiresAt);
    }
    known.set(index, { generation, expiresAt });
  };
  return {
    each: ({ target }) => look(target),
    end: ({ targets }) => {
      for (const target of targets) look(target);
    },
  };
});

/** Troubles end within 45 minutes, and the server takes what is asked of it. */
const passingTrouble = anyScenario.map(
  (scenario): Scenario => ({
    ...scenario,
    forMs: 150 * MINUTE_MS,
    idpPerSecond: 60,
    perHost: 30,
    perTenant: 5,
    tenantThrottle: undefined,
    troubledTenants: 0,
    identical: { count: 5, windowMs: 300_000 },
    lifetimes: scenario.lifetimes.map((group) => ({
      ...group,
      minMs: Math.max(group.minMs, 5 * MINUTE_MS),
      maxMs: Math.max(group.maxMs, 5 * MINUTE_MS),
    })),
  }),
);

test('when the troubles are over all is well again: every target has a token, and none ends any more', () => {
  fc.assert(
    fc.property(passingTrouble, (scenario) => {
      const run = simulate(scenario);
      const troubled = run.targets.filter(
        ({ fails, state }) => !fails && state.expiresAt <= run.start + scenario.forMs,
      );
      expect(troubled.map(({ id }) => id)).toEqual([]);
      const later = run.recorder.samples.filter(({ at }) => at > 60 * MINUTE_MS);
      for (const { shortestLifeMs = 1 } of later) expect(shortestLifeMs).toBeGreaterThan(0);
    }),
    { numRuns: 60 },
  );
});

/** A fleet in its steady state, and an outage as long as its arithmetic says that it holds. */
const heldOutage = fc
  .record({
    seed: fc.nat(),
    targets: fc.integer({ min: 20, max: 1500 }),
    lifeMs: fc.integer({ min: 5, max: 90 }).map((minutes) => minutes * MINUTE_MS),
    longerBy: fc.constantFrom(1, 1, 1.3),
    outageTargetMs: fc.integer({ min: 1, max: 40 }).map((minutes) => minutes * MINUTE_MS),
    kind: fc.constantFrom(...OUTAGE_KINDS),
    share: fc.constantFrom(0.3, 1),
    latencyMs: fc.constantFrom(0, 100, 400),
    perHost: fc.integer({ min: 1, max: 30 }),
  })
  .map(({ targets, lifeMs, longerBy, kind, share, ...rest }) => {
    const scenario: Scenario = {
      ...{ ...rest, start: 'warm', issuedWithinMs: undefined, clients: 1, tenants: Math.ceil(targets / 4) },
      lifetimes: [{ minMs: lifeMs, maxMs: Math.round((lifeMs * longerBy) / 1000) * 1000, targets }],
      ...{
        failingTenants: 0,
        troubledTenants: 0,
        idpPerSecond: 2 * rest.perHost,
        retryAfterMs: 10_000,
        outages: [],
      },
      ...{ tenantThrottle: undefined, daemons: 2, crashes: [], perTenant: 5, latestShare: 0.75 },
      identical: { count: 5, windowMs: 300_000 },
      forMs: 0,
    };
    const plan = planOf(scenario);
    const lengthMs = Math.floor(share * heldMs(plan));
    const outages = lengthMs > 0 ? [{ fromMs: lifeMs, lengthMs, kind }] : [];
    return { plan, scenario: { ...scenario, outages, forMs: 3 * lifeMs + lengthMs } };
  })
  .filter(({ plan }) => plan.fits && plan.clients.every(({ tenantFits }) => tenantFits));

test('no token ends before its turn in an outage that the arithmetic says is held', () => {
  fc.assert(
    fc.property(heldOutage, ({ scenario }) => {
      const { recorder } = simulate(scenario);
      expect(recorder.expiredTargets).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('the same scenario gives the same run', () => {
  fc.assert(
    fc.property(anyScenario, (scenario) => {
      const calls = (): string[] => {
        const seen: string[] = [];
        simulate(scenario, {
          onRequest: ({ target, at, failure }) => seen.push(`${at} ${target.id} ${failure?.code}`),
        });
        return seen;
      };
      expect(calls()).toEqual(calls());
    }),
    { numRuns: 10 },
  );
});
