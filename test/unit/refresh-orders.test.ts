import { expect, it } from 'vitest';
import { Tally } from '../../src/refresh/orders.ts';

it('an order that meets nothing matched nothing', () => {
  expect(new Tally().result()).toEqual({ matched: 0, accepted: 0, refused: 0, reasons: {} });
});

it('an order says how many targets it met, and why some were refused', () => {
  const tally = new Tally();
  tally.accept();
  tally.accept(3);
  for (const reason of ['fresh', 'paused', 'fresh']) tally.refuse(reason);
  expect(tally.matched).toBe(7);
  expect(tally.result({ order: 8 })).toEqual({
    matched: 7,
    accepted: 4,
    refused: 3,
    reasons: { fresh: 2, paused: 1 },
    order: 8,
  });
});
