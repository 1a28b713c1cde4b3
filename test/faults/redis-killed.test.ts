import { expect, test } from 'vitest';
import { mostIdentical } from '../support/fleet.ts';
import { IDENTICAL, LIFETIME_MS, startRunning } from './set-up.ts';

test('when Redis is killed and comes back with its file, the daemons go on and no live token is withheld', {
  timeout: 120_000,
}, async () => {
  const { reader, redis, first, second, idp } = await startRunning();

  await redis.kill('SIGKILL');
  await redis.restart();
  await reader.readFor(1.5 * LIFETIME_MS);

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
