import { expect, test } from 'vitest';
import { expectUnharmed, LIFETIME_MS, startRunning } from './set-up.ts';

test('when one of two daemons is killed in the middle of its requests, no reader misses a token', {
  timeout: 120_000,
}, async () => {
  const running = await startRunning();
  const { reader, first, second } = running;

  first.signal('SIGKILL');
  await first.exited;
  await reader.readFor(1.5 * LIFETIME_MS);

  await expectUnharmed(running);
  expect((await second.stop()).code).toBe(0);
});
