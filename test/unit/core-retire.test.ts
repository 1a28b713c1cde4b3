import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { conditionOf } from '../../src/core/condition.ts';
import { decide } from '../../src/core/decide.ts';
import { isDormant, isUnread, lastLookAt, looksUnread } from '../../src/core/retire.ts';
import { EMPTY_STATE, type TargetPolicy, type TargetState } from '../../src/core/state.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const POLICY: TargetPolicy = {
  id: 'billing/contoso/graph',
  host: 'idp.example:443',
  tenantScope: 'billing/contoso',
  fingerprint: 'AbCdEf01',
  outageTargetMs: 20 * MINUTE,
  retireUnreadAfterMs: 3 * DAY,
  identical: { count: 5, windowMs: 5 * MINUTE },
};
const OFF: TargetPolicy = { ...POLICY, retireUnreadAfterMs: undefined };

type Changes = Partial<TargetState>;
/** A token of an hour that is `usedMs` old, and whose readers were last heard of five days ago. */
const aged = (usedMs: number, changes: Changes = {}): TargetState => ({
  ...EMPTY_STATE,
  ...{ generation: 10, attempted: 10, concluded: 10, readAt: NOW - 5 * DAY },
  ...{ issuedAt: NOW - usedMs, expiresAt: NOW - usedMs + HOUR },
  ...changes,
});
const DUE = aged(30 * MINUTE);
const DORMANT = aged(2 * DAY + 54 * MINUTE, { dormantSince: NOW - 2 * DAY });
const WANTED: Changes = { wanted: 11, wantedBy: 'by oncall' };

describe('a due target that nobody reads', () => {
  test.each<[what: string, state: TargetState, idleMs: number | undefined, reason: string]>([
    ['is looked at once more', DUE, 5 * DAY, 'unread'],
    ['is refreshed when it was read lately', DUE, 3 * DAY - 1000, 'due'],
    ['is refreshed when it is not known who reads', DUE, undefined, 'due'],
    ['is left alone near the end of its token', aged(54 * MINUTE), 5 * DAY, 'dormant'],
    ['is refreshed near its end when a reader has come', aged(54 * MINUTE), 20 * MINUTE, 'due'],
    ['is refreshed when somebody wants it', aged(54 * MINUTE, WANTED), 5 * DAY, 'wanted'],
    ['is refreshed when its token has ended before it was looked at', aged(HOUR), 5 * DAY, 'expired'],
    [
      'is believed to be read lately rather than an idle time',
      aged(54 * MINUTE, { readAt: NOW - DAY }),
      5 * DAY,
      'due',
    ],
    ['counts from its first issue while no read is known', aged(54 * MINUTE, { readAt: 0 }), 5 * DAY, 'due'],
    [
      'is left alone also while refreshing it fails',
      aged(54 * MINUTE, { failures: 3, retryAt: NOW + 1 }),
      5 * DAY,
      'dormant',
    ],
    ['is fresh before it is due', aged(MINUTE), 5 * DAY, 'fresh'],
    [
      'is refreshed when a daemon that knows of no dormancy has woken it and left its mark',
      aged(54 * MINUTE, { dormantSince: NOW - HOUR }),
      5 * DAY,
      'due',
    ],
  ])('%s', (_what, state, idleMs, reason) => {
    expect(decide(state, POLICY, NOW, undefined, idleMs)).toMatchObject({ reason });
    expect(decide(state, OFF, NOW, undefined, idleMs).reason).not.toMatch(/unread|dormant/);
  });

  it('is looked at when nine tenths of the life are over', () => {
    expect(decide(DUE, POLICY, NOW, undefined, 5 * DAY)).toMatchObject({
      ...{ act: 'wait', why: 'nobody has read it for 5d' },
      until: { from: NOW + 24 * MINUTE, to: NOW + 24 * MINUTE },
    });
  });

  it.each([
    [24 * HOUR, 0.9],
    [HOUR, 0.9],
    [100_000, 0.8],
    [60_000, 40 / 60],
    [8000, 0.5],
  ])('has time for a claim after that look, as far as a life of %i ms has any', (lifeMs, share) => {
    const state = aged(0, { expiresAt: NOW + lifeMs });
    expect((lastLookAt(state) - NOW) / lifeMs).toBeCloseTo(share, 6);
  });

  it('is given a whole life: a consumer that takes a token once may use it to its end', () => {
    const policy = { ...POLICY, retireUnreadAfterMs: 1000 };
    const state = aged(54 * MINUTE);
    expect(isUnread(state, policy, NOW, HOUR - 1)).toBe(false);
    expect(isUnread(state, policy, NOW, HOUR)).toBe(true);
  });
});

describe('a dormant target', () => {
  it('waits for a year and more, whatever its token has come to', () => {
    for (const state of [DORMANT, { ...DORMANT, expiresAt: NOW + 1000 }, { ...DORMANT, expiresAt: 0 }]) {
      const decision = decide(state, POLICY, NOW);
      expect(decision).toMatchObject({ act: 'wait', reason: 'dormant', why: 'dormant for 2d' });
      expect(decision.act === 'wait' && decision.until.from - NOW).toBeGreaterThan(365 * DAY);
      expect(conditionOf(state, { dueAt: NOW, ready: false }, NOW)).toBe('dormant');
    }
  });

  it('is refreshed again when somebody wants it, or when its client no longer retires any', () => {
    const wanted = { ...DORMANT, ...WANTED };
    expect(decide(wanted, POLICY, NOW)).toMatchObject({ act: 'refresh', reason: 'wanted' });
    expect(conditionOf(wanted, undefined, NOW)).toBe('expired');
    expect(decide(DORMANT, OFF, NOW)).toMatchObject({ act: 'refresh', reason: 'expired' });
  });

  it('is dormant no longer once it has got a token, also of a daemon that does not say so', () => {
    const issuedAt = NOW - 30 * MINUTE;
    const woken = { ...DORMANT, issuedAt, expiresAt: issuedAt + HOUR };
    expect(isDormant({ ...woken, dormantSince: issuedAt + 1 }, POLICY)).toBe(true);
    expect(isDormant({ ...woken, dormantSince: issuedAt }, POLICY)).toBe(false);
    expect(decide(woken, POLICY, NOW)).toMatchObject({ act: 'refresh', reason: 'due' });
    expect(decide({ ...woken, expiresAt: NOW }, POLICY, NOW)).toMatchObject({ reason: 'expired' });
  });
});

describe('whatever is known', () => {
  const state = fc
    .tuple(
      fc.integer({ min: 1, max: 40 * DAY }),
      fc.double({ min: 0, max: 1.5, noNaN: true }),
      fc.nat(60 * DAY),
      fc.boolean(),
    )
    .map(([lifeMs, used, unreadMs, isKnown]) => {
      const issuedAt = NOW - Math.round(used * lifeMs);
      return aged(0, { issuedAt, expiresAt: issuedAt + lifeMs, readAt: isKnown ? NOW - unreadMs : 0 });
    });
  const policy = fc
    .integer({ min: 1000, max: 90 * DAY })
    .map((ms) => ({ ...POLICY, retireUnreadAfterMs: ms }));

  it('nothing that was read within the time of the option, or within a life, is left alone', () => {
    fc.assert(
      fc.property(state, policy, fc.nat(90 * DAY), (known, on, idleMs) => {
        const { reason } = decide(known, on, NOW, undefined, idleMs);
        if (!/unread|dormant/.test(reason)) return;
        expect(idleMs).toBeGreaterThanOrEqual(on.retireUnreadAfterMs);
        expect(idleMs).toBeGreaterThanOrEqual(known.expiresAt - known.issuedAt);
        expect(known.expiresAt).toBeGreaterThan(NOW);
      }),
    );
  });

  it('the idle time is asked for wherever it could matter', () => {
    fc.assert(
      fc.property(state, policy, fc.nat(90 * DAY), (known, on, idleMs) => {
        if (isUnread(known, on, NOW, idleMs)) expect(looksUnread(known, on, NOW)).toBe(true);
        expect(looksUnread(known, OFF, NOW)).toBe(false);
      }),
    );
  });
});
