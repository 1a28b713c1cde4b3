import { describe, expect, test } from 'vitest';
import { keepReading, lifeOf } from '../../src/demo/consumer.ts';
import { type Reading, Tally } from '../../src/demo/tally.ts';

const life = (leftMs: number, wholeMs = 60_000): Reading => ({ leftMs, wholeMs });

describe('the tally', () => {
  test('knows nothing of any target before the first sweep', () => {
    expect(new Tally(3).counts).toMatchObject({ fresh: 0, missing: 3, everThere: 0, reads: 0, missed: 0 });
  });

  test('counts what is fresh, expiring and missing in the latest sweep', () => {
    const tally = new Tally(4);
    tally.note([life(50_000), life(50_000), life(50_000), life(50_000)], 100);
    tally.note([life(12_000), life(11_999), undefined, life(1)], 200);
    expect(tally.counts).toMatchObject({ fresh: 1, expiring: 2, missing: 1, shortestNow: life(1) });
  });

  test('is warm when every target was there once, not necessarily all at the same time', () => {
    const tally = new Tally(2);
    tally.note([life(9000), undefined], 100);
    expect(tally.counts).toMatchObject({ everThere: 1, warmUpMs: undefined });
    tally.note([undefined, life(9000)], 200);
    expect(tally.counts).toMatchObject({ everThere: 2, warmUpMs: 200 });
    tally.note([life(9000), life(9000)], 300);
    expect(tally.counts.warmUpMs).toBe(200);
  });

  test('does not blame the warm-up’s misses, nor those of the sweep that ends it', () => {
    const tally = new Tally(2);
    tally.note([undefined, life(9000)], 100);
    tally.note([life(9000), undefined], 200);
    expect(tally.counts).toMatchObject({ warmUpReads: 4, reads: 0, missed: 0 });
    tally.note([life(9000), undefined], 300);
    expect(tally.counts).toMatchObject({ warmUpReads: 4, reads: 2, missed: 1 });
  });

  test('remembers the shortest life that was seen after the warm-up', () => {
    const tally = new Tally(1);
    tally.note([life(5)], 100);
    expect(tally.counts.shortestSeen).toBeUndefined();
    tally.note([life(700)], 200);
    tally.note([life(800)], 300);
    tally.note([undefined], 400);
    expect(tally.counts).toMatchObject({ shortestSeen: life(700), shortestNow: undefined });
  });
});

describe('what a consumer finds at a token key', () => {
  const record = { v: 1, access_token: 'a', token_type: 'Bearer', expires_at: 1060, refreshed_at: 1000 };

  test('lives until its expires_at', () => {
    expect(lifeOf(JSON.stringify(record), 1_045_000)).toEqual({ leftMs: 15_000, wholeMs: 60_000 });
    expect(lifeOf(JSON.stringify(record), 1_060_000)).toBeUndefined();
  });

  test.each([
    ['nothing', null],
    ['a reply that never came', undefined],
    ['no JSON', 'x'],
    ['no object', '7'],
    ['another version', JSON.stringify({ ...record, v: 2 })],
    ['no token', JSON.stringify({ ...record, access_token: '' })],
    ['no time', JSON.stringify({ ...record, expires_at: '1060' })],
  ])('is of no use where it is %s', (_what, value) => {
    expect(lifeOf(value, 1_045_000)).toBeUndefined();
  });
});

test('the reading goes on, sweep after sweep, until it is told to end', async () => {
  const over = new AbortController();
  const sweeps: (readonly Reading[])[] = [];
  await keepReading({ sweep: async () => [life(1)] }, 0, over.signal, (sweep) => {
    if (sweeps.push(sweep) === 3) over.abort();
  });
  expect(sweeps).toHaveLength(3);
});
