import { expect, test } from 'vitest';
import { expectUnharmed, LIFETIME_MS, startRunning } from './set-up.ts';

test('a daemon that was stopped for longer than its leases changes nothing when it goes on', {
  timeout: 120_000,
}, async () => {
  const running = await startRunning();
  const { reader, first, second } = running;

  first.signal('SIGSTOP');
  await reader.readFor(LIFETIME_MS);
  first.signal('SIGCONT');
  await reader.readFor(LIFETIME_MS);

  await expectUnharmed(running);
  const exits = await Promise.all([first.stop(), second.stop()]);
  expect(exits.map(({ code }) => code)).toEqual([0, 0]);
});
