import { describe, expect, it, test } from 'vitest';
import type { Target } from '../../src/core/client.ts';
import { type Marks, reduceMarks, seeCredentials } from '../../src/core/credential-marks.ts';
import type { DispatchResult, Due, Filed } from '../../src/core/filing.ts';
import { READY_BAND } from '../../src/core/rank.ts';
import { EMPTY_STATE, type TargetState } from '../../src/core/state.ts';
import { Dispatcher } from '../../src/refresh/dispatch.ts';
import type { CataloguePort } from '../../src/refresh/ports.ts';

const NOW = 1_800_000_000_000;
const HOST = 'idp.example:443';
const RATE = { count: 50, windowMs: 1000 };
type Ok = Extract<DispatchResult, { outcome: 'ok' }>;

const HOUR = 3_600_000;
const STATES: Record<string, Partial<TargetState>> = {
  'c/fresh/r': { issuedAt: NOW - HOUR / 6, expiresAt: NOW + (HOUR * 5) / 6 },
  'c/due/r': { issuedAt: NOW - HOUR / 2, expiresAt: NOW + HOUR / 2 },
  'c/ending/r': { issuedAt: NOW - 0.95 * HOUR, expiresAt: NOW + 0.05 * HOUR, readAt: NOW - 5 * HOUR },
  'c/unread/r': { issuedAt: NOW - HOUR / 2, expiresAt: NOW + HOUR / 2, readAt: NOW - 5 * HOUR },
  'c/dormant/r': { issuedAt: NOW - 9 * HOUR, expiresAt: NOW - 8 * HOUR, dormantSince: NOW - 8 * HOUR },
  'c/expired/r': { issuedAt: NOW - 2 * HOUR, expiresAt: NOW - HOUR },
  'c/never/r': {},
  'c/failing/r': { failures: 2, retryAt: NOW - 1 },
  'c/parked/r': { failures: 2, retryAt: NOW + 7000 },
  'c/wanted/r': { issuedAt: NOW, expiresAt: NOW + HOUR, generation: 5, attempted: 5, wanted: 6 },
  'c/leased/r': { leaseUntil: NOW + 9000 },
};

interface Scene {
  readonly answers?: readonly (Partial<Ok> | 'epoch lost')[];
  readonly paused?: Readonly<Record<string, number>>;
  readonly draw?: number;
  readonly enqueue?: (targets: readonly string[]) => Promise<void>;
  /** What is known of the credentials of each client. */
  readonly marks?: Readonly<Record<string, Marks>>;
  /** Of every host of the configuration. */
  readonly rates?: readonly { count: number; windowMs: number }[];
  readonly retireUnreadAfterMs?: number;
  /** Since a token was last read; unknown where nothing is said. */
  readonly idleMs?: Readonly<Record<string, number>>;
  /** Another token or attempt comes before a target can be retired. */
  readonly moved?: boolean;
  /** Whether all processes have the same configuration, each time that it is asked. */
  readonly mayRetire?: () => boolean;
}

/** A dispatcher before an index that answers as told: what it filed, queued and asked for. */
function scene({ answers = [], paused = {}, draw = 0.5, enqueue, rates = [RATE], ...others }: Scene) {
  const { marks = {}, retireUnreadAfterMs, idleMs = {}, moved = false, mayRetire = () => true } = others;
  const filed: (readonly Filed[])[] = [];
  const asked: { epoch: string; host: string; mostWaiting: number }[] = [];
  const queued: string[] = [];
  const asksIdle: string[] = [];
  const retired: string[] = [];
  const rest = [...answers];
  const catalogue: Pick<CataloguePort, 'get' | 'hosts'> = {
    hosts: () => new Map(rates.map((perHost, i) => [i === 0 ? HOST : `other-${i}`, { perHost }])),
    get: (id) =>
      id in STATES
        ? ({
            ...{ id, outageTargetMs: 1_200_000, identical: { count: 5, windowMs: 300_000 } },
            retireUnreadAfterMs,
          } as Target)
        : undefined,
  };
  const dispatcher = new Dispatcher(HOST, {
    catalogue: () => catalogue as CataloguePort,
    states: {
      read: async (ids) => ids.map((id) => ({ ...EMPTY_STATE, ...STATES[id] })),
      idleMs: async (ids) => {
        asksIdle.push(...ids);
        return ids.map((id) => idleMs[id]);
      },
      retire: async (id) => {
        retired.push(id);
        return !moved;
      },
    },
    indexes: {
      dispatch: async (epoch, host, _perHost, mostWaiting, entries) => {
        asked.push({ epoch, host, mostWaiting });
        filed.push(entries);
        const answer = rest.shift() ?? {};
        if (answer === 'epoch lost') return { outcome: 'epoch' };
        const nothing = { now: NOW, closedUntil: 0, nextDueAt: 0, waiting: 0, claimed: [], due: [] };
        return { outcome: 'ok', ...nothing, ...answer };
      },
    },
    marks: { read: async (clients) => clients.map((client) => marks[client] ?? []) },
    enqueue: enqueue ?? (async (targets) => void queued.push(...targets)),
    pausedUntil: (target) => paused[target],
    mayRetire,
    epoch: () => 'epoch-1',
    draw: () => draw,
  });
  return { dispatcher, filed, queued, asked, asksIdle, retired };
}

const due = (...targets: string[]): Due[] => targets.map((target) => ({ target, dueAt: NOW - 5 }));

async function fileOf(target: string, others: Omit<Scene, 'answers'> = {}): Promise<Filed | undefined> {
  const { dispatcher, filed } = scene({ answers: [{ due: due(target) }], ...others });
  await dispatcher.step(RATE);
  await dispatcher.step(RATE);
  return filed[1]?.[0];
}

describe('a target that has come due', () => {
  test.each<[target: string, score: number]>([
    ['c/due/r', NOW + HOUR / 2],
    ['c/expired/r', NOW - HOUR],
    ['c/never/r', READY_BAND + NOW - 5],
    ['c/failing/r', 2 * READY_BAND],
    ['c/wanted/r', 3 * READY_BAND + NOW - 5],
  ])('%s is ready', async (target, score) => {
    expect(await fileOf(target)).toEqual({ target, seen: NOW - 5, as: 'ready', score });
  });

  test.each<[target: string, waitMs: number]>([
    ['c/parked/r', 7000],
    ['c/leased/r', 9000],
    ['c/unknown/r', 2750],
    ['nonsense', 2750],
  ])('%s waits', async (target, waitMs) => {
    expect(await fileOf(target)).toEqual({ target, seen: NOW - 5, as: 'wait', score: NOW + waitMs });
  });

  it('though fresh waits for a moment of its window', async () => {
    const scores = await Promise.all([0, 0.999].map((draw) => fileOf('c/fresh/r', { draw })));
    const [earliest, latest] = scores.map((entry) => Math.round(((entry?.score ?? 0) - NOW) / 60_000));
    expect([earliest, latest]).toEqual([Math.round(0.395 * 60 - 10), 29]);
  });

  it('though paused waits for the end of the pause', async () => {
    const paused = { 'c/due/r': NOW + 12_345, 'c/never/r': NOW };
    expect(await fileOf('c/due/r', { paused })).toMatchObject({ as: 'wait', score: NOW + 12_345 });
    expect(await fileOf('c/never/r', { paused })).toMatchObject({ as: 'ready' });
  });

  it('though paused for long is looked at every while, for the pause may be shortened or ended', async () => {
    const paused = { 'c/due/r': NOW + 7_200_000 };
    expect(await fileOf('c/due/r', { paused })).toMatchObject({ as: 'wait', score: NOW + 30_000 });
  });

  it('waits without a call while every credential of its client is refused, and for no longer', async () => {
    const refusal = { kind: 'refused', fingerprint: 'x', scope: 't', code: 'AADSTS7000215' } as const;
    const refused = reduceMarks([], { ...refusal, startedAt: NOW - 10, needed: 1 }, NOW - 10);
    const held = { as: 'wait', score: NOW - 10 + 30_000 + 5000 };
    expect(await fileOf('c/due/r', { marks: { c: refused } })).toMatchObject(held);
    expect(await fileOf('c/wanted/r', { marks: { c: refused } })).toMatchObject(held);
    const another = seeCredentials(refused, ['y'], NOW);
    expect(await fileOf('c/due/r', { marks: { c: another } })).toMatchObject({ as: 'ready' });
    expect(await fileOf('c/due/r', { marks: { other: refused } })).toMatchObject({ as: 'ready' });
  });

  it('is not asked about its readers where unread targets do not retire, nor where it is known to be read', async () => {
    const all = { answers: [{ due: due(...Object.keys(STATES)) }] };
    const off = scene(all);
    await off.dispatcher.step(RATE);
    expect(off).toMatchObject({ asksIdle: [], retired: [] });
    const on = scene({ ...all, retireUnreadAfterMs: 2 * HOUR });
    await on.dispatcher.step(RATE);
    expect(on.asksIdle.toSorted()).toEqual(['c/ending/r', 'c/unread/r']);
  });

  it('though nobody reads it is looked at once more near its end, and then left alone', async () => {
    const retires = { retireUnreadAfterMs: 2 * HOUR };
    const idleMs = { 'c/unread/r': 5 * HOUR, 'c/ending/r': 5 * HOUR };
    const { dispatcher, filed, retired } = scene({
      ...{ ...retires, idleMs, answers: [{ due: due('c/unread/r', 'c/ending/r', 'c/dormant/r') }] },
    });
    await dispatcher.step(RATE);
    await dispatcher.step(RATE);
    const days = filed[1]?.map(({ as, score }) => [as, (score - NOW) / 24 / HOUR]);
    expect(days).toEqual([
      ['wait', 0.4 / 24],
      ['wait', 415],
      ['wait', 415],
    ]);
    expect(retired).toEqual(['c/ending/r', 'c/dormant/r']);
  });

  it('that was to be left alone and has just changed is looked at again', async () => {
    const options = { retireUnreadAfterMs: 2 * HOUR, idleMs: { 'c/ending/r': 5 * HOUR }, moved: true };
    expect(await fileOf('c/ending/r', options)).toMatchObject({ as: 'wait', score: NOW + 1000 });
  });

  it('and is unread is refreshed on, and nobody asks, while the fleet has different configurations', async () => {
    const { dispatcher, filed, asksIdle, retired } = scene({
      ...{ retireUnreadAfterMs: 2 * HOUR, idleMs: { 'c/unread/r': 5 * HOUR, 'c/ending/r': 5 * HOUR } },
      ...{ answers: [{ due: due('c/unread/r', 'c/ending/r', 'c/dormant/r') }], mayRetire: () => false },
    });
    await dispatcher.step(RATE);
    await dispatcher.step(RATE);
    expect(filed[1]?.map(({ as, score }) => [as, as === 'ready' || score - NOW])).toEqual([
      ['ready', true],
      ['ready', true],
      ['wait', 1000],
    ]);
    expect({ asksIdle, retired }).toEqual({ asksIdle: [], retired: [] });
  });

  it('and was found unread just before another configuration came does not retire', async () => {
    const answers = [true, false];
    const mayRetire = () => answers.shift() ?? false;
    const options = { retireUnreadAfterMs: 2 * HOUR, idleMs: { 'c/ending/r': 5 * HOUR }, mayRetire };
    expect(await fileOf('c/ending/r', options)).toMatchObject({ as: 'wait', score: NOW + 1000 });
  });

  it('and has been read, or of which nobody can tell, is ready', async () => {
    const retires = { retireUnreadAfterMs: 2 * HOUR };
    const read = { ...retires, idleMs: { 'c/ending/r': HOUR } };
    expect(await fileOf('c/ending/r', read)).toMatchObject({ as: 'ready' });
    expect(await fileOf('c/ending/r', retires)).toMatchObject({ as: 'ready' });
  });

  it('is filed once, with the next step', async () => {
    const { dispatcher, filed } = scene({ answers: [{ due: due('c/due/r', 'c/parked/r') }] });
    for (let i = 0; i < 3; i++) await dispatcher.step(RATE);
    expect(filed.map((entries) => entries.length)).toEqual([0, 2, 0]);
  });
});

describe('a step', () => {
  it('queues what it claimed, and tells what it did', async () => {
    const { dispatcher, queued, asked } = scene({ answers: [{ claimed: ['c/due/r', 'x/y/z'], waiting: 3 }] });
    const step = await dispatcher.step(RATE);
    expect(step).toEqual({ outcome: 'stepped', claimed: 2, waiting: 3, sleepMs: 40 });
    expect(queued).toEqual(['c/due/r', 'x/y/z']);
    expect(asked).toEqual([{ epoch: 'epoch-1', host: HOST, mostWaiting: 100 }]);
  });

  it('queues nothing that was paused since it became ready', async () => {
    const paused = { 'c/due/r': NOW + 1, 'c/never/r': NOW };
    const { dispatcher, queued } = scene({ answers: [{ claimed: ['c/due/r', 'c/never/r'] }], paused });
    await dispatcher.step(RATE);
    expect(queued).toEqual(['c/never/r']);
  });

  it('in an epoch that is lost does nothing, and files nothing of it later', async () => {
    const { dispatcher, filed, queued } = scene({ answers: [{ due: due('c/due/r') }, 'epoch lost'] });
    await dispatcher.step(RATE);
    expect(await dispatcher.step(RATE)).toEqual({ outcome: 'epoch lost' });
    await dispatcher.step(RATE);
    expect(filed.map((entries) => entries.length)).toEqual([0, 1, 0]);
    expect(queued).toEqual([]);
  });

  it('whose jobs cannot be queued fails, and the next one begins anew', async () => {
    const enqueue = async () => Promise.reject(new Error('queue'));
    const { dispatcher, filed } = scene({
      answers: [{ claimed: ['c/due/r'], due: due('c/due/r') }],
      enqueue,
    });
    await expect(dispatcher.step(RATE)).rejects.toThrow('queue');
    expect(await dispatcher.step(RATE)).toMatchObject({ claimed: 0 });
    expect(filed[1]).toEqual([]);
  });

  test.each<[what: string, answer: Partial<Ok>, sleepMs: number]>([
    ['when nothing is managed', {}, 500],
    ['when there is something to file', { due: due('c/due/r'), waiting: 9, closedUntil: NOW + 9000 }, 0],
    ['while work waits for the rate', { waiting: 1 }, 40],
    ['while work waits for a gate that opens soon', { waiting: 1, closedUntil: NOW + 90 }, 90],
    ['while work waits for a gate that opens late', { waiting: 1, closedUntil: NOW + 90_000 }, 500],
    ['when the next is due soon', { nextDueAt: NOW + 120 }, 120],
    ['when the next is due at once', { nextDueAt: NOW }, 1],
    [
      'when the next is due before the gate opens',
      { waiting: 1, closedUntil: NOW + 400, nextDueAt: NOW + 90 },
      90,
    ],
    ['when the next is due before the tick for which others wait', { waiting: 1, nextDueAt: NOW + 9 }, 40],
    ['when the next is due late', { nextDueAt: NOW + 90_000 }, 500],
    ['when the clock went back', { nextDueAt: NOW - 90_000 }, 1],
  ])('%s, is followed by another', async (_what, answer, sleepMs) => {
    const { dispatcher } = scene({ answers: [answer] });
    expect(await dispatcher.step(RATE)).toMatchObject({ sleepMs });
  });

  test.each([
    [50, 1000, 100],
    [1, 60_000, 1],
    [3, 4000, 2],
    [100_000, 1000, 2000],
  ])('at a rate of %i in %i ms lets %i jobs wait', async (count, windowMs, mostWaiting) => {
    const { dispatcher, asked } = scene({ rates: [{ count, windowMs }] });
    await dispatcher.step({ count, windowMs });
    expect(asked[0]?.mostWaiting).toBe(mostWaiting);
  });

  it('lets as many jobs wait as all hosts together may send, since the queue is one for all', async () => {
    const slow = { count: 1, windowMs: 1000 };
    const { dispatcher, asked } = scene({ rates: [slow, { count: 50, windowMs: 1000 }] });
    await dispatcher.step(slow);
    expect(asked[0]?.mostWaiting).toBe(102);
  });
});
