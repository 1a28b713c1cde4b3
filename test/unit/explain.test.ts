import { describe, expect, test } from 'vitest';
import { conditionOf, type KnownTarget } from '../../src/core/condition.ts';
import { explain } from '../../src/core/explain.ts';
import { OPEN_GATE } from '../../src/core/gate.ts';
import { formatMoment } from '../../src/core/moment.ts';
import { EMPTY_STATE, type TargetPolicy, type TargetState } from '../../src/core/state.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const MINUTE_MS = 60_000;
const ID = 'billing/contoso/graph';

const POLICY: TargetPolicy = {
  id: ID,
  host: 'idp.example',
  tenantScope: 'billing/contoso',
  fingerprint: 'abcdefgh',
  outageTargetMs: 20 * MINUTE_MS,
  identical: { count: 5, windowMs: 5 * MINUTE_MS },
};

/** A token of an hour, ten minutes old. */
const LIVE: TargetState = {
  ...EMPTY_STATE,
  generation: 7,
  attempted: 7,
  issuedAt: NOW - 10 * MINUTE_MS,
  expiresAt: NOW + 50 * MINUTE_MS,
  fingerprint: 'abcdefgh',
};
/** The same, in the time in which it is to be refreshed. */
const AGED: TargetState = { ...LIVE, issuedAt: NOW - 40 * MINUTE_MS, expiresAt: NOW + 20 * MINUTE_MS };
const EXPIRED: TargetState = { ...LIVE, issuedAt: NOW - 65 * MINUTE_MS, expiresAt: NOW - 5 * MINUTE_MS };

function known(changes: Partial<KnownTarget> = {}): KnownTarget {
  return {
    id: ID,
    state: LIVE,
    policy: POLICY,
    standing: { dueAt: NOW + 20 * MINUTE_MS, ready: false },
    hostGate: OPEN_GATE,
    tenantGate: OPEN_GATE,
    pausedUntil: undefined,
    tokenThere: true,
    now: NOW,
    ...changes,
  };
}

const said = (changes: Partial<KnownTarget>): string => {
  const { summary, lines } = explain(known(changes));
  return [summary, ...lines].join('\n');
};

const dueNow = { dueAt: NOW, ready: false };

describe('explain says', () => {
  test.each<[string, Partial<KnownTarget>, string[]]>([
    [
      'that a fresh token is well, how much of its life is used and when the next comes',
      {},
      [
        `${ID} has a token that lives for another 50m: all is well.`,
        'was issued 2026-11-22T11:50:00Z (10m ago), ends 2026-11-22T12:50:00Z (in 50m) and has used 17 % of its life.',
        'It is to be refreshed 2026-11-22T12:20:00Z (in 20m).',
      ],
    ],
    [
      'that a target was never issued a token and is taken up',
      { state: EMPTY_STATE, standing: dueNow, tokenThere: false },
      [`${ID} has no token and has not had one; a new one is to be fetched.`, 'It is taken up now'],
    ],
    [
      'that a target is due and waits for its turn',
      {
        state: AGED,
        standing: { dueAt: NOW + 5 * MINUTE_MS, ready: true },
      },
      ['a new one is to be fetched', 'It waits for its turn at idp.example: the earliest expiry goes first'],
    ],
    [
      'when a target in its window is planned',
      { state: AGED },
      ['It is to be refreshed 2026-11-22T12:20:00Z (in 20m).'],
    ],
    [
      'that an expired target was handed over, and by when it is looked at again',
      { state: EXPIRED, standing: { dueAt: NOW + 8000, ready: false }, tokenThere: false },
      ['has no token: the last one expired 5m ago', 'handed to a worker', '2026-11-22T12:00:08Z (in 8s)'],
    ],
    [
      'that nobody reads a token, and when it is looked at again',
      {
        state: { ...AGED, readAt: NOW - 300 * MINUTE_MS },
        policy: { ...POLICY, retireUnreadAfterMs: 120 * MINUTE_MS },
        idleMs: 240 * MINUTE_MS,
        standing: { dueAt: NOW + 14 * MINUTE_MS, ready: false },
      },
      [
        'lives for another 20m: all is well.',
        'Since nobody has read it for 4h, it is not refreshed now, but looked at once more 2026-11-22T12:14:00Z (in 14m).',
      ],
    ],
    [
      'that a target is dormant, and who can wake it',
      {
        state: { ...EXPIRED, readAt: NOW - 300 * MINUTE_MS, dormantSince: NOW - 10 * MINUTE_MS },
        policy: { ...POLICY, retireUnreadAfterMs: 120 * MINUTE_MS },
        standing: { dueAt: NOW + 500_000 * MINUTE_MS, ready: false },
        tokenThere: false,
      },
      [
        'has no token: the last one expired 5m ago; it is dormant, since nobody reads it.',
        'It has been dormant since 2026-11-22T11:50:00Z (10m ago). Its token was last known to be read 2026-11-22T07:00:00Z (5h ago).',
        `It is left alone until somebody asks: a consumer by the stream of requests, or an operator with evertoken refresh ${ID}`,
      ],
    ],
    [
      'what a wrong secret means, who can mend it and how to try at once',
      {
        state: {
          ...AGED,
          failures: 3,
          failure: { kind: 'credential', code: 'AADSTS7000222' },
          attempted: 9,
          retryAt: NOW + 90_000,
        },
        standing: { dueAt: NOW + 90_000, ready: false },
      },
      [
        'lives for another 20m, but refreshing it fails with AADSTS7000222.',
        'The last 3 attempts failed, the latest with AADSTS7000222 (credential): the client secret has expired.',
        'Who can mend it: whoever looks after the registration',
        'What to do: create a new secret',
        `tried again 2026-11-22T12:01:30Z (in 1m 30s). To try at once, after mending it: evertoken refresh ${ID} --force`,
      ],
    ],
    [
      'that an administrator of the tenant has to consent',
      {
        state: { ...EMPTY_STATE, failures: 1, failure: { kind: 'tenant', code: 'AADSTS65001' } },
        standing: dueNow,
        tokenThere: false,
      },
      ['The last attempt failed', 'Who can mend it: an administrator of the tenant contoso.'],
    ],
    [
      'that nothing gets around what a server asked for',
      {
        state: {
          ...AGED,
          failures: 1,
          failure: { kind: 'throttled', code: 'AADSTS50196' },
          retryAt: NOW + 60_000,
        },
        standing: { dueAt: NOW + 60_000, ready: false },
      },
      [
        'The server asked to wait: it is tried again 2026-11-22T12:01:00Z (in 1m), and no order makes that sooner.',
      ],
    ],
    [
      'that an attempt is running',
      { state: { ...EXPIRED, leaseUntil: NOW + 9000 }, tokenThere: false },
      ['An attempt is running, which ends 2026-11-22T12:00:09Z (in 9s) at the latest.'],
    ],
    [
      'who wants a new token, and why',
      { state: { ...LIVE, wanted: 8, wantedBy: 'by oncall: secret rotated' }, standing: dueNow },
      ['A new token is wanted: by oncall: secret rotated.', 'It is taken up now'],
    ],
    [
      'until when it is paused, and that the token ends before that',
      { pausedUntil: NOW + 60 * MINUTE_MS },
      [
        'refreshing it is paused',
        'nothing happens before 2026-11-22T13:00:00Z (in 1h), and its token ends before that.',
        'evertoken resume',
      ],
    ],
    [
      'that the gate of the host is closed, until when and why',
      {
        state: EXPIRED,
        standing: dueNow,
        tokenThere: false,
        hostGate: { ...OPEN_GATE, closedUntil: NOW + 30_000, why: 'throttled' },
      },
      ['Requests to idp.example for everyone are held back until 2026-11-22T12:00:30Z (in 30s): throttled.'],
    ],
    [
      'that the rate of the host is lowered while it waits for its turn',
      {
        state: EXPIRED,
        standing: { dueAt: NOW - 1, ready: true },
        tokenThere: false,
        limits: { perHost: 50, perTenant: 5 },
        hostGate: { ...OPEN_GATE, pace: { rate: 21, rateAt: NOW, refused: 30, untested: false } },
      },
      [
        'at the rate of limits.perHost, which the server has made us lower for now (21/s of 50/s, refused at 30/s).',
      ],
    ],
    [
      'that the rate of the host is as configured while it waits for its turn',
      {
        state: EXPIRED,
        standing: { dueAt: NOW - 1, ready: true },
        tokenThere: false,
        limits: { perHost: 50, perTenant: 5 },
      },
      ['at the rate of limits.perHost.'],
    ],
    [
      'that only one tenant is held back',
      {
        state: EXPIRED,
        standing: dueNow,
        tokenThere: false,
        tenantGate: { ...OPEN_GATE, closedUntil: NOW + 30_000, why: 'throttled' },
      },
      ['Requests to billing/contoso at idp.example are held back until'],
    ],
    [
      'that a closed gate holds back a retry as well',
      {
        state: { ...AGED, failures: 1, failure: { kind: 'transient', code: 'timeout' }, retryAt: NOW + 5000 },
        hostGate: { ...OPEN_GATE, closedUntil: NOW + 30_000, why: 'down: timeout' },
        standing: { dueAt: NOW + 5000, ready: false },
      },
      ['held back until 2026-11-22T12:00:30Z', 'It is tried again 2026-11-22T12:00:30Z (in 30s).'],
    ],
    [
      'that one request at a time tries a host that was down',
      {
        state: EXPIRED,
        standing: { dueAt: NOW + 5 * MINUTE_MS, ready: true },
        tokenThere: false,
        hostGate: { ...OPEN_GATE, probing: true, why: 'down: timeout', closedUntil: NOW - 1 },
      },
      ['idp.example was down (down: timeout). One request at a time tries whether it is back'],
    ],
    [
      'that the identical limit is used up',
      {
        state: {
          ...EXPIRED,
          requestLog: [5, 4, 3, 2, 1].map((minutes) => NOW - minutes * MINUTE_MS + 1000),
        },
        standing: dueNow,
        tokenThere: false,
      },
      [
        'As many identical requests were sent as limits.identical allows',
        'The next is sent 2026-11-22T12:01:01Z (in 1m 1s); nobody has to do anything.',
      ],
    ],
    [
      'that the token key was deleted',
      { tokenThere: false },
      [
        `${ID} has lost its token, which would live for another 50m`,
        `To have another: evertoken refresh ${ID} --force`,
      ],
    ],
    [
      'that a configured target is not managed yet',
      { state: EMPTY_STATE, standing: undefined, tokenThere: false },
      ['is not managed, and has no token', 'The configuration at hand names it'],
    ],
    [
      'that an unknown target is not configured either',
      { state: EMPTY_STATE, standing: undefined, policy: undefined, tokenThere: false },
      ['is not managed', 'The configuration at hand does not name it either', 'evertoken add'],
    ],
    [
      'that a managed target is named by nothing at hand',
      { policy: undefined },
      ['waits for a removal to be confirmed', 'It is looked at next 2026-11-22T12:20:00Z (in 20m).'],
    ],
  ])('%s', (_what, changes, expected) => {
    const text = said(changes);
    for (const part of expected) expect(text).toContain(part);
  });
});

describe('the structured form of explain', () => {
  test('has the decision with its why, the advice and the next moment', () => {
    const failure = { kind: 'credential', code: 'AADSTS7000215' } as const;
    const explanation = explain(
      known({
        state: { ...LIVE, failures: 1, failure, retryAt: NOW + 1000, attempted: 8 },
        standing: dueNow,
      }),
    );
    expect(explanation).toMatchObject({
      id: ID,
      condition: 'failing',
      decision: { act: 'wait', reason: 'fresh' },
      advice: { owner: 'operator' },
    });
  });

  test('says that what is not managed is not', () => {
    expect(explain(known({ standing: undefined })).condition).toBe('not managed');
    expect(explain(known({ standing: undefined })).next.at).toBeUndefined();
  });
});

describe('the condition of a target', () => {
  const later = { dueAt: NOW + 1000, ready: false };
  test.each<[string, TargetState, KnownTarget['standing'], string]>([
    ['a live token that is not due', LIVE, later, 'fresh'],
    ['a live token whose time has come', LIVE, dueNow, 'due'],
    ['a live token in the ready index', LIVE, { ...later, ready: true }, 'due'],
    ['a live token that is wanted anew', { ...LIVE, wanted: 8 }, later, 'due'],
    ['a live token with a running attempt', { ...LIVE, leaseUntil: NOW + 1 }, later, 'due'],
    ['a token that has ended', EXPIRED, later, 'expired'],
    ['a token that ends now', { ...LIVE, expiresAt: NOW }, later, 'expired'],
    ['no token ever', EMPTY_STATE, later, 'never issued'],
    ['a failure, with a live token', { ...LIVE, failures: 1 }, later, 'failing'],
    ['a failure before any token', { ...EMPTY_STATE, failures: 1 }, later, 'failing'],
  ])('%s has its word', (_what, state, standing, condition) => {
    expect(conditionOf(state, standing, NOW)).toBe(condition);
  });
});

test.each([
  [NOW, '2026-11-22T12:00:00Z (now)'],
  [NOW + 61_000, '2026-11-22T12:01:01Z (in 1m 1s)'],
  [NOW - 3_600_000, '2026-11-22T11:00:00Z (1h ago)'],
])('the moment %d is on the clock and from now: %s', (at, text) => {
  expect(formatMoment(at, NOW)).toBe(text);
});
