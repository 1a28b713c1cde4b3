import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startNode, type TestProcess } from '../support/process.ts';

const LAUNCHER = new URL('../../src/cli/evertoken', import.meta.url).pathname;

interface Demo {
  readonly process: TestProcess;
  /** Where everything is that the demo makes. */
  readonly folder: string;
}

function demo(...args: string[]): Demo {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-test-demo-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const small = ['--tenants', '5', '--resources', '2', '--lifetime', '6s', '--json'];
  const process = startNode([LAUNCHER, 'demo', ...small, ...args], {
    // A Redis that must not be touched, and that nobody could.
    env: { TMPDIR: folder, REDIS_URL: 'redis://127.0.0.1:1' },
  });
  return { process, folder };
}

/** The demo says which processes it has started. */
function processesOf({ stderr }: TestProcess): number[] {
  return [...stderr.matchAll(/\(process (\d+)\)/g)].map(([, pid]) => Number(pid));
}

const isWarm = (line: string): boolean => / [1-9]\d* reads, \d+ missed$/.test(line);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function expectNothingLeft({ process, folder }: Demo): void {
  const pids = processesOf(process);
  expect(pids).toHaveLength(3);
  expect(pids.filter(isAlive)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
}

test('the demo ends by itself, has missed no read, and leaves nothing behind', async () => {
  const run = demo('--for', '8s');
  expect(await run.process.exited).toEqual({ code: 0, signal: null });
  const summary = JSON.parse(run.process.stdout);
  expect(summary).toMatchObject({ ok: true, problem: null, targets: 10, lifetime: '6s', missed: 0 });
  expect(summary.reads).toBeGreaterThan(0);
  // Ten tokens of six seconds do not last eight: some were refreshed.
  expect(summary.requests).toBeGreaterThan(10);
  expect(summary.shortestLife.leftMs).toBeGreaterThan(0);
  expect(run.process.stderr).not.toContain('\x1b');
  expectNothingLeft(run);
});

test('a daemon that dies is noticed, and reported with the end of its log', async () => {
  const run = demo();
  await run.process.waitForLine(isWarm);
  const [, daemon] = /^ {2}daemon .*\(process (\d+)\)/m.exec(run.process.stderr) ?? [];
  process.kill(Number(daemon), 'SIGKILL');
  expect(await run.process.exited).toEqual({ code: 1, signal: null });
  expect(JSON.parse(run.process.stdout)).toMatchObject({
    ok: false,
    problem: 'the daemon has ended by itself (SIGKILL)',
  });
  expect(run.process.stderr).toMatch(/The last lines that the daemon printed:\n {2}\{.+\}\n/);
  expectNothingLeft(run);
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s ends a demo without an end of its own, and leaves nothing behind',
  async (signal) => {
    const run = demo();
    await run.process.waitForLine(isWarm);
    expect(await run.process.stop(signal)).toEqual({ code: 0, signal: null });
    expect(JSON.parse(run.process.stdout)).toMatchObject({ ok: true, missed: 0 });
    expectNothingLeft(run);
  },
);

test('a demo that is killed leaves nothing behind either', async () => {
  const run = demo();
  await run.process.waitForLine((line) => line.includes('warming up') || isWarm(line));
  await run.process.stop('SIGKILL');
  await vi.waitFor(() => expectNothingLeft(run), { interval: 5, timeout: 5000 });
});

test.each([
  ['--for', 'soon'],
  ['--tenants', '0'],
  ['--resources', '9'],
  ['--lifetime', '4s'],
])('%s %s is bad usage', async (option, value) => {
  const run = demo(option, value);
  expect(await run.process.exited).toEqual({ code: 2, signal: null });
  expect(run.process.stderr).toMatch(/expected .+/);
  expect(readdirSync(run.folder)).toEqual([]);
});
