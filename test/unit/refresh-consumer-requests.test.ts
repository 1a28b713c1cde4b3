import { describe, expect, it, test } from 'vitest';
import type { Target } from '../../src/core/client.ts';
import { EMPTY_STATE, type TargetState } from '../../src/core/state.ts';
import { answerConsumer, type ConsumerRequest } from '../../src/refresh/consumer-requests.ts';
import type { CataloguePort, IndexesPort, StatesPort } from '../../src/refresh/ports.ts';

const NOW = 1_800_000_000_000;
const ID = 'billing/contoso/graph';
const LIVE: Partial<TargetState> = {
  generation: 7,
  attempted: 7,
  issuedAt: NOW - 1000,
  expiresAt: NOW + 60_000,
};

const rejected = (generation: string | undefined = '7', target = ID): ConsumerRequest => ({
  target,
  reason: 'rejected',
  generation,
});
const missing: ConsumerRequest = { target: ID, reason: 'missing', generation: undefined };

/** A fleet with one managed target, and what was done to it. */
function fleet(
  changes: Partial<TargetState>,
  { keyThere = true, retireUnreadAfterMs = 0, dueAt = NOW } = {},
) {
  let state: TargetState = { ...EMPTY_STATE, ...changes };
  const done: string[] = [];
  const catalogue: Pick<CataloguePort, 'get'> = {
    get: (id) =>
      id === ID
        ? ({
            ...{ id, host: 'idp.example:443', identical: { count: 9, windowMs: 300_000 } },
            retireUnreadAfterMs: retireUnreadAfterMs || undefined,
          } as Target)
        : undefined,
  };
  const states: Pick<StatesPort, 'read' | 'want'> = {
    read: async (ids) => ids.map(() => state),
    want: async (_id, by, _order, onlyIf) => {
      if (onlyIf !== state.generation) return { outcome: 'superseded' };
      state = { ...state, wanted: state.generation + 1, wantedBy: by };
      done.push(`want ${by}`);
      return { outcome: 'wanted' };
    },
  };
  let due = dueAt;
  const indexes: Pick<IndexesPort, 'setDue' | 'dueAt'> = {
    setDue: async (host, ids, at) => {
      due = at;
      done.push(`due ${host} ${ids} ${at === NOW ? 'now' : at}`);
    },
    dueAt: async () => [due],
  };
  const answer = (request: ConsumerRequest) =>
    answerConsumer(request, {
      catalogue: () => catalogue as CataloguePort,
      states: states as StatesPort,
      indexes: indexes as IndexesPort,
      clock: { now: async () => NOW },
      tokenExists: async () => keyThere,
      wake: () => void done.push('wake'),
    });
  const change = (next: Partial<TargetState>) => {
    state = { ...state, ...next };
  };
  return { answer, done, change };
}

const MADE_DUE = [`due idp.example:443 ${ID} now`, 'wake'];

describe('a consumer whose token was rejected', () => {
  it('gets another one, at once', async () => {
    const { answer, done } = fleet(LIVE);
    expect(await answer(rejected())).toBe('wanted');
    expect(done).toEqual(['want by a consumer: rejected by the resource', ...MADE_DUE]);
  });

  it('causes one order, however often it says so', async () => {
    const { answer, done } = fleet(LIVE);
    for (let i = 0; i < 100; i++) await answer(rejected());
    expect(done.filter((what) => what.startsWith('want'))).toHaveLength(1);
    expect(done).toHaveLength(3);
  });

  it('causes none with a token that has been replaced since', async () => {
    const { answer, done, change } = fleet(LIVE);
    await answer(rejected());
    change({ generation: 9, attempted: 9, wanted: 0 });
    done.length = 0;
    for (let i = 0; i < 10; i++) expect(await answer(rejected('7'))).toBe('ignored');
    expect(done).toEqual([]);
  });

  test.each([undefined, '', '0', '6', '8', '07', '7.0', '+7', ' 7', '7 ', 'NaN', '1e0'])(
    'causes none when it names generation %j instead of 7',
    async (generation) => {
      const { answer, done } = fleet(LIVE);
      expect(await answer({ ...rejected(), generation })).toBe('ignored');
      expect(done).toEqual([]);
    },
  );

  it('causes none where there never was a token', async () => {
    const { answer, done } = fleet({});
    expect(await answer(rejected('0'))).toBe('ignored');
    expect(done).toEqual([]);
  });

  it('causes none when somebody was faster to publish another', async () => {
    const { answer, done, change } = fleet(LIVE);
    const answering = answer(rejected());
    change({ generation: 8 });
    expect(await answering).toBe('ignored');
    expect(done).toEqual([]);
  });
});

describe('a consumer that misses a token', () => {
  it('that was never issued has it looked at before all that nobody has asked for', async () => {
    const { answer, done } = fleet({});
    expect(await answer(missing)).toBe('looked at');
    expect(done).toEqual([`due idp.example:443 ${ID} 0`, 'wake']);
  });

  test.each<[what: string, changes: Partial<TargetState>]>([
    ['that has expired', { ...LIVE, expiresAt: NOW }],
    ['that failed, and may be tried again', { ...LIVE, expiresAt: NOW, failures: 1, retryAt: NOW }],
  ])('%s has it looked at now', async (_what, changes) => {
    const { answer, done } = fleet(changes);
    expect(await answer(missing)).toBe('looked at');
    expect(done).toEqual(MADE_DUE);
  });

  test.each<[what: string, changes: Partial<TargetState>]>([
    ['that is there', LIVE],
    ['that is backing off', { failures: 1, retryAt: NOW + 1 }],
    ['that is being fetched', { leaseUntil: NOW + 1 }],
    ['that is wanted already', { wanted: 1 }],
  ])('%s changes nothing', async (_what, changes) => {
    const { answer, done } = fleet(changes);
    expect(await answer(missing)).toBe('ignored');
    expect(done).toEqual([]);
  });

  it('whose key somebody has deleted gets another one, once', async () => {
    const { answer, done } = fleet(LIVE, { keyThere: false });
    expect(await answer(missing)).toBe('wanted');
    expect(await answer(missing)).toBe('ignored');
    expect(done).toEqual(['want by a consumer: the token key is gone', ...MADE_DUE]);
  });
});

test.each<[what: string, request: ConsumerRequest]>([
  ['of a target that is not managed', { ...rejected(), target: 'billing/fabrikam/graph' }],
  ['of no target', { ...rejected(), target: '' }],
  ['of a malformed target', { ...rejected(), target: 'billing/contoso/graph/more' }],
  ['of a target with a line break', { ...rejected(), target: `${ID}\n` }],
  ['of something enormous', { ...rejected(), target: 'a/'.repeat(100_000) }],
  ['of an unknown reason', { ...rejected(), reason: 'boredom' }],
  ['of no reason', { ...rejected(), reason: '' }],
])('a request %s is ignored', async (_what, request) => {
  const { answer, done } = fleet(LIVE);
  expect(await answer(request)).toBe('ignored');
  expect(done).toEqual([]);
});

describe('a dormant target', () => {
  const DORMANT = { ...LIVE, issuedAt: NOW - 9000, expiresAt: NOW - 1000, dormantSince: NOW - 5000 };
  const woken = ['want by a consumer: it was dormant', ...MADE_DUE];

  test.each([
    ['misses it', missing, DORMANT],
    ['misses it before its token has ended', missing, { ...DORMANT, expiresAt: NOW + 1000 }],
    ['had its token rejected', rejected(), DORMANT],
    ['had an older token rejected', rejected('6'), DORMANT],
  ])('is woken when a consumer %s, once', async (_what, request, state) => {
    const { answer, done } = fleet(state, { retireUnreadAfterMs: 1 });
    expect(await answer(request)).toBe('wanted');
    expect(await answer(request)).toBe('ignored');
    expect(done).toEqual(woken);
  });

  it('that was wanted and never came due, as when who woke it was killed, is made due by whoever asks next, once', async () => {
    const { answer, done } = fleet(
      { ...DORMANT, wanted: 8 },
      { retireUnreadAfterMs: 1, dueAt: NOW + 400 * 86_400_000 },
    );
    expect(await answer(missing)).toBe('looked at');
    expect(await answer(missing)).toBe('ignored');
    expect(done).toEqual(MADE_DUE);
  });

  it('is not woken by what is no question', async () => {
    const { answer, done } = fleet(DORMANT, { retireUnreadAfterMs: 1 });
    expect(await answer({ ...missing, reason: 'hello' })).toBe('ignored');
    expect(done).toEqual([]);
  });
});
