import { describe, expect, test } from 'vitest';
import type { Run } from '../../src/simulate/run.ts';
import { run } from '../support/simulation.ts';

/** Calls a second in each minute of a part of the run. */
function perMinute({ recorder }: Run, fromMinute: number, toMinute: number): number[] {
  return Array.from({ length: toMinute - fromMinute }, (_, i) => {
    const from = (fromMinute + i) * 60;
    return recorder.calls.perSecond.subarray(from, from + 60).reduce((sum, calls) => sum + calls, 0) / 60;
  });
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe('20,000 tokens of an hour at 30 requests a second, warm', () => {
  test.each(['refuses', 'hangs', 'unavailable'])(
    'outlive an outage of 25 minutes in which the server %s, without a herd and with few calls in vain',
    (kind) => {
      const { summary } = run(`--targets 20000 --lifetime 1h --idp-rate 30 --outage 25m@1h:${kind} --for 3h`);
      expect(summary.expiredTokenMinutes).toBe(0);
      expect(summary.failedCalls).toBeLessThanOrEqual(250);
      expect(summary.throttledCalls).toBe(0);
      expect(summary.peakPerSecond).toBeLessThanOrEqual(36);
      // What comes due during the recovery and ends earlier goes first.
      expect(summary.recoverySeconds).toBeLessThan(1.25 * ((summary.outages[0]?.backlog as number) / 30));
    },
  );

  test('cost no more calls without an outage than the middle of the window asks for', () => {
    const { summary } = run('--targets 20000 --lifetime 1h --idp-rate 30 --outage-target 25m --for 4h');
    const [earliest, latest] = summary.window as [number, number];
    const middleMs = ((earliest + latest) / 2) * 3_600_000;
    expect(summary.calls).toBeLessThanOrEqual((1.05 * 20_000 * 4 * 3_600_000) / middleMs);
    expect(summary.calls).toBeGreaterThan((0.85 * 20_000 * 4 * 3_600_000) / middleMs);
    expect(summary).toMatchObject({ failedCalls: 0, expiredTokenMinutes: 0, recoverySeconds: null });
  });

  test('that were issued in the same minute use all of the window evenly, and are no herd any more after some cycles', () => {
    const done = run(
      '--targets 20000 --lifetime 1h --idp-rate 30 --outage-target 25m --issued-within 1m --for 6h',
    );
    const [earliest, latest] = done.summary.window as [number, number];
    const windowMinutes = (latest - earliest) * 60;
    const firstCycle = perMinute(done, 0, Math.ceil(latest * 60) + 1);
    expect(Math.max(...firstCycle)).toBeLessThan(1.3 * (20_000 / (windowMinutes * 60)));
    const peaks = [60, 90, 120, 240].map((from) => Math.max(...perMinute(done, from, 360)));
    const average = mean(perMinute(done, 60, 360));
    expect(peaks[2]).toBeLessThan(1.3 * average);
    expect(peaks[3]).toBeLessThan(1.1 * average);
    expect(done.summary).toMatchObject({ failedCalls: 0, expiredTokenMinutes: 0 });
  });
});

describe('other tokens', () => {
  test('of 5 minutes outlive an outage of 2 minutes', () => {
    const { summary } = run('--targets 2000 --lifetime 5m --idp-rate 30 --outage 2m@20m --for 1h');
    expect(summary.expiredTokenMinutes).toBe(0);
    expect(summary.failedCalls).toBeLessThan(50);
    expect(summary.peakPerSecond).toBeLessThanOrEqual(36);
  });

  test('of 24 hours are hardly asked for, and outlive an outage of an hour', () => {
    const { summary } = run('--targets 5000 --lifetime 24h --idp-rate 10 --outage 1h@20h --for 48h');
    expect(summary).toMatchObject({ expiredTokenMinutes: 0, window: [0.45, 0.75] });
    expect(summary.shortestLifeSeconds).toBeGreaterThan(0.2 * 86_400);
    expect(summary.calls).toBeLessThan((1.05 * 5000 * 48) / (0.6 * 24) + summary.failedCalls);
  });

  test('of 5 minutes and of 24 hours beside each other do each other no harm', () => {
    const { summary } = run('--lifetime 5m:1000,24h:9000 --idp-rate 20 --outage 2m@1h --for 3h');
    expect(summary).toMatchObject({
      expiredTokenMinutes: 0,
      window: [
        [0.3, 0.5],
        [0.45, 0.75],
      ],
    });
    expect(summary.failedCalls).toBeLessThan(50);
  });

  test('of lives that differ from answer to answer', () => {
    const { summary } = run('--targets 5000 --lifetime 40m..80m --idp-rate 10 --outage 15m@1h --for 3h');
    expect(summary.expiredTokenMinutes).toBe(0);
  });
});

describe('tenants', () => {
  test('one that always fails costs the others nothing, and is asked ever more seldom', () => {
    const failing = new Map<number, number>();
    const { summary } = run('--targets 2000 --failing-tenants 1 --idp-rate 5 --for 8h', {
      onRequest: ({ target, failure }) => {
        if (failure !== undefined) failing.set(target.index, (failing.get(target.index) ?? 0) + 1);
      },
    });
    expect(failing.size).toBe(10);
    // After 30 s, 1 m, 2 m … every 15 to 30 minutes.
    for (const calls of failing.values()) expect(calls).toBeLessThan(45);
    expect(summary).toMatchObject({
      expiredTokenMinutes: 0,
      failedCalls: [...failing.values()].reduce((a, b) => a + b),
    });
  });

  test('many that get nothing but error pages take nothing from the others: none of their tokens ends', () => {
    const { summary } = run('--targets 4000 --tenants 400 --troubled-tenants 120 --idp-rate 10 --for 4h');
    expect(summary.expiredTargets).toBe(1200);
  });

  test('as many as targets: 20,000 of them behave as few do', () => {
    const { summary } = run('--targets 20000 --tenants 20000 --idp-rate 30 --outage 25m@1h --for 3h');
    expect(summary.expiredTokenMinutes).toBe(0);
    expect(summary.failedCalls).toBeLessThanOrEqual(250);
  });

  test('one that asks for an hour of silence is left alone for an hour, and nobody else is', () => {
    const refused: number[] = [];
    const { summary, scenario, start } = run(
      '--targets 5000 --lifetime 24h --retry-after-tenant 1h@2h --idp-rate 5 --for 12h',
      {
        onRequest: ({ at, failure }) => {
          if (failure !== undefined) refused.push(at);
        },
      },
    );
    expect(refused.length).toBeGreaterThan(0);
    for (const at of refused) expect(at - (refused[0] as number)).toBeLessThanOrEqual(scenario.latencyMs);
    expect((refused[0] as number) - start).toBeGreaterThanOrEqual(7_200_000);
    expect(summary.expiredTokenMinutes).toBe(0);
  });
});

describe('a cold start', () => {
  test('of 20,000 is over as soon as the rate allows, and leaves no herd behind', () => {
    const done = run('--targets 20000 --start cold --idp-rate 100 --for 2h');
    const firstLive = done.recorder.samples.find(({ live }) => live === 20_000);
    expect(firstLive?.at).toBeLessThan(1.15 * (20_000 / 100) * 1000);
    expect(done.summary).toMatchObject({ failedCalls: 0, expiredTokenMinutes: 0 });
    expect(done.summary.peakPerSecond).toBeLessThanOrEqual(112);
  });
});

describe('a server that takes less than our limit', () => {
  test('refuses seldom after the first minutes, and no token ends while the demand fits', () => {
    const { summary, recorder } = run('--targets 20000 --idp-rate 12 --limit 30 --outage 15m@1h --for 6h');
    expect(summary.throttledCalls).toBeGreaterThan(0);
    expect(summary.expiredTokenMinutes).toBe(0);
    const later = recorder.calls.failedPerSecond.subarray(2 * 3600).reduce((sum, failed) => sum + failed, 0);
    expect(later).toBeLessThan(20);
    expect(summary.throttledCalls).toBeLessThan(60);
  });

  test('and refuses without Retry-After', () => {
    const { summary } = run(
      '--targets 5000 --start cold --idp-rate 10 --limit 30 --retry-after none --for 3h',
    );
    expect(summary.throttledCalls).toBeLessThan(100);
    expect(summary.expiredTokenMinutes).toBe(0);
  });
});

test('what waits for a worker when the server refuses is given back and not sent', () => {
  const closed: { from: number; until: number }[] = [];
  const { summary } = run(
    '--targets 2000 --start cold --daemons 1 --limit 300 --tenant-limit 50 --idp-rate 50 --latency 400ms --retry-after 2m --for 10m',
    {
      onRequest: ({ at, failure }) => {
        for (const { from, until } of closed) expect(at > from && at < until).toBe(false);
        if (failure !== undefined) closed.push({ from: at + 400, until: at + 120_000 });
      },
    },
  );
  expect(summary.throttledCalls).toBeGreaterThan(10);
});

describe('daemons that are killed', () => {
  test('lose what was in flight and no more', () => {
    const { summary } = run(
      '--targets 20000 --outage 25m@1h --crash 1@87m+5m --crash 2@100m --latency 500ms --for 3h',
    );
    expect(summary.lostCalls).toBeGreaterThan(0);
    expect(summary.lostCalls).toBeLessThan(60);
    expect(summary.expiredTokenMinutes).toBe(0);
  });

  test('all at once: after a pause their tokens are still there', () => {
    const { summary, recorder } = run(
      '--targets 5000 --daemons 2 --crash 1@1h+10m --crash 2@1h+10m --idp-rate 10 --for 2h',
    );
    expect(recorder.calls.perSecond.subarray(3605, 4195).every((calls) => calls === 0)).toBe(true);
    expect(summary.expiredTokenMinutes).toBe(0);
  });
});

test('all daemons killed with a full queue: they go on with it when they are back', () => {
  const { summary, recorder } = run(
    '--targets 5000 --start cold --daemons 1 --limit 300 --tenant-limit 50 --idp-rate 300 --latency 400ms --crash 20s+10s --for 5m',
  );
  expect(summary.lostCalls).toBeGreaterThan(0);
  expect(recorder.samples.at(-1)).toMatchObject({ live: 5000 });
});

test('100,000 targets for an hour take seconds', () => {
  const startedAt = performance.now();
  const { summary } = run('--targets 100000 --idp-rate 100 --for 1h');
  expect(summary.calls).toBeGreaterThan(100_000);
  // A day is to take less than a minute; tests beside this one share the machine.
  expect(performance.now() - startedAt).toBeLessThan(15_000);
});
