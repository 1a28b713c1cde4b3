import { describe, expect, it } from 'vitest';
import { type FleetPort, Member, type MemberEvents } from '../../src/refresh/member.ts';
import type { CataloguePort } from '../../src/refresh/ports.ts';
import type { Reconciler } from '../../src/refresh/reconcile.ts';

const NOW = 1_800_000_000_000;

/** One member of a fleet whose Redis a test may change; `done` is what it did there, in order. */
function scene({ schedules = true, epoch = '' } = {}) {
  const done: string[] = [];
  const redis = {
    epoch,
    runId: 'run-1',
    others: [] as string[],
    overrides: {} as Record<string, 'add' | 'remove'>,
    pauses: [] as { select: string; all: boolean; until: number }[],
    awaiting: new Map<string, number>(),
    /** The call that fails next, as when Redis goes away between two commands. */
    fails: undefined as string | undefined,
  };
  const say = async (what: string): Promise<void> => {
    if (redis.fails !== undefined && what.startsWith(redis.fails)) {
      redis.fails = undefined;
      throw new Error(`no answer to ${what}`);
    }
    done.push(what);
  };
  const fleet: FleetPort = {
    heartbeat: async ({ id, configHash }) => {
      if (redis.fails === 'heartbeat') await say('heartbeat');
      const others = redis.others.map((hash, i) => ({ id: `other-${i}`, role: 'all', configHash: hash }));
      return { now: NOW, epoch: redis.epoch, processes: [{ id, role: 'all', configHash }, ...others] };
    },
    leave: () => say('leave'),
    beginEpoch: async (id, graceMs) => {
      await say(`begin epoch ${id} grace ${graceMs}`);
      redis.epoch ||= id;
      return { id: redis.epoch };
    },
    tenantOverrides: async () => {
      await say('reload');
      return new Map(Object.entries(redis.overrides).map(([scope, op]) => [scope, { op }]));
    },
    pauses: async () => redis.pauses,
    publishLimits: () => say('limits'),
    dropOtherLimits: async () => {},
    serverRunId: async () => redis.runId,
  };
  const reconciler: Pick<Reconciler, 'restore' | 'enlist' | 'removeAbsent' | 'prune'> = {
    prune: () => {},
    restore: async (what) => {
      await say(`restore ${what}`);
      return 3;
    },
    enlist: async ({ retryParked }) => {
      await say(`enlist${retryParked ? ', retrying parked' : ''}`);
      return { added: 1, changed: 0 };
    },
    removeAbsent: async () => {
      await say('remove absent');
      return { removed: [], awaitingConfirmation: redis.awaiting };
    },
  };
  const events: MemberEvents = {
    joined: ({ epoch: joined, lost }) => void done.push(`joined ${joined}${lost ? ' after a loss' : ''}`),
    restored: (count) => void done.push(`restored ${count}`),
    removals: () => void done.push('told of removals'),
  };
  let ids = 0;
  const member = new Member({
    id: 'self',
    schedules,
    fleet,
    reconciler: reconciler as unknown as Reconciler,
    buildCatalogue: (overrides) => ({ hash: ['hash', ...overrides.keys()].join('+') }) as CataloguePort,
    newEpochId: () => `epoch-${++ids}`,
    events,
  });
  const beats = async (count: number): Promise<string[]> => {
    done.length = 0;
    for (let i = 0; i < count; i++) await member.beat();
    return [...done];
  };
  return { member, redis, done, beats };
}

const REST = ['reload', 'limits'];

describe('a process that joins a fleet', () => {
  it('begins the first epoch without grace', async () => {
    const { member, beats } = scene();
    expect(member.epoch).toBe('');
    expect(await beats(1)).toEqual([
      ...['begin epoch epoch-1 grace 0', 'restore everything', ...REST],
      ...['enlist, retrying parked', 'joined epoch-1'],
    ]);
    expect(member.epoch).toBe('epoch-1');
    expect(await beats(3)).toEqual([]);
  });

  it('enters the epoch that is there', async () => {
    const { member, beats } = scene({ epoch: 'theirs' });
    expect(await beats(1)).toEqual([
      'restore everything',
      ...REST,
      'enlist, retrying parked',
      'joined theirs',
    ]);
    expect(member.epoch).toBe('theirs');
  });

  it('takes the epoch of who was faster to begin one', async () => {
    const { member, beats, redis } = scene();
    const joining = beats(1);
    redis.epoch = 'theirs';
    await joining;
    expect(member.epoch).toBe('theirs');
  });

  it('enlists nothing as a mere worker', async () => {
    const { beats } = scene({ schedules: false });
    expect(await beats(20)).not.toContainEqual(expect.stringMatching(/^(enlist|remove)/));
  });
});

describe('a fleet whose Redis was emptied', () => {
  it('begins another epoch with time for all to give back what they remember, before targets are enlisted', async () => {
    const { beats, redis } = scene();
    await beats(1);
    redis.epoch = '';
    expect(await beats(1)).toEqual([
      ...['begin epoch epoch-2 grace 2500', 'restore everything', ...REST],
      ...['enlist', 'joined epoch-2 after a loss'],
    ]);
  });

  it('gives back everything also where another process has noticed first', async () => {
    const { beats, redis } = scene();
    await beats(1);
    redis.epoch = 'theirs';
    expect(await beats(1)).toEqual(['restore everything', ...REST, 'enlist', 'joined theirs after a loss']);
  });
});

describe('a process that could not join', () => {
  const steps = ['heartbeat', 'begin epoch', 'restore', 'reload', 'limits', 'enlist'];

  it.each(steps)('because of %s stays out, and joins with the next heartbeat', async (fails) => {
    const { member, redis, beats } = scene();
    redis.fails = fails;
    await expect(member.beat()).rejects.toThrow('no answer');
    expect(member.epoch).toBe('');
    const done = await beats(1);
    expect(done).toContain('restore everything');
    expect(done.slice(-2)).toEqual(['enlist, retrying parked', `joined ${redis.epoch}`]);
    expect(member.epoch).toBe(redis.epoch);
  });

  it.each(steps)('a new epoch because of %s does not take itself for a member of it', async (fails) => {
    const { member, redis, beats } = scene();
    await beats(1);
    redis.epoch = '';
    redis.fails = fails;
    await expect(member.beat()).rejects.toThrow('no answer');
    expect(member.epoch).toBe('epoch-1');
    const done = await beats(1);
    expect(done).toContain('restore everything');
    expect(done.at(-1)).toBe(`joined ${redis.epoch} after a loss`);
  });
});

describe('after a gap', () => {
  it('gives back the tokens that Redis could not take, once', async () => {
    const { member, beats } = scene();
    await beats(1);
    member.noteUnsaved();
    expect(await beats(1)).toEqual(['restore unsaved', 'restored 3']);
    expect(await beats(1)).toEqual([]);
  });

  it('gives back everything to a server that was started anew, for its file may be old', async () => {
    const { member, redis, beats } = scene();
    await beats(1);
    redis.runId = 'run-2';
    member.noteUnsaved();
    expect(await beats(2)).toEqual(['restore everything', 'restored 3']);
  });

  it('tries again when giving back has failed', async () => {
    const { member, redis, beats } = scene();
    await beats(1);
    redis.runId = 'run-2';
    redis.fails = 'restore';
    await expect(member.beat()).rejects.toThrow('no answer');
    expect(await beats(1)).toEqual(['restore everything', 'restored 3']);
  });
});

describe('what the configuration no longer names', () => {
  const removals = (done: readonly string[]) => done.filter((what) => what === 'remove absent').length;

  it('is removed when every live process has the same configuration', async () => {
    const { beats, redis } = scene();
    redis.others = ['hash', 'hash'];
    expect(removals(await beats(20))).toBe(4);
  });

  it('is kept while a single live process has another', async () => {
    const { beats, redis } = scene();
    redis.others = ['hash', 'other'];
    expect(removals(await beats(100))).toBe(0);
    redis.others = ['hash'];
    expect(removals(await beats(5))).toBe(1);
  });

  it('is kept until the others have heard of a tenant that an operator has removed', async () => {
    const { beats, redis } = scene();
    redis.others = ['hash'];
    redis.overrides = { 'billing/contoso': 'remove' };
    expect(removals(await beats(20))).toBe(0);
    redis.others = ['hash+billing/contoso'];
    expect(removals(await beats(5))).toBe(1);
  });

  it('is looked for less often while it waits for a confirmation', async () => {
    const { beats, redis } = scene();
    redis.awaiting = new Map([['billing', 9]]);
    expect(removals(await beats(64))).toBe(1);
    expect(removals(await beats(5))).toBe(1);
  });
});

describe('what operators have ordered for all', () => {
  it('is read on joining and again from time to time', async () => {
    const { member, beats, redis } = scene();
    await beats(1);
    redis.overrides = { 'billing/fabrikam': 'add' };
    redis.pauses = [
      { select: 'billing/*/graph', all: false, until: NOW + 1 },
      { select: '*', all: true, until: NOW + 2 },
      { select: 'crm/*/*', all: false, until: NOW + 3 },
    ];
    expect(member.pausedUntil('billing/contoso/graph')).toBeUndefined();
    await beats(4);
    expect(member.catalogue.hash).toBe('hash+billing/fabrikam');
    expect(member.pausedUntil('billing/contoso/graph')).toBe(NOW + 2);
    expect(member.pausedUntil('crm/contoso/graph')).toBe(NOW + 3);
  });
});

describe('a tenant that an operator has added', () => {
  it('is enlisted with the next reading, and again until that has succeeded', async () => {
    const { member, redis, beats } = scene();
    await beats(1);
    redis.overrides = { 'c/new': 'add' };
    redis.fails = 'enlist';
    await expect(member.reload()).rejects.toThrow('no answer');
    expect(await beats(2)).toEqual(['enlist']);
  });
});
