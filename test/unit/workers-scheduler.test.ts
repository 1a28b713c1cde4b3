import { expect, onTestFinished, test } from 'vitest';
import type { Parts } from '../../src/compose/parts.ts';
import { startScheduler } from '../../workers/scheduler.ts';
import { eventually } from '../support/eventually.ts';

const perHost = { count: 50, windowMs: 1000 };

/** A process whose configuration a test changes; `stepped` are the hosts that were dispatched for. */
function scene(...first: string[]) {
  let hosts = first;
  let changed = (): void => {};
  const stepped: string[] = [];
  const parts = {
    member: {
      epoch: 'epoch',
      catalogue: { hosts: () => new Map(hosts.map((host) => [host, { perHost }])) },
      perHost: (host: string) => (hosts.includes(host) ? perHost : undefined),
      pausedUntil: () => undefined,
      onChange: (listener: () => void) => {
        changed = listener;
      },
    },
    health: { succeeded: () => {}, failed: () => {} },
    log: { debug: () => {} },
    states: { read: async () => [] },
    marks: { read: async () => [] },
    indexes: {
      dispatch: async (_epoch: string, host: string) => {
        stepped.push(host);
        return { outcome: 'ok', now: 0, closedUntil: 0, nextDueAt: 1, waiting: 0, claimed: [], due: [] };
      },
    },
    refreshQueue: { add: async () => {} },
    draw: () => 0.5,
  };
  const scheduler = startScheduler(parts as unknown as Parts, (error) => {
    throw error;
  });
  onTestFinished(() => scheduler.stop());
  const configure = (...next: string[]): void => {
    hosts = next;
    changed();
  };
  const seen = async (host: string): Promise<void> => {
    stepped.length = 0;
    await eventually(() => stepped.includes(host), `${host} is dispatched for`);
  };
  return { scheduler, stepped, configure, seen };
}

test('a dispatcher comes with its host, goes with it, and comes again', async () => {
  const { configure, seen, stepped } = scene('a');
  await seen('a');
  configure('a', 'b');
  await seen('b');
  await seen('a');
  configure('b');
  await seen('b');
  expect(stepped).not.toContain('a');
  configure('a', 'b');
  await seen('a');
});

test('nothing is dispatched after the end, whatever is configured then', async () => {
  const { scheduler, configure, seen, stepped } = scene('a');
  await seen('a');
  await scheduler.stop();
  stepped.length = 0;
  configure('b');
  await new Promise((resolve) => setImmediate(resolve));
  expect(stepped).toEqual([]);
});
