import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { afterOutage } from '../../src/core/after-outage.ts';
import { parseDurationMs, parseRate, type Rate, rateText } from '../../src/core/duration.ts';
import {
  type ClientLoad,
  type ClientPlan,
  type HostPlan,
  type Life,
  planHost,
} from '../../src/core/feasibility.ts';
import {
  feasibilityProblems,
  findFeasibilityProblems,
  heldWords,
  lifeText,
  whyNotHeld,
} from '../../src/core/feasibility-words.ts';
import { isInReach, refreshWindow } from '../../src/core/plan.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const steady = (lifeMs: number): Life => ({ shortestMs: lifeMs, meanMs: lifeMs, longestMs: lifeMs });

function load(changes: Partial<ClientLoad> = {}): ClientLoad {
  return {
    client: 'billing',
    tenants: 20_000,
    resources: 1,
    life: steady(HOUR),
    isSeen: false,
    outageTargetMs: 25 * MINUTE,
    latestShare: 0.75,
    identical: { count: 5, windowMs: 5 * MINUTE },
    perTenant: { count: 5, windowMs: 1000 },
    ...changes,
  };
}

const planOf = (limitPerSecond: number, ...clients: ClientLoad[]): HostPlan =>
  planHost({ host: 'idp.example', limitPerSecond, clients });

/** Of the only client. */
function only(plan: HostPlan): ClientPlan {
  const [one] = plan.clients;
  if (one === undefined || plan.clients.length > 1) throw new Error('expected one client');
  return one;
}

describe('20,000 tokens of an hour and an outage of 25 minutes', () => {
  test('are held with 30 requests a second, in the window that leaves the outage and the recovery', () => {
    const plan = planOf(30, load());
    const { holdsMs, obstacle, window, requestsPerSecond } = only(plan);
    expect({ holdsMs, obstacle, fits: plan.fits }).toEqual({
      holdsMs: 25 * MINUTE,
      obstacle: undefined,
      fits: true,
    });
    expect(window.earliest).toBeCloseTo(0.345, 4);
    expect(window.latest).toBeCloseTo(0.575, 4);
    expect(requestsPerSecond).toBeCloseTo(20_000 / (0.46 * 3600), 6);
  });

  test('leave a backlog that drains before any token ends', () => {
    const { afterOutage } = planOf(30, load());
    expect(afterOutage).toMatchObject({
      outageMs: 25 * MINUTE,
      recovery: { requestTimeoutMs: 10_000, probeMs: 15_000, slowStartMs: 5000 },
      late: 0,
    });
    // 25.5 of 60 minutes are 0.425 of the life: all are behind but those that are refreshed later than that after it.
    const later = (0.575 - 0.425) ** 2 / (2 * 0.23 * 0.46);
    expect(afterOutage?.behind).toBe(Math.round(20_000 * (1 - later)));
    expect(afterOutage?.caughtUpMs).toBeCloseTo((20_000 / 30) * 1000, 3);
  });

  test.each([
    [16, 25, undefined],
    [14, 22, 'host limit'],
    [12, 16, 'host limit'],
    // As late as refresh.latest allows: a quarter of the life without the recovery.
    [11.6, 14, 'host limit'],
  ])('hold with %d requests a second %i minutes', (limit, minutes, obstacle) => {
    const plan = planOf(limit, load());
    expect(Math.floor(only(plan).holdsMs / MINUTE)).toBe(minutes);
    expect(only(plan).obstacle).toBe(obstacle);
    expect(plan.afterOutage?.late).toBe(0);
  });

  test('do not fit where even the latest window asks for more than four fifths of the limit', () => {
    const plan = planOf(10, load());
    expect(plan.fits).toBe(false);
    expect(only(plan).window.latest).toBe(0.75);
    expect(only(plan).holdsMs).toBe(14.5 * MINUTE);
  });

  test('hold nothing where it asks for more than the limit itself', () => {
    const plan = planOf(9, load());
    expect(only(plan).holdsMs).toBe(0);
    expect(plan.afterOutage).toBeUndefined();
  });
});

describe('what keeps a client from its target', () => {
  test.each<[what: string, changes: Partial<ClientLoad>, obstacle: string, holdsMs: number, why: RegExp]>([
    [
      'the life',
      { life: steady(5 * MINUTE), tenants: 10 },
      'life',
      2 * MINUTE,
      /^tokens that live 5m can hold at most 3m$/,
    ],
    [
      'a target that is longer than the life',
      { life: steady(HOUR), outageTargetMs: 2 * HOUR, tenants: 10 },
      'life',
      29.5 * MINUTE,
      /^tokens that live 1h can hold at most 47m 30s$/,
    ],
    [
      'the identical limit',
      { outageTargetMs: 40 * MINUTE, identical: { count: 2, windowMs: 30 * MINUTE }, tenants: 10 },
      'identical limit',
      26.5 * MINUTE,
      /^limits\.identical lets a plan ask once in 30m .*, so tokens that live 1h can hold at most 26m 30s$/,
    ],
    [
      'an identical limit with which tokens run out',
      { life: steady(MINUTE), outageTargetMs: 10_000, tenants: 10 },
      'identical limit',
      0,
      /too seldom for tokens that live 1m: they run out$/,
    ],
    [
      'such a limit, whatever the target',
      { life: steady(MINUTE), outageTargetMs: 20 * MINUTE, tenants: 10 },
      'identical limit',
      0,
      /they run out$/,
    ],
    [
      'such a limit, which leaves less than the window does',
      { outageTargetMs: 5 * MINUTE, identical: { count: 2, windowMs: 58 * MINUTE }, tenants: 10 },
      'identical limit',
      1.5 * MINUTE,
      /they run out$/,
    ],
    [
      'the limit of a tenant',
      { resources: 10, perTenant: { count: 25, windowMs: HOUR }, tenants: 10 },
      'tenant limit',
      22 * MINUTE,
      /^each tenant needs 22\/h, more than the 20\/h that plans may use \(80 % of limits\.perTenant, 25\/h\)$/,
    ],
  ])('is %s', (_what, changes, obstacle, holdsMs, why) => {
    const plan = planOf(50, load(changes));
    const one = only(plan);
    expect(one.obstacle).toBe(obstacle);
    expect(Math.abs(one.holdsMs - holdsMs)).toBeLessThan(MINUTE / 4);
    expect(whyNotHeld(one, plan)).toMatch(why);
    expect(feasibilityProblems(plan)).toEqual([
      expect.stringMatching(/^client billing holds .+: .+; (set|raise) .+, or have tokens live longer$/),
    ]);
  });

  const withinReach = /set refresh\.outageTarget to (\S+) or less/;
  const anySeconds = fc.integer({ min: 4, max: 7 * 86_400 });
  const anyIdentical = fc.constantFrom(
    ...['2/s', '4/15s', '5/5m', '12/5m', '2/20m', '100/1h'].map((text) => parseRate(text) as Rate),
  );

  test('is gone where the target is set to what is proposed', () => {
    fc.assert(
      fc.property(anySeconds, fc.nat(86_400), anyIdentical, (seconds, more, identical) => {
        const shortestMs = 1000 * seconds;
        const life = { shortestMs, meanMs: shortestMs + 500 * more, longestMs: shortestMs + 1000 * more };
        const asked = { life, identical, tenants: 1 };
        const [problem = ''] = feasibilityProblems(
          planOf(50, load({ ...asked, outageTargetMs: 30 * 24 * HOUR })),
        );
        const proposed = parseDurationMs(withinReach.exec(problem)?.[1] ?? '');
        fc.pre(proposed !== undefined);
        expect(feasibilityProblems(planOf(50, load({ ...asked, outageTargetMs: proposed })))).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [10 * MINUTE, '450s'],
    [HOUR, '2850s'],
    [5 * MINUTE, '3m'],
    [31 * MINUTE, '1458s'],
  ])('is met, for tokens of %d ms, by a setting that can be copied', (lifeMs, proposed) => {
    const one = load({ life: steady(lifeMs), tenants: 10, outageTargetMs: 2 * HOUR });
    expect(feasibilityProblems(planOf(50, one))[0]).toContain(
      `set refresh.outageTarget to ${proposed} or less`,
    );
  });

  test.each([
    [
      'tokens that run out by the identical limit',
      { outageTargetMs: 5 * MINUTE, identical: { count: 2, windowMs: 58 * MINUTE } },
      /they run out; raise limits\.identical if the server allows it, or have tokens live longer$/,
    ],
    [
      'tokens that hold less than a second',
      { life: steady(1500), identical: { count: 100, windowMs: 1000 } },
      /tokens that live 2s can hold less than a second; have tokens live longer$/,
    ],
  ])('is not said to be the target for %s', (_what, changes, words) => {
    expect(feasibilityProblems(planOf(50, load({ ...changes, tenants: 1 })))).toEqual([
      expect.stringMatching(words),
    ]);
  });

  test('is named with the rate that plans may use, which is less than what is needed', () => {
    const { neededPerSecond } = planOf(50, load({ tenants: 2000 }));
    const reasonAt = (limit: number): string => {
      const plan = planOf(limit, load({ tenants: 2000 }));
      return whyNotHeld(only(plan), plan);
    };
    expect(reasonAt(0.9 * neededPerSecond)).toBe(
      'the targets of idp.example need 1.2/s, more than the 1.1/s that plans may use (80 % of limits.perHost, 1.4/s)',
    );
    expect(reasonAt(0.999 * neededPerSecond)).toMatch(
      / need a little more than the 1\.2\/s that plans may use /,
    );
  });
});

test('a target out of reach is planned with as it is, so that a token that lives longer than others holds it', () => {
  const plan = planOf(50, load({ tenants: 10, outageTargetMs: 2 * HOUR }));
  expect(only(plan).plannedOutageMs).toBe(2 * HOUR);
  expect(only(plan).window).toEqual({ earliest: 0.3, latest: 0.5 });
});

test('a client whose tenants are asked for more than their limit holds nothing', () => {
  const plan = planOf(50, load({ perTenant: { count: 1, windowMs: HOUR }, tenants: 10 }));
  expect(only(plan)).toMatchObject({ tenantFits: false, holdsMs: 0, obstacle: 'tenant limit' });
});

describe('clients that share a host', () => {
  test('give way by the same share', () => {
    const plan = planOf(26, load(), load({ client: 'mail', outageTargetMs: 15 * MINUTE }));
    const shares = plan.clients.map((one) => one.plannedOutageMs / one.outageTargetMs);
    expect(shares[0]).toBeCloseTo(shares[1] ?? 0, 9);
    expect(shares[0]).toBeLessThan(1);
    expect(plan.requestsPerSecond).toBeCloseTo(0.8 * 26, 3);
  });

  test('do not give way to a tenant limit of one of them', () => {
    const tight = load({
      client: 'tight',
      tenants: 10,
      resources: 10,
      perTenant: { count: 25, windowMs: HOUR },
    });
    const plan = planOf(30, load(), tight);
    expect(plan.clients.map(({ obstacle }) => obstacle)).toEqual([undefined, 'tenant limit']);
    expect(plan.requestsPerSecond).toBeCloseTo(
      plan.clients.reduce((total, { requestsPerSecond }) => total + requestsPerSecond, 0),
      9,
    );
  });

  test('are late together where one outlives more than the other, and neither loses a token', () => {
    const plan = planOf(
      30,
      load({ tenants: 15_000 }),
      load({ client: 'short', tenants: 500, life: steady(10 * MINUTE), outageTargetMs: 3 * MINUTE }),
    );
    expect(plan.afterOutage).toMatchObject({ outageMs: 3 * MINUTE, late: 0 });
  });
});

describe('lives that were seen', () => {
  const entra = { shortestMs: HOUR, meanMs: 75 * MINUTE, longestMs: 90 * MINUTE };

  test('count by their mean in the demand, and by the shortest in what is held', () => {
    const one = only(planOf(50, load({ life: entra })));
    const { earliest, latest } = refreshWindow(75 * MINUTE, load());
    expect(one.requestsPerSecond).toBeCloseTo(20_000 / (((earliest + latest) / 2) * 75 * 60), 6);
    expect(one.holdsMs).toBe(25 * MINUTE);
    expect(only(planOf(50, load({ life: { ...entra, shortestMs: 20 * MINUTE } }))).holdsMs).toBe(
      9.5 * MINUTE,
    );
  });

  test('do not ruin the plan where a single one is odd', () => {
    const plan = planOf(30, load({ life: { shortestMs: 5000, meanMs: 0.999 * HOUR, longestMs: HOUR } }));
    expect(only(plan).plannedOutageMs).toBe(25 * MINUTE);
    expect(plan.fits).toBe(true);
    expect(only(plan).holdsMs).toBeLessThan(5000);
  });
});

const anyLife = fc.integer({ min: 10_000, max: 48 * HOUR });
const anyLoad = fc
  .record({
    lifeMs: anyLife,
    tenants: fc.integer({ min: 1, max: 100_000 }),
    resources: fc.integer({ min: 1, max: 8 }),
    outageTargetMs: fc.integer({ min: 1000, max: 24 * HOUR }),
    latestShare: fc.double({ min: 0.5, max: 0.95, noNaN: true }),
    identical: fc.record({
      count: fc.integer({ min: 2, max: 100 }),
      windowMs: fc.integer({ min: 1000, max: HOUR }),
    }),
  })
  .map(({ lifeMs, ...rest }) => load({ ...rest, life: steady(lifeMs) }));
/** Clients of a host, and a limit from far too low to ample. */
const anyHost = fc
  .tuple(fc.array(anyLoad, { minLength: 1, maxLength: 4 }), fc.double({ min: 0.3, max: 1.5, noNaN: true }))
  .map(([loads, share]) => ({ loads, limit: share * planOf(1, ...loads).neededPerSecond }));

describe('every plan', () => {
  it('asks for no more than four fifths of the limit where it fits, and is as late as it may be where it does not', () => {
    fc.assert(
      fc.property(anyHost, ({ limit, loads }) => {
        const plan = planOf(limit, ...loads);
        const asked = plan.clients.reduce((total, one) => total + one.requestsPerSecond, 0);
        expect(plan.requestsPerSecond).toBeCloseTo(asked, 9);
        if (plan.fits) expect(plan.requestsPerSecond).toBeLessThanOrEqual(0.8 * limit);
        else for (const { plannedOutageMs } of plan.clients) expect(plannedOutageMs).toBeCloseTo(0, 3);
      }),
    );
  });

  it('holds no more than the target, and less only where something stands in the way', () => {
    fc.assert(
      fc.property(anyHost, ({ limit, loads }) => {
        for (const { holdsMs, outageTargetMs, obstacle } of planOf(limit, ...loads).clients) {
          expect(holdsMs).toBeGreaterThanOrEqual(0);
          expect(holdsMs).toBeLessThanOrEqual(outageTargetMs);
          expect(obstacle === undefined).toBe(holdsMs === outageTargetMs);
        }
      }),
    );
  });

  it('holds no less with a higher limit', () => {
    fc.assert(
      fc.property(anyHost, fc.double({ min: 1, max: 3, noNaN: true }), ({ limit, loads }, times) => {
        const higher = planOf(limit * times, ...loads).clients;
        planOf(limit, ...loads).clients.forEach(({ holdsMs }, i) => {
          // Found by bisection.
          expect(higher[i]?.holdsMs).toBeGreaterThanOrEqual(holdsMs - 1);
        });
      }),
    );
  });

  it('uses what the limit gives: a little more of each outage would not fit', () => {
    const some = fc.tuple(anyLoad, fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(some, ([one, share]) => {
        const asked = { ...one, perTenant: { count: 1_000_000, windowMs: 1 } };
        const demandOf = (outageTargetMs: number): number => {
          const { earliest, latest } = refreshWindow(one.life.meanMs, { ...one, outageTargetMs });
          return (1000 * one.tenants * one.resources) / (((earliest + latest) / 2) * one.life.meanMs);
        };
        fc.pre(isInReach(one.life.meanMs, one.outageTargetMs));
        const [least, most] = [demandOf(0), demandOf(one.outageTargetMs)];
        fc.pre(most > least * 1.05);
        const usable = least + (0.01 + 0.98 * share) * (most - least);
        const { plannedOutageMs } = only(planOf(usable / 0.8, asked));
        expect(demandOf(plannedOutageMs)).toBeLessThanOrEqual(usable * (1 + 1e-9));
        expect(demandOf(plannedOutageMs)).toBeGreaterThan(usable * 0.999);
      }),
    );
  });

  it('lets no token end before its turn after the outage that all its clients hold', () => {
    fc.assert(
      fc.property(anyHost, ({ limit, loads }) => {
        const { afterOutage } = planOf(limit, ...loads);
        fc.pre(afterOutage !== undefined);
        expect(afterOutage?.late).toBe(0);
      }),
    );
  });
});

describe('what an outage leaves behind', () => {
  const { clients } = planOf(30, load());

  /** Every token for itself: refreshed evenly, at moments drawn evenly from the window, of which some are longer. */
  function countedLate(outageMs: number, limit: number): number {
    const { earliest, latest } = only(planOf(30, load())).window;
    const mean = (earliest + latest) / 2;
    const ages: number[] = [];
    for (let i = 0.5; i < 400; i++) {
      const share = earliest + ((latest - earliest) * i) / 400;
      for (let k = 0.5; k < 400; k++) ages.push((share * k) / 400);
      // Each stands for as many tokens as its share of the time is long.
    }
    const weight = (index: number): number => {
      const share = earliest + ((latest - earliest) * (Math.floor(index / 400) + 0.5)) / 400;
      return (20_000 * share) / mean / (400 * 400);
    };
    const ends = ages
      .map((age, index) => ({ at: (1 - age) * HOUR - outageMs - 30_000, tokens: weight(index) }))
      .toSorted((a, b) => a.at - b.at);
    let [ended, most] = [0, 0];
    for (const { at, tokens } of ends) {
      ended += tokens;
      most = Math.max(most, ended - (limit * Math.max(0, at)) / 1000);
    }
    return most;
  }

  test.each([
    [25, 30],
    [40, 30],
    [50, 30],
    [59, 30],
    [40, 13],
  ])('of %i minutes, at %d a second, is as many late tokens as counted one by one', (minutes, limit) => {
    const counted = countedLate(minutes * MINUTE, limit);
    const { late } = afterOutage(clients, minutes * MINUTE, limit);
    expect(Math.abs(late - counted)).toBeLessThan(30);
    expect(late > 0).toBe(minutes > 25);
  });
});

describe('in words', () => {
  test.each([
    [25 * MINUTE, 25 * MINUTE, 'holds 25 of 25 min'],
    [7.3 * MINUTE, 20 * MINUTE, 'holds 7 of 20 min'],
    [20 * MINUTE - 1, 20 * MINUTE, 'holds 19 of 20 min'],
    [2.5 * MINUTE, 20 * MINUTE, 'holds 2m 30s of 20m'],
    [2 * MINUTE, 20 * MINUTE, 'holds 2 of 20 min'],
    [0, 20 * MINUTE, 'holds 0 of 20 min'],
    [0, 90_000, 'holds 0s of 1m 30s'],
    [999, 2000, 'holds 0s of 2s'],
    [90 * MINUTE, 24 * HOUR, 'holds 1h 30m of 1d'],
  ])('%d of %d ms', (holdsMs, outageTargetMs, words) => {
    expect(heldWords({ holdsMs, outageTargetMs })).toBe(words);
  });

  test.each([
    [steady(HOUR), '1h'],
    [{ shortestMs: HOUR, meanMs: 75 * MINUTE, longestMs: 90 * MINUTE }, '1h to 1h 30m, 1h 15m on average'],
  ])('lives', (life, words) => expect(lifeText(life)).toBe(words));

  test.each([
    [0.123456, '0.12/s'],
    [50, '50/s'],
    [1234, '1234/s'],
    [1 / 60, '0.017/s'],
    [0.99 / 60, '59/h'],
    [1 / 3600, '1/h'],
    [0.8 / 3600, '0.8/h'],
    [0, '0/s'],
  ])('the rate %d is written %s', (rate, text) => expect(rateText(rate)).toBe(text));

  test('a host that is asked for too much is one problem, and what follows for its clients is none of its own', () => {
    const problems = findFeasibilityProblems(planOf(9, load(), load({ client: 'mail' })));
    expect(problems).toEqual([
      {
        host: 'idp.example',
        client: undefined,
        what: 'asks for more than 80 % of limits.perHost',
        why: expect.stringMatching(
          /^19\/s of 9\/s, even as late as refresh\.latest allows, so tokens expire/,
        ),
        todo: 'raise limits.perHost to 31/s if the server allows it, or have tokens live longer',
      },
    ]);
    expect(feasibilityProblems(planOf(9, load()))[0]).toMatch(/^idp\.example asks for more than 80 % of /);
    expect(feasibilityProblems(planOf(10, load()))[0]).toContain('too little is left for retries');
  });

  test('a tenant that is asked for too much is a problem', () => {
    expect(feasibilityProblems(planOf(50, load({ perTenant: { count: 1, windowMs: HOUR } })))).toEqual([
      expect.stringMatching(/^client billing asks for more than 80 % of limits\.perTenant: .*tokens expire/),
    ]);
  });

  test('nothing is said where all is well', () => {
    const plan = planOf(30, load());
    expect(feasibilityProblems(plan)).toEqual([]);
    expect(whyNotHeld(only(plan), plan)).toBe('');
  });

  test.each<[one: ClientLoad, share: number, todo: RegExp, seconds: number]>([
    [load(), 0.5, /asks for .*raise limits\.perHost to (\d+)\/s /, 1],
    [load(), 0.9, /raise limits\.perHost to (\d+)\/s /, 1],
    [load({ tenants: 1000 }), 0.9, /raise limits\.perHost to (\d+)\/m /, 60],
    [load({ tenants: 10 }), 0.9, /raise limits\.perHost to (\d+)\/h /, 3600],
  ])('what to do is a rate that the configuration takes, and suffices', (one, share, todo, seconds) => {
    const { neededPerSecond } = planOf(1000, one);
    const [problem = ''] = feasibilityProblems(planOf(share * neededPerSecond, one));
    const [, count] = todo.exec(problem) ?? [];
    expect(Number(count) / seconds).toBeLessThan(1.5 * neededPerSecond);
    expect(feasibilityProblems(planOf(Number(count) / seconds, one))).toEqual([]);
  });
});
