import { expect, test } from 'vitest';
import { expectUnharmed, LIFETIME_MS, startRunning } from './set-up.ts';

test('when Redis is killed and comes back with its file, the daemons go on and no live token is withheld', {
  timeout: 120_000,
}, async () => {
  const running = await startRunning();
  const { reader, redis, first, second } = running;

  await redis.kill('SIGKILL');
  await redis.restart();
  await reader.readFor(1.5 * LIFETIME_MS);

  await expectUnharmed(running);
  const exits = await Promise.all([first.stop(), second.stop()]);
  expect(exits.map(({ code }) => code)).toEqual([0, 0]);
});
