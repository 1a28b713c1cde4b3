import { expect, test } from 'vitest';
import { parseDurationMs } from '../../src/core/duration.ts';
import { IDENTICAL, LIFETIME_MS, startRunning } from '../faults/set-up.ts';
import { mostIdentical } from '../support/fleet.ts';
import type { TestProcess } from '../support/process.ts';

/** How long to go on; `EVERTOKEN_SOAK=1h npm run soak`. */
const SOAK_MS = parseDurationMs(process.env.EVERTOKEN_SOAK ?? '10m') ?? 600_000;
/** After a fault the fleet gets as long as a token lives, so that each has to be survived by itself. */
const BETWEEN_FAULTS_MS = LIFETIME_MS;

test('no reader ever misses a token while daemons and Redis are killed, stopped and started again', {
  timeout: SOAK_MS + 300_000,
}, async () => {
  const { reader, redis, idp, daemons, first, second } = await startRunning();
  const pair: [TestProcess, TestProcess] = [first, second];
  const faults = [
    async (which: 0 | 1): Promise<string> => {
      pair[which].signal('SIGKILL');
      await pair[which].exited;
      await reader.readFor(BETWEEN_FAULTS_MS / 2);
      pair[which] = await daemons.start();
      return 'a daemon was killed, and another one started';
    },
    async (which: 0 | 1): Promise<string> => {
      pair[which].signal('SIGSTOP');
      await reader.readFor(BETWEEN_FAULTS_MS);
      pair[which].signal('SIGCONT');
      return 'a daemon was stopped, and went on';
    },
    async (which: 0 | 1): Promise<string> => {
      const { code } = await pair[which].stop();
      expect(code).toBe(0);
      pair[which] = await daemons.start();
      return 'a daemon was replaced';
    },
    async (): Promise<string> => {
      await redis.kill('SIGKILL');
      await redis.restart();
      return 'Redis was killed, and came back with its file';
    },
    async (): Promise<string> => {
      await redis.kill('SIGSTOP');
      await reader.readFor(3000);
      await redis.kill('SIGCONT');
      return 'Redis was stopped, and went on';
    },
  ];
  const end = performance.now() + SOAK_MS;
  for (let turn = 0; performance.now() < end; turn++) {
    const fault = faults[turn % faults.length] as (which: 0 | 1) => Promise<string>;
    const what = await fault(Math.random() < 0.5 ? 0 : 1);
    await reader.readFor(BETWEEN_FAULTS_MS);
    const { missed, wentBack, expired, present, leastLifeLeft } = reader.seen;
    expect({ what, missed, wentBack, expired, present }).toEqual({
      what,
      missed: [],
      wentBack: [],
      expired: [],
      present: 300,
    });
    console.log(`${what}; the least share of life left so far: ${leastLifeLeft.toFixed(2)}`);
  }
  expect(mostIdentical(await idp.requests(), IDENTICAL.windowMs)).toBeLessThanOrEqual(IDENTICAL.count);
  for (const daemon of pair) expect((await daemon.stop()).code).toBe(0);
});
