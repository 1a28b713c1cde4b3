import { describe, expect, it } from 'vitest';
import { RedisClock } from '../../src/refresh/clock-back.ts';
import type { FleetPort } from '../../src/refresh/fleet-port.ts';
import type { ConfigurationPort } from '../../src/refresh/in-effect.ts';
import { Member, type MemberEvents } from '../../src/refresh/member.ts';
import type { CataloguePort } from '../../src/refresh/ports.ts';
import type { Reconciler } from '../../src/refresh/reconcile.ts';

const NOW = 1_800_000_000_000;
const HOST = 'idp.example';

/** One member of a fleet whose Redis a test may change; `done` is what it did there, in order. */
function scene({ schedules = true, epoch = '' } = {}) {
  const done: string[] = [];
  const redis = {
    epoch,
    /** By how much Redis time differs from what it was at the start, ms; no time passes here. */
    steppedMs: 0,
    runId: 'run-1',
    others: [] as string[],
    /** What each of the others says of its limits. */
    othersLimits: [] as (Record<string, number> | undefined)[],
    /** The limit of this process, and what it says of it. */
    perHost: { count: 50, windowMs: 1000 },
    limits: undefined as Readonly<Record<string, number>> | undefined,
    /** What this process last said. */
    says: '',
    /** What others have written where they keep more than that. */
    othersWritten: undefined as string | undefined,
    overrides: {} as Record<string, 'add' | 'remove'>,
    pauses: [] as { select: string; all: boolean; until: number }[],
    awaiting: new Map<string, number>(),
    confirmed: new Map<string, number>(),
    /** What is written in the configuration of this process, and what it is kept with. */
    configured: { written: 'hash', offered: undefined as string | undefined, kept: '', settled: 0 },
    /** How often what others have left asleep was looked for. */
    woken: 0,
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
    now: async () => NOW,
    confirmations: async () => redis.confirmed,
    heartbeat: async ({ id, configHash, writtenHash, limits }) => {
      redis.limits = limits;
      if (redis.says !== configHash) done.push(...(redis.says === '' ? [] : [`says ${configHash}`]));
      redis.says = configHash;
      if (redis.fails === 'heartbeat') await say('heartbeat');
      const others = redis.others.map((hash, i) => ({
        ...{ id: `other-${i}`, role: 'all', configHash: hash },
        writtenHash: redis.othersWritten,
        limits: redis.othersLimits[i],
      }));
      const self = { id, role: 'all', configHash, writtenHash };
      return { now: NOW + redis.steppedMs, epoch: redis.epoch, processes: [self, ...others] };
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
    publishLimits: (agreed) => say(agreed ? 'limits' : 'slower limits'),
    dropOtherLimits: async () => {},
    serverRunId: async () => redis.runId,
  };
  const reconciler: Pick<
    Reconciler,
    'restore' | 'clockWentBack' | 'renew' | 'enlist' | 'removeAbsent' | 'prune' | 'wakeOverslept'
  > = {
    prune: () => {},
    clockWentBack: (now) => void done.push(`remembers as of ${now - NOW}`),
    wakeOverslept: async () => {
      if (redis.fails === 'wake') await say('wake');
      redis.woken += 1;
      return 0;
    },
    renew: async () => {
      await say('renew');
      return 7;
    },
    restore: async (what) => {
      await say(`restore ${what}`);
      return 3;
    },
    enlist: async ({ retryParked, before }) => {
      const after = before === undefined ? '' : ` after ${before.hash}`;
      await say(`enlist${after}${retryParked ? ', retrying parked' : ''}`);
      return { added: 1, changed: 0 };
    },
    removeAbsent: async (_agreed, isConfirmed) => {
      await say(`remove absent${isConfirmed?.('billing') === true ? ', confirmed' : ''}`);
      return { removed: [], awaitingConfirmation: redis.awaiting };
    },
  };
  const events: MemberEvents = {
    joined: ({ epoch: joined, lost }) => void done.push(`joined ${joined}${lost ? ' after a loss' : ''}`),
    restored: (count) => void done.push(`restored ${count}`),
    removals: () => void done.push('told of removals'),
    kept: (kept) => {
      if (kept.size > 0) done.push(`keeps ${[...kept.keys()]}`);
    },
    configured: () => void done.push('configured'),
    clockWentBack: ({ lostMs, renewed }) => void done.push(`lost ${lostMs} ms, renewed ${renewed}`),
  };
  const { configured } = redis;
  let version = 0;
  const catalogueOf = (name: string, overrides: ReadonlyMap<string, unknown>): CataloguePort =>
    ({
      hash: [name, ...overrides.keys()].join('+'),
      hosts: () => new Map([[HOST, { perHost: redis.perHost }]]),
    }) as unknown as CataloguePort;
  const configuration: ConfigurationPort = {
    get version() {
      return version;
    },
    get changed() {
      return configured.offered !== undefined;
    },
    get awaiting() {
      return new Map(configured.kept === '' ? [] : [['billing', 3]]);
    },
    takeOver: () => {
      if (configured.offered === undefined) return;
      configured.written = configured.offered;
      configured.offered = undefined;
      version += 1;
    },
    confirm: (confirmations) => {
      if (configured.kept === '' || !confirmations.has('billing')) return;
      configured.kept = '';
      version += 1;
    },
    isConfirmed: (client) => redis.confirmed.has(client),
    settle: () => {
      configured.settled += 1;
    },
    catalogue: (overrides) => catalogueOf(configured.written + configured.kept, overrides),
    written: (overrides) => catalogueOf(configured.written, overrides),
  };
  let ids = 0;
  const member = new Member({
    id: 'self',
    schedules,
    fleet,
    reconciler: reconciler as unknown as Reconciler,
    configuration,
    newEpochId: () => `epoch-${++ids}`,
    clock: new RedisClock(() => 0),
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

describe('processes with different limits', () => {
  it('ask a host as often as the lowest of them says, while that one lives', async () => {
    const { member, redis, beats } = scene();
    await beats(1);
    expect(redis.limits).toEqual({ [HOST]: 50 });
    expect(member.perHost(HOST)).toEqual({ count: 50, windowMs: 1000 });
    redis.others = ['other', 'older', 'newer'];
    redis.othersLimits = [{ [HOST]: 7.5 }, undefined, { [HOST]: 'slow' as unknown as number }];
    await beats(1);
    expect(member.perHost(HOST)).toEqual({ count: 7.5, windowMs: 1000 });
    redis.othersLimits = [{ [HOST]: 80, 'another.example': 1 }];
    await beats(1);
    expect(member.perHost(HOST)).toEqual({ count: 50, windowMs: 1000 });
    expect(member.perHost('another.example')).toBeUndefined();
  });

  it('publish what a tenant may be asked, but nothing faster than what is there until all of them agree', async () => {
    const { redis, beats } = scene();
    redis.others = ['other'];
    expect(await beats(1)).toContain('slower limits');
    expect(await beats(3)).toEqual([]);
    redis.others = ['hash'];
    expect(await beats(1)).toContain('limits');
    redis.others = [];
    expect((await beats(8)).filter((what) => what === 'limits')).toEqual([]);
  });
});

describe('what the configuration no longer names', () => {
  const removals = (done: readonly string[]) =>
    done.filter((what) => what.startsWith('remove absent')).length;

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

describe('what other configurations have left asleep', () => {
  it('is looked for once after joining', async () => {
    const { redis, beats } = scene();
    await beats(20);
    expect(redis.woken).toBe(1);
  });

  it('is looked for when the fleet agrees again, and not while it does not', async () => {
    const { member, redis, beats } = scene();
    await beats(3);
    redis.others = ['hash', 'other'];
    await beats(3);
    expect(member.allAgree()).toBe(false);
    expect(redis.woken).toBe(1);
    redis.others = ['hash'];
    await beats(3);
    expect(member.allAgree()).toBe(true);
    expect(redis.woken).toBe(2);
  });

  it('is looked for also when the others differed between two beats only', async () => {
    const { member, redis, beats } = scene();
    await beats(3);
    redis.others = ['other'];
    await member.sayAlive();
    redis.others = [];
    await beats(3);
    expect(redis.woken).toBe(2);
  });

  it('is looked for again until that has been done', async () => {
    const { member, redis, beats } = scene();
    redis.fails = 'wake';
    await expect(member.beat()).rejects.toThrow('no answer to wake');
    await beats(3);
    expect(redis.woken).toBe(1);
  });

  it('is left to the processes that dispatch', async () => {
    const { redis, beats } = scene({ schedules: false });
    await beats(3);
    expect(redis.woken).toBe(0);
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
    expect(await beats(2)).toEqual(['enlist after hash']);
  });
});

describe('a configuration that changes while the process runs', () => {
  it('is said to the fleet before anything of it is managed, and what was parked is tried again', async () => {
    const { member, redis, beats } = scene();
    await beats(1);
    redis.configured.offered = 'new';
    const heard: string[] = [];
    member.onChange(() => heard.push(member.catalogue.hash));
    expect(await beats(1)).toEqual([
      ...['reload', 'says new', 'limits'],
      ...['enlist after hash, retrying parked', 'configured'],
    ]);
    expect(heard).toEqual(['new']);
    expect(await beats(2)).toEqual([]);
  });

  it.each(['reload', 'limits', 'enlist'])(
    'is taken over by the next heartbeat when %s has failed',
    async (fails) => {
      const { member, redis, beats, done } = scene();
      await beats(1);
      redis.configured.offered = 'new';
      redis.fails = fails;
      await expect(member.reload()).rejects.toThrow('no answer');
      expect(await beats(1)).toContain('enlist after hash, retrying parked');
      expect(done.at(-1)).toBe('configured');
      expect(await beats(2)).toEqual([]);
    },
  );

  it('waits until the process has joined', async () => {
    const { member, redis, beats } = scene();
    redis.configured.offered = 'new';
    await member.reload();
    expect(await beats(1)).toEqual([
      ...['begin epoch epoch-1 grace 0', 'restore everything', 'reload', 'says new', 'limits'],
      ...['enlist, retrying parked', 'joined epoch-1'],
    ]);
  });

  it('lets a pending removal have its turn soon, whatever waits for a confirmation', async () => {
    const { redis, beats } = scene();
    redis.awaiting = new Map([['billing', 9]]);
    await beats(5);
    expect(await beats(5)).not.toContain('remove absent');
    redis.configured.offered = 'new';
    expect(await beats(5)).toContain('remove absent');
  });
});

describe('targets that are kept until their removal is confirmed', () => {
  it('count as in effect for the fleet, and not as written', async () => {
    const { member, redis, beats } = scene();
    redis.configured.kept = '+kept';
    redis.configured.offered = 'new';
    expect(await beats(1)).toContain('keeps billing');
    redis.others = ['new'];
    expect(await member.agrees()).toBe(false);
    expect(await member.readsTheSame()).toBe(true);
    redis.others = ['other+kept'];
    redis.othersWritten = 'other';
    expect(await member.readsTheSame()).toBe(false);
  });

  it('are let go when another process tells of the confirmation', async () => {
    const { member, redis, beats } = scene();
    redis.configured.kept = '+kept';
    redis.configured.offered = 'new';
    await beats(1);
    redis.confirmed.set('billing', NOW);
    redis.others = ['new'];
    await member.reload();
    expect(member.catalogue.hash).toBe('new');
    expect(await beats(5)).toContain('remove absent, confirmed');
  });

  it('are reckoned with until the whole fleet has agreed and nothing else is managed', async () => {
    const { redis, beats } = scene();
    redis.others = ['other'];
    await beats(30);
    expect(redis.configured.settled).toBe(0);
    redis.others = ['hash'];
    await beats(5);
    expect(redis.configured.settled).toBe(1);
  });
});

describe('a process whose Redis has another clock', () => {
  it('wants every token anew when time has gone back, once', async () => {
    const { redis, beats } = scene();
    await beats(1);
    redis.steppedMs = -3_600_000;

    expect(await beats(1)).toEqual(['remembers as of -3600000', 'renew', 'lost 3600000 ms, renewed 7']);
    expect(await beats(1)).toEqual([]);
  });

  it('does it again until it has been done', async () => {
    const { member, redis, beats } = scene();
    await beats(1);
    redis.steppedMs = -3_600_000;
    redis.fails = 'renew';

    await expect(member.beat()).rejects.toThrow('no answer to renew');

    expect(await beats(1)).toEqual(['remembers as of -3600000', 'renew', 'lost 3600000 ms, renewed 7']);
  });

  it.each([
    ['goes back by seconds, as a clock that is set right does', -4000],
    ['goes forward by an hour: what has ended comes due by itself', 3_600_000],
  ])('leaves the plans alone when time %s', async (_what, steppedMs) => {
    const { redis, beats } = scene();
    await beats(1);
    redis.steppedMs = steppedMs;

    expect(await beats(1)).toEqual([]);
  });

  it('leaves that to the processes that dispatch, but not what it remembers itself', async () => {
    const { redis, beats } = scene({ schedules: false });
    await beats(1);
    redis.steppedMs = -3_600_000;

    expect(await beats(1)).toEqual(['remembers as of -3600000', 'lost 3600000 ms, renewed undefined']);
  });
});
