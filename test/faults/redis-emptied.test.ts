import { expect, test } from 'vitest';
import { mostIdentical } from '../support/fleet.ts';
import { connect } from '../support/redis.ts';
import { IDENTICAL, LIFETIME_MS, startRunning } from './set-up.ts';

const PER_HOST_PER_SECOND = 100;

test('an emptied Redis is filled again without a storm, from what the processes remember', {
  timeout: 120_000,
}, async () => {
  const { reader, redis, first, second, idp } = await startRunning();
  const before = (await idp.requests()).length;

  await connect(redis.url).flushall();
  const emptiedAt = performance.now();
  await reader.until(({ missed }) => missed.length > 0, 5000, 'the reader notices');
  await reader.everyKey((300 / PER_HOST_PER_SECOND + 10) * 1000);
  const refilledAfterMs = performance.now() - emptiedAt;
  const requestsToRefill = (await idp.requests()).length - before;
  reader.reset();
  await reader.readFor(1.2 * LIFETIME_MS);

  const { missed, wentBack, expired, present } = reader.seen;
  expect({ missed, wentBack, expired, present }).toEqual({
    missed: [],
    wentBack: [],
    expired: [],
    present: 300,
  });
  expect(mostIdentical(await idp.requests(), IDENTICAL.windowMs)).toBeLessThanOrEqual(IDENTICAL.count + 1);
  // The processes gave their tokens back: only what came due anyway was asked for.
  expect(requestsToRefill).toBeLessThan(300 * (refilledAfterMs / 1000 / 6) + 50);
  const exits = await Promise.all([first.stop(), second.stop()]);
  expect(exits.map(({ code }) => code)).toEqual([0, 0]);
});
