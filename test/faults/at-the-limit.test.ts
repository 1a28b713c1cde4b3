import { expect, test } from 'vitest';
import { expectWellBehaved, startAtTheLimit, surviveOutage } from './at-the-limit.ts';

test('a fleet at a server that takes less than the limit throttles itself, survives an outage and recovers, though a daemon is killed', {
  timeout: 240_000,
}, async () => {
  const world = await startAtTheLimit();
  const { running, daemons } = world;
  const [first, second] = running;

  const { backlog, tookMs, mayTakeMs } = await surviveOutage(world, async () => {
    await world.reader.readFor(2000);
    first.signal('SIGKILL');
    await first.exited;
  });

  expect(backlog).toBeGreaterThan(1000);
  expect(tookMs).toBeLessThanOrEqual(mayTakeMs);
  const third = await daemons.start();
  await expectWellBehaved(world);
  for (const daemon of [second, third]) expect((await daemon.stop()).code).toBe(0);
});
