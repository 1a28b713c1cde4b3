import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { onTestFinished, type TestContext } from 'vitest';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** Set on top of the environment of the tests; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Default: the Node that runs the tests. */
  readonly program?: string;
}

/** A child process whose output is captured. A test that leaves one running fails. */
export interface TestProcess {
  readonly pid: number;
  /** Everything printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves, at the latest, when the process has ended and all of its output has been read. */
  readonly exited: Promise<Exit>;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal, SIGTERM by default, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
  /** The first line, of either output and also of what came before, that fits. Rejects when the process ends without. */
  waitForLine(fits: (line: string) => boolean): Promise<string>;
}

/** Starts `node ARGS`. To be called inside a test or `beforeEach`. */
export function startNode(args: readonly string[], options: ProcessOptions = {}): TestProcess {
  const child = spawn(options.program ?? process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const output = capture(child);
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const signal = (name: NodeJS.Signals): void => {
    child.kill(name);
  };
  onTestFinished((context) => endLeaked(context, child, exited, args));
  return {
    pid: child.pid ?? 0,
    get stdout() {
      return output.text.stdout;
    },
    get stderr() {
      return output.text.stderr;
    },
    exited,
    signal,
    stop(name = 'SIGTERM') {
      signal(name);
      return exited;
    },
    waitForLine: (fits) => waitForLine(output, exited, fits),
  };
}

interface Output {
  readonly text: { stdout: string; stderr: string };
  readonly lines: string[];
  readonly listeners: Set<(line: string) => void>;
}

function capture(child: ChildProcess): Output {
  const output: Output = { text: { stdout: '', stderr: '' }, lines: [], listeners: new Set() };
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = child[name];
    if (!stream) continue;
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output.text[name] += chunk;
    });
    createInterface(stream).on('line', (line) => {
      output.lines.push(line);
      for (const listener of output.listeners) listener(line);
    });
  }
  return output;
}

function waitForLine(
  output: Output,
  exited: Promise<Exit>,
  fits: (line: string) => boolean,
): Promise<string> {
  const earlier = output.lines.find(fits);
  if (earlier !== undefined) return Promise.resolve(earlier);
  return new Promise((resolve, reject) => {
    const listener = (line: string): void => {
      if (!fits(line)) return;
      output.listeners.delete(listener);
      resolve(line);
    };
    output.listeners.add(listener);
    exited.then(({ code, signal }) => {
      const printed = output.text.stdout + output.text.stderr;
      reject(new Error(`expected a line, but the process ended with ${code ?? signal}:\n${printed}`));
    }, reject);
  });
}

async function endLeaked(
  { task }: TestContext,
  child: ChildProcess,
  exited: Promise<Exit>,
  args: readonly string[],
): Promise<void> {
  const runs = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  if (!runs) return;
  child.kill('SIGKILL');
  await exited;
  // A test that has failed did not come as far as its clean-up: its own error is the one to read.
  if (task.result?.state !== 'fail')
    throw new Error(`expected the test to end its process, but it ran on: ${args.join(' ')}`);
}
