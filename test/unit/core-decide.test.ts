import { describe, expect, it, test } from 'vitest';
import { type Decision, decide } from '../../src/core/decide.ts';
import { EMPTY_STATE, type FailureKind, type TargetPolicy, type TargetState } from '../../src/core/state.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const POLICY: TargetPolicy = {
  id: 'billing/contoso/graph',
  host: 'idp.example:443',
  tenantScope: 'billing/contoso',
  fingerprint: 'AbCdEf01',
  outageTargetMs: 20 * MINUTE,
  identical: { count: 5, windowMs: 5 * MINUTE },
};

type Changes = Partial<TargetState>;
const state = (...changes: Changes[]): TargetState => Object.assign({}, EMPTY_STATE, ...changes);
const decideAfter = (...changes: Changes[]): Decision => decide(state(...changes), POLICY, NOW);

/** A token of an hour that is `usedMs` old. */
const aged = (usedMs: number): Changes => ({
  generation: 10,
  attempted: 10,
  concluded: 10,
  issuedAt: NOW - usedMs,
  expiresAt: NOW - usedMs + HOUR,
});
const FRESH = aged(10 * MINUTE);
const DUE = aged(30 * MINUTE);
const EXPIRED = aged(2 * HOUR);
const WANTED: Changes = { wanted: 11, wantedBy: 'by oncall' };
const TRIED: Changes = { attempted: 11, concluded: 11 };
/** Its process was killed in between. */
const NEVER_CONCLUDED: Changes = { attempted: 11 };
const sent = (...agesMs: number[]): Changes => ({ requestLog: agesMs.map((age) => NOW - age) });
const failed = (kind: FailureKind, waitMs: number): Changes => ({
  failures: 1,
  failure: { kind, code: 'CODE' },
  retryAt: NOW + waitMs,
});
const leased = (waitMs: number): Changes => ({ leaseUntil: NOW + waitMs });

describe('a target is refreshed', () => {
  test.each<[what: string, changes: Changes[], reason: string, why: RegExp]>([
    ['that never had a token', [], 'never issued', /^no token yet$/],
    ['whose token expired', [EXPIRED], 'expired', /^expired 1h ago$/],
    ['whose token expires now', [aged(HOUR)], 'expired', /^expired 0ms ago$/],
    ['whose window has begun', [aged(0.395 * HOUR + 1)], 'due', /^due: 40 % of its life used$/],
    ['whose window is over', [aged(0.9 * HOUR)], 'due', /90 %/],
    ['that is wanted, though fresh', [FRESH, WANTED], 'wanted', /^wanted: by oncall$/],
    ['that is wanted and never had a token', [{ wanted: 1, wantedBy: 'x' }], 'wanted', /^wanted: x$/],
    ['whose lease has just ended', [DUE, leased(0)], 'due', /due/],
    ['whose backoff has just ended', [DUE, failed('transient', 0)], 'due', /due/],
    ['with three requests in the window', [DUE, sent(200_000, 9000, 1)], 'due', /due/],
    ['with a fourth that has just left the window', [DUE, sent(300_000, 9, 8, 7)], 'due', /due/],
    ['that is wanted, with four requests in the window', [DUE, WANTED, sent(4, 3, 2, 1)], 'wanted', /wanted/],
    ['that is wanted and parked', [FRESH, WANTED, failed('credential', HOUR)], 'wanted', /wanted/],
    ['that is wanted and backing off', [FRESH, WANTED, failed('transient', 9000)], 'wanted', /wanted/],
    [
      'that is wanted and parked, after an attempt that never ended',
      [FRESH, WANTED, NEVER_CONCLUDED, failed('credential', HOUR)],
      'wanted',
      /wanted/,
    ],
    [
      'that is wanted, was tried, and may be again',
      [FRESH, WANTED, TRIED, failed('tenant', 0)],
      'wanted',
      /wanted/,
    ],
  ])('%s', (_what, changes, reason, why) => {
    const decision = decideAfter(...changes);
    expect(decision).toMatchObject({ act: 'refresh', reason });
    expect(decision.why).toMatch(why);
  });
});

describe('a target waits', () => {
  test.each<[what: string, changes: Changes[], reason: string, waitMs: number, why: RegExp]>([
    ['during another attempt', [DUE, leased(7000)], 'in progress', 7000, /^another attempt is running$/],
    ['for a moment when it is wanted meanwhile', [DUE, WANTED, leased(7000)], 'in progress', 250, /running/],
    ['no longer than the lease when it is wanted', [DUE, WANTED, leased(99)], 'in progress', 99, /running/],
    [
      'after a passing failure',
      [DUE, failed('transient', 4000)],
      'backoff',
      4000,
      /4s after transient \(CODE\)/,
    ],
    ['after a refusal without a token', [failed('credential', HOUR)], 'backoff', HOUR, /1h after credential/],
    ['after a failure that was not noted', [EXPIRED, { retryAt: NOW + 1 }], 'backoff', 1, /after a failure/],
    ['when it was tried since it was wanted', [WANTED, TRIED, failed('tenant', 9000)], 'backoff', 9000, /9s/],
    ['as the server asked, though it is wanted', [WANTED, failed('throttled', HOUR)], 'backoff', HOUR, /1h/],
    [
      'with four of five requests sent',
      [DUE, sent(200_000, 3, 2, 1)],
      'identical limit',
      100_000,
      /^4 .* 5m /,
    ],
    [
      'with five sent, though wanted',
      [DUE, WANTED, sent(290_000, 4, 3, 2, 1)],
      'identical limit',
      10_000,
      /^5 /,
    ],
    [
      'with the lease first and the backoff next',
      [DUE, leased(1), failed('tenant', 2)],
      'in progress',
      1,
      /./,
    ],
    ['with the backoff first and the limit next', [failed('tenant', 2), sent(4, 3, 2, 1)], 'backoff', 2, /./],
  ])('%s', (_what, changes, reason, waitMs, why) => {
    const decision = decideAfter(...changes);
    expect(decision).toMatchObject({ act: 'wait', reason, until: { from: NOW + waitMs, to: NOW + waitMs } });
    expect(decision.why).toMatch(why);
  });

  it('for its window while its token is fresh', () => {
    const decision = decideAfter(FRESH);
    expect(decision).toMatchObject({ act: 'wait', reason: 'fresh' });
    expect(decision.why).toBe('fresh: 17 % of its life used, to be refreshed between 39 % and 66 %');
    if (decision.act !== 'wait') return;
    expect(decision.until.from - NOW).toBeCloseTo(0.395 * HOUR - 10 * MINUTE, -1);
    expect(decision.until.to - NOW).toBeCloseTo((39.5 - 10) * MINUTE, -1);
  });
});

describe('when the server says when to refresh (refresh_in)', () => {
  const DAY = 24 * HOUR;
  const longLived = (usedMs: number, refreshInMs: number): Changes => ({
    ...{ issuedAt: NOW - usedMs, expiresAt: NOW - usedMs + DAY, refreshInMs },
  });

  test.each<[what: string, usedMs: number, refreshInMs: number, act: string]>([
    ['before that moment', 12 * HOUR - 1, 12 * HOUR, 'wait'],
    ['from that moment', 12 * HOUR, 12 * HOUR, 'refresh'],
    ['later than otherwise', 0.46 * DAY, 0.6 * DAY, 'wait'],
    ['sooner than otherwise', 0.2 * DAY, 0.2 * DAY, 'refresh'],
    ['within the window, though it says later', 0.71 * DAY, 0.99 * DAY, 'refresh'],
  ])('a token is refreshed %s', (_what, usedMs, refreshInMs, act) => {
    expect(decideAfter(longLived(usedMs, refreshInMs)).act).toBe(act);
  });

  it('the window begins there, and ends as ever', () => {
    const issuedAt = NOW - HOUR;
    expect(decideAfter(longLived(HOUR, 12 * HOUR))).toMatchObject({
      until: { from: issuedAt + 12 * HOUR, to: issuedAt + 18 * HOUR },
    });
  });
});

describe('a plan under an identical limit', () => {
  test.each<[count: number, wanted: boolean, log: number, act: string]>([
    [1, false, 0, 'refresh'],
    [1, false, 1, 'wait'],
    [1, true, 0, 'refresh'],
    [1, true, 1, 'wait'],
    [2, false, 0, 'refresh'],
    [2, false, 1, 'wait'],
    [2, true, 1, 'refresh'],
    [2, true, 2, 'wait'],
    [3, false, 1, 'refresh'],
    [3, false, 2, 'wait'],
  ])('of %i, wanted %j, with %i sent: %s', (count, wanted, log, act) => {
    const policy = { ...POLICY, identical: { count, windowMs: 5 * MINUTE } };
    const requestLog = Array.from({ length: log }, (_, i) => NOW - 10 + i);
    expect(decide(state(DUE, wanted ? WANTED : {}, { requestLog }), policy, NOW).act).toBe(act);
  });
});

describe('after Redis time went back', () => {
  it('a token that was issued in the future is fresh and is refreshed in its window', () => {
    const decision = decideAfter(aged(-5 * MINUTE));
    expect(decision).toMatchObject({ act: 'wait', reason: 'fresh' });
    expect(decision.why).toMatch(/^fresh: 0 % /);
  });

  it('requests that were sent in the future still count', () => {
    expect(decideAfter(DUE, sent(-4000, -3000, -2000, -1000))).toMatchObject({
      act: 'wait',
      reason: 'identical limit',
    });
  });

  it('an order is carried out though its generation runs ahead of the clock', () => {
    const at = NOW + HOUR;
    const ahead = { generation: at, attempted: at, concluded: at, wanted: at + 1, wantedBy: 'x' };
    expect(decideAfter(FRESH, ahead)).toMatchObject({ act: 'refresh', reason: 'wanted' });
  });
});

describe('a target whose tries fail', () => {
  const LIVES = { generation: 10, issuedAt: NOW - 5 * MINUTE, expiresAt: NOW + 4 * MINUTE };
  const tries = (...agesMs: number[]): Changes[] => [LIVES, TRIED, failed('transient', 0), sent(...agesMs)];

  test('keeps the last request of its plan for the end of its life', () => {
    expect(decideAfter(...tries(60_000, 30_000, 10_000))).toMatchObject({
      act: 'wait',
      reason: 'identical limit',
      why: 'of 4 identical requests in 5m one is kept for when its token is about to end; next in 3m 10s',
      until: { from: NOW - 10_000 + 0.8 * 250_000, to: NOW - 10_000 + 0.8 * 250_000 },
    });
  });

  test.each<[what: string, changes: Changes[]]>([
    ['while it has more', tries(30_000, 10_000)],
    ['when its token has ended', [...tries(60_000, 30_000, 10_000), { expiresAt: NOW - 1 }]],
    ['when an operator wants it', [...tries(60_000, 30_000, 10_000), WANTED]],
    ['when the last try brought a token', [...tries(60_000, 30_000, 10_000), { failures: 0, ...DUE }]],
    ['when little of its life is left', [...tries(160_000, 150_000, 140_000), { expiresAt: NOW + 30_000 }]],
  ])('goes on %s', (_what, changes) => {
    expect(decideAfter(...changes).act).toBe('refresh');
  });
});
