import { expect, test } from 'vitest';
import { mostIdentical } from '../support/fleet.ts';
import { IDENTICAL, LIFETIME_MS, startRunning } from './set-up.ts';

test('when one of two daemons is killed in the middle of its requests, no reader misses a token', {
  timeout: 120_000,
}, async () => {
  const { reader, first, second, idp } = await startRunning();

  first.signal('SIGKILL');
  await first.exited;
  await reader.readFor(1.5 * LIFETIME_MS);

  const { missed, wentBack, expired, present } = reader.seen;
  expect({ missed, wentBack, expired, present }).toEqual({
    missed: [],
    wentBack: [],
    expired: [],
    present: 300,
  });
  expect(mostIdentical(await idp.requests(), IDENTICAL.windowMs)).toBeLessThanOrEqual(IDENTICAL.count);
  expect((await second.stop()).code).toBe(0);
});
