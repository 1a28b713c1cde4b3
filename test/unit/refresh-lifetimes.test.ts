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
    const life = { shortestMs: HOUR, meanMs: 75 * MINUTE, longestMs: 90 * MINUTE, at: NOW };
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
    let shortest: (number | undefined)[] = [];
    for (let generation = 1; generation <= 4; generation++) {
      noteAll(lifetimes, HOUR);
      const known = await lifetimes.exchange(NOW + generation * LIVES_COUNT_MS);
      shortest = [...shortest, known.get('billing')?.shortestMs];
    }
    expect(shortest[0]).toBe(5000);
    expect(shortest.at(-1)).toBe(HOUR);
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

  it('come back after Redis has lost them', async () => {
    const { shared, join } = fleet();
    const lifetimes = join();
    noteAll(lifetimes, HOUR);
    await lifetimes.exchange(NOW);
    shared.clear();
    await lifetimes.exchange(NOW);
    expect(shared.get('billing')).toMatchObject({ meanMs: HOUR });
  });

  it('settle where processes see different ones', async () => {
    const { shared, written, join } = fleet();
    const processes = [50, 60].map((minutes) => {
      const lifetimes = join();
      noteAll(lifetimes, minutes * MINUTE);
      return lifetimes;
    });
    const turn = async (): Promise<void> => {
      for (const lifetimes of processes) await lifetimes.exchange(NOW);
    };
    for (let i = 0; i < 5; i++) await turn();
    const before = written.length;
    for (let i = 0; i < 5; i++) await turn();
    expect(written).toHaveLength(before);
    expect(shared.get('billing')).toMatchObject({ shortestMs: 50 * MINUTE, longestMs: HOUR });
  });
});

describe('what the fleet knows', () => {
  const own = { shortestMs: HOUR, meanMs: HOUR, longestMs: HOUR };

  it('gives way when it is old, or dated by a clock that has gone back', () => {
    const known = { ...own, shortestMs: 1000, at: NOW };
    expect(mergeLives(known, own, NOW + LIVES_COUNT_MS)).toEqual({ ...own, at: NOW + LIVES_COUNT_MS });
    expect(mergeLives(known, own, NOW - 1)).toEqual({ ...own, at: NOW - 1 });
    expect(mergeLives(known, own, NOW + LIVES_COUNT_MS - 1)).toBeUndefined();
  });

  it.each([
    ['nothing', undefined],
    ['a number', 7],
    ['less than all', { shortestMs: 1, meanMs: 1, at: 1 }],
    ['no numbers', { shortestMs: '1', meanMs: 1, longestMs: 1, at: 1 }],
    ['a life of nothing', { shortestMs: 0, meanMs: 1, longestMs: 1, at: 1 }],
    ['lives that cannot be', { shortestMs: 3, meanMs: 2, longestMs: 4, at: 1 }],
    ['no end', { shortestMs: 1, meanMs: 1, longestMs: Number.POSITIVE_INFINITY, at: 1 }],
  ])('is not %s', (_what, value) => expect(isSeenLife(value)).toBe(false));
});
