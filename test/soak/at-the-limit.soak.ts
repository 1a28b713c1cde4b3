import { expect, test } from 'vitest';
import { parseDurationMs } from '../../src/core/duration.ts';
import { expectWellBehaved, LIFETIME_MS, startAtTheLimit, surviveOutage } from '../faults/at-the-limit.ts';

/** How long to go on: half of what the soak is given, five minutes by default. */
const SOAK_MS = (parseDurationMs(process.env.EVERTOKEN_SOAK ?? '10m') ?? 600_000) / 2;

test('a fleet at a server that takes less than the limit survives outage after outage, and a kill in each recovery', {
  timeout: SOAK_MS + 600_000,
}, async () => {
  const world = await startAtTheLimit();
  const { running, daemons, reader } = world;
  const end = performance.now() + SOAK_MS;
  for (let turn = 0; performance.now() < end; turn++) {
    const which = (turn % 2) as 0 | 1;
    const { backlog, tookMs, mayTakeMs } = await surviveOutage(world, async () => {
      await reader.readFor(2000);
      running[which].signal('SIGKILL');
      await running[which].exited;
    });
    console.log(`${backlog} were due, and through after ${tookMs} ms of ${Math.round(mayTakeMs)} ms`);
    expect(tookMs).toBeLessThanOrEqual(mayTakeMs);
    running[which] = await daemons.start();
    await expectWellBehaved(world);
    await reader.readFor(LIFETIME_MS);
  }
  for (const daemon of running) expect((await daemon.stop()).code).toBe(0);
});
