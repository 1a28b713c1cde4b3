import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startNode, type TestProcess } from '../support/process.ts';

const LAUNCHER = new URL('../../src/cli/evertoken', import.meta.url).pathname;

/** Shows what the launcher started: the Node it was given, its arguments, and how it takes a signal. */
const MAIN = `
  console.log(JSON.stringify({ file: import.meta.url, node: process.execPath, args: process.argv.slice(2) }));
  if (process.argv[2] === 'wait') {
    setInterval(() => {}, 1000);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(40 + signal.length));
    console.log('waiting');
  } else if (process.argv[2] === 'die') process.kill(process.pid, 'SIGKILL');
  else process.exitCode = 7;`;

/** Makes the running Node look old, unless it was started again as the package's own. */
const PRETEND_OLD = `
  if (!process.env.RUN_BY_OWN_NODE) Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } });`;

interface Layout {
  readonly main: 'src/cli/main.ts' | 'dist/src/cli/main.js';
  readonly ownNode?: boolean;
}

function installedIn({ main, ownNode = false }: Layout): string {
  const root = mkdtempSync(join(tmpdir(), 'evertoken-launcher-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  put(root, 'package.json', '{ "type": "module" }');
  put(root, main, MAIN);
  put(root, 'old.mjs', PRETEND_OLD);
  mkdirSync(join(root, 'src/cli'), { recursive: true });
  cpSync(LAUNCHER, join(root, 'src/cli/evertoken'));
  if (ownNode) {
    const script = `#!/bin/sh\nRUN_BY_OWN_NODE=1 exec ${process.execPath} "$@"\n`;
    put(root, 'node_modules/node/bin/node', script, 0o755);
  }
  return root;
}

function put(root: string, path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text, { mode });
}

function launch(root: string, args: string[], node: 'current' | 'old'): TestProcess {
  const pretend = node === 'old' ? [`--import=${join(root, 'old.mjs')}`] : [];
  return startNode([...pretend, join(root, 'src/cli/evertoken'), ...args]);
}

async function started(process: TestProcess): Promise<{ file: string; args: string[] }> {
  return JSON.parse(await process.waitForLine((line) => line.startsWith('{')));
}

test('runs the source in a clone, with the arguments and the exit code', async () => {
  const process = launch(installedIn({ main: 'src/cli/main.ts' }), ['status', '--json'], 'current');
  const { file, args } = await started(process);
  expect(file).toMatch(/src\/cli\/main\.ts$/);
  expect(args).toEqual(['status', '--json']);
  expect(await process.exited).toEqual({ code: 7, signal: null });
});

test('runs the compiled file in a published package', async () => {
  const process = launch(installedIn({ main: 'dist/src/cli/main.js' }), [], 'current');
  expect((await started(process)).file).toMatch(/dist\/src\/cli\/main\.js$/);
  await process.exited;
});

test('works through the symbolic link that npm makes of it', async () => {
  const root = installedIn({ main: 'src/cli/main.ts' });
  symlinkSync(join(root, 'src/cli/evertoken'), join(root, 'evertoken'));
  const process = startNode([join(root, 'evertoken')]);
  expect((await process.exited).code).toBe(7);
});

test('an old Node starts the package’s own, with the arguments and the exit code', async () => {
  const process = launch(installedIn({ main: 'src/cli/main.ts', ownNode: true }), ['a b', '--c'], 'old');
  expect((await started(process)).args).toEqual(['a b', '--c']);
  expect(await process.exited).toEqual({ code: 7, signal: null });
});

test.each([
  ['SIGTERM', 47],
  ['SIGINT', 46],
  ['SIGHUP', 46],
] as const)('an old Node passes %s on', async (signal, code) => {
  const process = launch(installedIn({ main: 'src/cli/main.ts', ownNode: true }), ['wait'], 'old');
  await process.waitForLine((line) => line === 'waiting');
  expect(await process.stop(signal)).toEqual({ code, signal: null });
});

test('an old Node ends by the signal that ended the package’s own', async () => {
  const process = launch(installedIn({ main: 'src/cli/main.ts', ownNode: true }), ['die'], 'old');
  expect(await process.exited).toEqual({ code: null, signal: 'SIGKILL' });
});

test.each([
  ['src/cli/main.ts', /^evertoken: expected Node 24 or newer, but got v[\d.]+ \(.+\): run "npm ci" in .+\n$/],
  [
    'dist/src/cli/main.js',
    /^evertoken: expected Node 24 or newer, but got v[\d.]+ \(.+\): install Node 24 .+\n$/,
  ],
] as const)('an old Node alone, beside %s, says in one line what to do', async (main, message) => {
  const process = launch(installedIn({ main }), [], 'old');
  expect((await process.exited).code).toBe(2);
  expect(process.stderr).toMatch(message);
  expect(process.stdout).toBe('');
});
