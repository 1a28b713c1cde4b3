import { describe, expect, it } from 'vitest';
import { isSeenLife, LIVES_COUNT_MS, mergeLives, type SeenLife } from '../../src/core/lifetimes.ts';
import { Lifetimes } from '../../src/refresh/lifetimes.ts';

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Processes that share a hash. */
function fleet() {
  const shared = new Map<string, SeenLife>();
  const written: string[][] = [];
  const port = {
    read: async () => new Map(shared),
    write: async (lives: ReadonlyMap<string, SeenLife>) => {
      written.push([...lives.keys()]);
      for (const [client, life] of lives) shared.set(client, life);
    },
  };
  return { shared, written, join: () => new Lifetimes(port) };
}

function noteAll(lifetimes: Lifetimes, ...livesMs: number[]): void {
  for (const lifeMs of livesMs) lifetimes.note('billing', lifeMs);
}

/** Evenly from 60 to 90 minutes, as a server draws them. */
const drawn = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.round((60 + (30 * (i + 0.5)) / count) * MINUTE));

describe('the lives that a process has seen', () => {
  it('are told to the fleet as the shortest, the mean and the longest', async () => {
    const { shared, join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, HOUR, 90 * MINUTE, 75 * MINUTE);
    const known = await lifetimes.exchange(NOW);
    const life = { shortestMs: HOUR, meanMs: 75 * MINUTE, longestMs: 90 * MINUTE, count: 3, at: NOW };
    expect(shared.get('billing')).toEqual(life);
    expect(known.get('billing')).toEqual(life);
  });

  it('are nothing at first, and then what others have told', async () => {
    const { join } = fleet();
    const [one, other] = [join(), join()];
    expect(await one.exchange(NOW)).toEqual(new Map());
    noteAll(other, HOUR);
    await other.exchange(NOW);
    expect((await one.exchange(NOW)).get('billing')).toMatchObject({ meanMs: HOUR });
  });

  it('are written when they are news, and not for every token', async () => {
    const { written, join } = fleet();
    const lifetimes = join();
    for (const lifeMs of drawn(500)) {
      noteAll(lifetimes, lifeMs);
      await lifetimes.exchange(NOW);
    }
    expect(written.length).toBeLessThan(20);
    const before = written.length;
    noteAll(lifetimes, ...drawn(500));
    await lifetimes.exchange(NOW);
    expect(written).toHaveLength(before);
  });

  it('make sensible figures of lives that are drawn at random', async () => {
    const { join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, ...drawn(1000));
    const life = (await lifetimes.exchange(NOW)).get('billing');
    expect(life?.shortestMs).toBeLessThan(61 * MINUTE);
    expect(life?.meanMs).toBeCloseTo(75 * MINUTE, -3);
    expect(life?.longestMs).toBeGreaterThan(89 * MINUTE);
  });

  it('are hardly moved by a single odd one, but for the shortest', async () => {
    const { join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, ...Array.from({ length: 999 }, () => HOUR));
    await lifetimes.exchange(NOW);
    noteAll(lifetimes, 5000);
    expect((await lifetimes.exchange(NOW)).get('billing')).toMatchObject({
      shortestMs: 5000,
      longestMs: HOUR,
    });
    expect((await lifetimes.exchange(NOW)).get('billing')?.meanMs).toBeGreaterThan(0.99 * HOUR);
  });

  it('fade: what was seen once is forgotten after some hours', async () => {
    const { join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, 5000, HOUR);
    await lifetimes.exchange(NOW);
    noteAll(lifetimes, HOUR);
    expect((await lifetimes.exchange(NOW + LIVES_COUNT_MS - 1)).get('billing')?.shortestMs).toBe(5000);
    noteAll(lifetimes, HOUR);
    expect((await lifetimes.exchange(NOW + LIVES_COUNT_MS)).get('billing')?.shortestMs).toBe(HOUR);
  });

  it('stay what they were while no token comes', async () => {
    const { join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, HOUR);
    await lifetimes.exchange(NOW);
    const later = await lifetimes.exchange(NOW + 10 * LIVES_COUNT_MS);
    expect(later.get('billing')).toMatchObject({ meanMs: HOUR });
  });

  it('follow a server that gives shorter lives from now on', async () => {
    const { join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, ...Array.from({ length: 100 }, () => HOUR));
    await lifetimes.exchange(NOW);
    noteAll(lifetimes, ...Array.from({ length: 1200 }, () => 5 * MINUTE));
    for (let i = 0; i < 10; i++) await lifetimes.exchange(NOW);
    const life = (await lifetimes.exchange(NOW)).get('billing');
    expect(life?.shortestMs).toBe(5 * MINUTE);
    expect(life?.meanMs).toBeLessThan(11 * MINUTE);
  });

  it('come back after Redis has lost them with the tokens that come', async () => {
    const { shared, join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, HOUR);
    await lifetimes.exchange(NOW);
    shared.clear();
    noteAll(lifetimes, HOUR);
    await lifetimes.exchange(NOW);
    expect(shared.get('billing')).toMatchObject({ meanMs: HOUR });
  });

  it('are told with the next exchange where Redis could not take them', async () => {
    const { shared, join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, HOUR);
    const { set } = shared;
    shared.set = () => {
      throw new Error('Redis is away');
    };
    await expect(lifetimes.exchange(NOW)).rejects.toThrow('Redis is away');
    shared.set = set;
    noteAll(lifetimes, HOUR / 2);
    await lifetimes.exchange(NOW);
    expect(shared.get('billing')).toMatchObject({ meanMs: (3 * HOUR) / 4, count: 2 });
  });

  it('settle on the mean of all where processes see different ones', async () => {
    const { shared, written, join } = fleet();
    const processes = [10, 60].map((minutes) => ({ minutes, lifetimes: join() }));
    const turn = async (): Promise<void> => {
      for (const { minutes, lifetimes } of processes) {
        noteAll(lifetimes, minutes * MINUTE, minutes * MINUTE);
        await lifetimes.exchange(NOW);
      }
    };
    for (let i = 0; i < 500; i++) await turn();
    const before = written.length;
    for (let i = 0; i < 50; i++) await turn();
    expect(written.length - before).toBeLessThan(3);
    expect(shared.get('billing')).toMatchObject({ shortestMs: 10 * MINUTE, longestMs: HOUR });
    const mean = shared.get('billing')?.meanMs ?? 0;
    expect(Math.abs(mean - 35 * MINUTE)).toBeLessThan(0.06 * 35 * MINUTE);
  });
});

describe('what the fleet knows', () => {
  const own = { shortestMs: HOUR, meanMs: HOUR, longestMs: HOUR, count: 1 };

  it('gives way when it is old, or dated by a clock that has gone back', () => {
    const known = { ...own, shortestMs: 1000, at: NOW };
    expect(mergeLives(known, own, NOW + LIVES_COUNT_MS)).toEqual({ ...own, at: NOW + LIVES_COUNT_MS });
    expect(mergeLives(known, own, NOW - 1)).toEqual({ ...own, at: NOW - 1 });
    expect(mergeLives(known, own, NOW + LIVES_COUNT_MS - 1)).toBeUndefined();
  });

  it.each([
    ['nothing', undefined],
    ['a number', 7],
    ['less than all', { shortestMs: 1, meanMs: 1, count: 1, at: 1 }],
    ['no numbers', { shortestMs: '1', meanMs: 1, longestMs: 1, count: 1, at: 1 }],
    ['a life of nothing', { shortestMs: 0, meanMs: 1, longestMs: 1, count: 1, at: 1 }],
    ['lives that cannot be', { shortestMs: 3, meanMs: 2, longestMs: 4, count: 1, at: 1 }],
    ['one of no token', { shortestMs: 1, meanMs: 1, longestMs: 1, count: 0, at: 1 }],
    ['no end', { shortestMs: 1, meanMs: 1, longestMs: Number.POSITIVE_INFINITY, count: 1, at: 1 }],
  ])('is not %s', (_what, value) => expect(isSeenLife(value)).toBe(false));
});
