import { expect, test } from 'vitest';
import { lowestLimit } from '../../src/core/lowest-limit.ts';

const OWN = { count: 300, windowMs: 60_000 };
const says = (...limits: unknown[]): { limits: Record<string, number> }[] =>
  limits.map((limit) => ({ limits: { h: limit as number } }));

test.each([
  ['nobody says anything: its own', [], OWN],
  ['the others are faster: its own', says(6, 50), OWN],
  ['the others have the same: its own, as it is written', says(5, 5), OWN],
  ['another is slower: that one', says(6, 4.5, 50), { count: 4.5, windowMs: 1000 }],
  ['what others say is no limit: its own', says(0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1', null), OWN],
  ['others say nothing of this host, or nothing at all: its own', [{ limits: { other: 1 } }, {}], OWN],
])('of a process and others, where %s counts', (_what, processes, expected) => {
  expect(lowestLimit('h', OWN, processes)).toEqual(expected);
});

test('without a limit at hand that of the processes counts, and without any there is none', () => {
  expect(lowestLimit('h', undefined, says(7, 9))).toEqual({ count: 7, windowMs: 1000 });
  expect(lowestLimit('h', undefined, [])).toBeUndefined();
});
