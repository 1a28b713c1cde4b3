import { describe, expect, it, test } from 'vitest';
import type { Target } from '../../src/core/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { EMPTY_STATE, type TargetState } from '../../src/core/state.ts';
import { Memory } from '../../src/refresh/memory.ts';
import type { CataloguePort, IndexesPort, StatesPort } from '../../src/refresh/ports.ts';
import { Reconciler } from '../../src/refresh/reconcile.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;

type Hosts = Record<string, readonly string[]>;
const many = (client: string, count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `${client}/tenant-${from + i}/graph`);

/** A state, and whether its client retires what is unread. */
type Known = Partial<TargetState> & { readonly retires?: boolean };

/** A Redis that manages `managed`, and a configuration that names `configured`: host -> targets. */
function scene(configured: Hosts, managed: Hosts, known: Record<string, Known> = {}) {
  const done: string[] = [];
  const index = new Map(
    Object.entries(managed).map(([host, ids]) => [host, new Map(ids.map((id) => [id, NOW + 1]))]),
  );
  const hostOf = new Map(Object.entries(configured).flatMap(([host, ids]) => ids.map((id) => [id, host])));
  const policy = {
    fingerprint: 'AbCdEf01',
    outageTargetMs: HOUR / 3,
    identical: { count: 5, windowMs: 300_000 },
  };
  const perHost = { count: 50, windowMs: 1000 };
  const catalogue: Pick<CataloguePort, 'get' | 'ids' | 'hosts' | 'size'> = {
    hosts: () => new Map(Object.keys(configured).map((host) => [host, { perHost }])),
    get: (id) =>
      hostOf.has(id)
        ? ({
            ...{ id, host: hostOf.get(id), ...policy },
            retireUnreadAfterMs: known[id]?.retires === true ? HOUR : undefined,
          } as Target)
        : undefined,
    ids: () => hostOf.keys(),
    size: hostOf.size,
  };
  const indexes: Pick<IndexesPort, 'hosts' | 'count' | 'scan' | 'remove' | 'dueAt' | 'enlist' | 'setDue'> = {
    hosts: async () => [...index.keys()],
    count: async (host) => index.get(host)?.size ?? 0,
    scan: async function* (host) {
      const all = [...(index.get(host) ?? [])].map(([target, dueAt]) => ({ target, dueAt }));
      for (let i = 0; i < all.length; i += 3) yield all.slice(i, i + 3);
    },
    remove: async (host, ids) => {
      for (const id of ids) index.get(host)?.delete(id);
      done.push(...ids.map((id) => `remove ${host} ${id}`));
    },
    dueAt: async (host, ids) => ids.map((id) => index.get(host)?.get(id)),
    enlist: async (_host, entries) =>
      void done.push(
        ...entries.map(({ target, dueAt }) => `enlist ${target} in ${Math.round((dueAt - NOW) / 60_000)}m`),
      ),
    setDue: async (_host, ids) => void done.push(...ids.map((id) => `due ${id}`)),
  };
  const states: Pick<StatesPort, 'read' | 'want' | 'erase' | 'restore'> = {
    read: async (ids) => ids.map((id) => ({ ...EMPTY_STATE, ...known[id] })),
    want: async (id, by) => {
      done.push(`want ${id}: ${by}`);
      return { outcome: 'wanted' };
    },
    erase: async (id, forget) => {
      done.push(`erase ${id}${forget ? '' : ' but remember it'}`);
      return true;
    },
    restore: async ({ id }, token, log) => {
      done.push(`restore ${id} ${token?.generation} ${log.length}`);
      return token !== undefined;
    },
  };
  let clockMs = 0;
  const rests: number[] = [];
  const memory = new Memory();
  const reconciler = new Reconciler({
    catalogue: () => catalogue as CataloguePort,
    states: states as StatesPort,
    indexes: indexes as IndexesPort,
    clock: { now: async () => NOW },
    memory,
    draw: () => 0.5,
    elapsed: () => (clockMs += 5),
    sleep: async (ms) => void rests.push(ms),
  });
  const configure = (id: string, host: string) => hostOf.set(id, host);
  return { reconciler, memory, index, done, rests, configure };
}

const AGREED = async (): Promise<boolean> => true;

describe('targets that the configuration no longer names', () => {
  test.each<[gone: number, of: number, removed: boolean]>([
    [1, 5, true],
    [2, 10, true],
    [20, 100, true],
    [7, 35, true],
    [1, 4, false],
    [21, 100, false],
    [2, 9, false],
    [1, 1, false],
    [100, 100, false],
  ])('%i of %i: removed without a confirmation: %j', async (gone, of, removed) => {
    const { reconciler, done } = scene({ h: many('c', of - gone) }, { h: many('c', of) });
    const removals = await reconciler.removeAbsent(AGREED);
    const absent = many('c', gone, of - gone);
    expect(removals.removed).toEqual(removed ? absent : []);
    expect([...removals.awaitingConfirmation]).toEqual(removed ? [] : [['c', gone]]);
    expect(done.toSorted()).toEqual(
      removed ? absent.flatMap((id) => [`remove h ${id}`, `erase ${id}`]).sort() : [],
    );
  });

  it('are counted client by client: one that loses many does not hold up one that loses few', async () => {
    const configured = { h: [...many('few', 9), ...many('many', 5)] };
    const { reconciler } = scene(configured, { h: [...many('few', 10), ...many('many', 10)] });
    const removals = await reconciler.removeAbsent(AGREED);
    expect(removals.removed).toEqual(['few/tenant-9/graph']);
    expect([...removals.awaitingConfirmation]).toEqual([['many', 5]]);
  });

  it('are not looked for where there are none', async () => {
    const { reconciler, done } = scene({ h: many('c', 3) }, { h: many('c', 3) });
    expect(await reconciler.removeAbsent(AGREED)).toEqual({ removed: [], awaitingConfirmation: new Map() });
    expect(done).toEqual([]);
  });

  it('wait for a confirmation when nothing is configured at all', async () => {
    const { reconciler, done } = scene({}, { h: many('c', 3) });
    expect([...(await reconciler.removeAbsent(AGREED)).awaitingConfirmation]).toEqual([['c', 3]]);
    expect(done).toEqual([]);
  });

  it('go when an operator has confirmed it, for that client alone', async () => {
    const configured = { h: [...many('a', 1), ...many('b', 1)] };
    const { reconciler } = scene(configured, { h: [...many('a', 3), ...many('b', 3)] });
    const removals = await reconciler.removeAbsent(AGREED, (client) => client === 'b');
    expect(removals.removed).toEqual(many('b', 2, 1));
    expect([...removals.awaitingConfirmation]).toEqual([['a', 2]]);
  });

  it('are no longer remembered, so that they are not given back', async () => {
    const { reconciler, memory } = scene({ h: many('c', 9) }, { h: many('c', 10) });
    const accessToken = new Secret('x');
    const times = { issuedAt: NOW, expiresAt: NOW + HOUR };
    memory.rememberToken('c/tenant-9/graph', {
      ...{ accessToken, tokenType: 'Bearer', ...times, generation: 1 },
      ...{ digest: '', tenantId: '', refreshInMs: 0 },
    });
    await reconciler.removeAbsent(AGREED);
    expect(memory.live(NOW, 1).size).toBe(0);
  });
});

it('a target whose token is given back is due where it is still planned as a dormant one', async () => {
  const [awake = '', overslept = ''] = many('c', 2);
  const { reconciler, done, memory, index } = scene({ h: [awake, overslept] }, { h: [awake, overslept] });
  for (const id of [awake, overslept])
    memory.rememberToken(id, {
      ...{ accessToken: new Secret('x'), tokenType: 'Bearer', generation: 1 },
      ...{ issuedAt: NOW, expiresAt: NOW + HOUR, digest: '', tenantId: '', refreshInMs: 0 },
    });
  index.get('h')?.set(overslept, NOW + 400 * 24 * HOUR);
  expect(await reconciler.restore('everything')).toBe(2);
  expect(done.filter((line) => line.startsWith('due'))).toEqual([`due ${overslept}`]);
});

describe('targets that have moved to another host', () => {
  it('are forgotten by the old one, and keep their tokens, however many they are', async () => {
    const ids = many('c', 4);
    const { reconciler, done } = scene({ new: ids }, { new: ids, old: ids });
    expect((await reconciler.removeAbsent(AGREED)).removed).toEqual([]);
    expect(done.toSorted()).toEqual(ids.map((id) => `remove old ${id}`));
  });

  it('do not make the share of what is gone look smaller', async () => {
    const { reconciler } = scene({ new: many('c', 70) }, { new: many('c', 70), old: many('c', 100) });
    const removals = await reconciler.removeAbsent(AGREED);
    expect([...removals.awaitingConfirmation]).toEqual([['c', 30]]);
    expect(removals.removed).toEqual([]);
  });

  it('are forgotten by the old one also while others of their client wait for a confirmation', async () => {
    const { reconciler, done } = scene({ new: many('c', 2) }, { new: many('c', 2), old: many('c', 4) });
    await reconciler.removeAbsent(AGREED);
    expect(done.toSorted()).toEqual(many('c', 2).map((id) => `remove old ${id}`));
  });
});

describe('targets that are enlisted', () => {
  const [id = ''] = many('c', 1);
  const live = {
    generation: 3,
    issuedAt: NOW - HOUR / 6,
    expiresAt: NOW + (HOUR * 5) / 6,
    fingerprint: 'AbCdEf01',
  };
  const dormant = {
    ...{ ...live, issuedAt: NOW - 2 * HOUR, expiresAt: NOW - HOUR },
    ...{ dormantSince: NOW - HOUR, retires: true },
  };
  const refused = { ...live, failure: { kind: 'credential', code: 'x' } } as const;

  test.each<[what: string, managed: boolean, state: Known, retryParked: boolean, done: string[]]>([
    ['for the first time are due now', false, {}, true, [`enlist ${id} in 0m`]],
    ['with a live token are due in its window', false, live, true, [`enlist ${id} in 22m`]],
    ['already are left alone', true, live, true, []],
    ['already and are dormant stay so, through a start too', true, dormant, true, []],
    ['and are dormant stay so when their index was lost', false, dormant, true, [`enlist ${id} in 597600m`]],
    [
      'already and are dormant where this is no longer configured are wanted',
      true,
      { ...dormant, retires: false },
      true,
      [`want ${id}: its client no longer retires what is unread`, `due ${id}`],
    ],
    [
      'already and are dormant are wanted with another request',
      true,
      { ...dormant, fingerprint: 'other' },
      false,
      [`want ${id}: its configuration has changed`, `due ${id}`],
    ],
    [
      'already, after a refusal, are tried again after a start',
      true,
      refused,
      true,
      [`want ${id}: tried again after a start or a change of the configuration`, `due ${id}`],
    ],
    ['already, after a refusal, are left alone otherwise', true, refused, false, []],
    [
      'with another request are wanted anew',
      true,
      { ...live, fingerprint: 'other' },
      false,
      [`want ${id}: its configuration has changed`, `due ${id}`],
    ],
  ])('%s', async (_what, managed, state, retryParked, expected) => {
    const { reconciler, done } = scene({ h: [id] }, { h: managed ? [id] : [] }, { [id]: state });
    await reconciler.enlist({ retryParked });
    expect(done).toEqual(expected);
  });
});

describe('while the index is looked through', () => {
  it('a target that is configured again stays, with its token', async () => {
    const { reconciler, done, configure } = scene({ h: many('c', 9) }, { h: many('c', 10) });
    const agreed = async (): Promise<boolean> => {
      configure('c/tenant-9/graph', 'h');
      return true;
    };
    expect((await reconciler.removeAbsent(agreed)).removed).toEqual([]);
    expect(done).toEqual([]);
  });

  it('a process that comes with another configuration keeps everything', async () => {
    const { reconciler, done } = scene({ h: many('c', 9) }, { h: many('c', 10) });
    expect((await reconciler.removeAbsent(async () => false)).removed).toEqual([]);
    expect(done).toEqual([]);
  });
});

describe('a refresh that runs while the configuration changes', () => {
  const [id = ''] = many('c', 1);
  const running = { leaseUntil: NOW + 1 };
  const before = (fingerprint: string): Pick<CataloguePort, 'get'> => ({
    get: () => ({ id, fingerprint }) as Target,
  });

  test.each<[what: string, state: Partial<TargetState>, before: string, done: string[]]>([
    [
      'with another request is done again',
      running,
      'other',
      [`want ${id}: its configuration has changed`, `due ${id}`],
    ],
    ['with the same request is left alone', running, 'AbCdEf01', []],
    ['is not there: nothing is to be done', {}, 'other', []],
  ])('%s', async (_what, state, fingerprint, expected) => {
    const { reconciler, done } = scene({ h: [id] }, { h: [id] }, { [id]: state });
    await reconciler.enlist({ retryParked: true, before: before(fingerprint) as CataloguePort });
    expect(done).toEqual(expected);
  });
});

const NOTHING_BEFORE = { get: () => undefined } as unknown as CataloguePort;

it('beside refreshes that run makes what is new due at twice the pace of its host, each client for itself', async () => {
  const { reconciler, done } = scene({ a: [...many('a', 12_001), ...many('b', 1)] }, {});
  await reconciler.enlist({ retryParked: false, before: NOTHING_BEFORE });
  const [first, middle, last] = [0, 6000, 12_000].map((i) =>
    done.find((line) => line.includes(`a/tenant-${i}/`)),
  );
  expect([first, middle, last]).toEqual([
    'enlist a/tenant-0/graph in 0m',
    'enlist a/tenant-6000/graph in 1m',
    'enlist a/tenant-12000/graph in 2m',
  ]);
  expect(done).toContain('enlist b/tenant-0/graph in 0m');
});

it('at a start as well, so that a large client and a small one begin side by side', async () => {
  const { reconciler, done } = scene({ a: [...many('a', 12_001), ...many('b', 1)] }, {});
  await reconciler.enlist({ retryParked: true });
  expect(done).toContain('enlist a/tenant-0/graph in 0m');
  expect(done).toContain('enlist a/tenant-12000/graph in 2m');
  expect(done).toContain('enlist b/tenant-0/graph in 0m');
});

it('leaves half of the time to the refreshes that run, and takes all of it at a start', async () => {
  const { reconciler, rests } = scene({ a: many('a', 1000) }, {});
  await reconciler.enlist({ retryParked: true });
  expect(rests).toEqual([]);
  await reconciler.enlist({
    retryParked: true,
    before: NOTHING_BEFORE,
  });
  expect(rests).toEqual([5, 5, 5, 5, 5]);
});

it('takes up many targets in chunks, each once', async () => {
  const { reconciler, done } = scene({ a: many('a', 2500), b: many('b', 1000) }, {});
  expect(await reconciler.enlist({ retryParked: false })).toEqual({ added: 3500, changed: 0 });
  expect(new Set(done).size).toBe(3500);
});
