import { expect, test } from 'vitest';
import { mostIdentical } from '../support/fleet.ts';
import { IDENTICAL, LIFETIME_MS, startRunning } from './set-up.ts';

test('a daemon that was stopped for longer than its leases changes nothing when it goes on', {
  timeout: 120_000,
}, async () => {
  const { reader, first, second, idp } = await startRunning();

  first.signal('SIGSTOP');
  await reader.readFor(LIFETIME_MS);
  first.signal('SIGCONT');
  await reader.readFor(LIFETIME_MS);

  const { missed, wentBack, expired, present } = reader.seen;
  expect({ missed, wentBack, expired, present }).toEqual({
    missed: [],
    wentBack: [],
    expired: [],
    present: 300,
  });
  expect(mostIdentical(await idp.requests(), IDENTICAL.windowMs)).toBeLessThanOrEqual(IDENTICAL.count);
  const exits = await Promise.all([first.stop(), second.stop()]);
  expect(exits.map(({ code }) => code)).toEqual([0, 0]);
});
