import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { extname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LogTail } from './ending.ts';

export interface ChildPlan {
  /** What the end of the process is reported under. */
  readonly name: string;
  /** Of the program, from this folder and without its extension: the source has another than the package. */
  readonly module: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Takes standard output and standard error. */
  readonly logFile: string;
  /** Removed by the process itself when this one dies without ending it. */
  readonly directory: string;
}

/** A process of the demo's that ends with it. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves with how it ended: an exit code, a signal, or why it did not start. */
  readonly ended: Promise<string>;
  /** The last lines that it printed. */
  logTail(): LogTail;
  /** The first value that `find` gives for a line printed so far or from now on; undefined when it ends without. */
  firstInLog<Value>(find: (line: string) => Value | undefined): Promise<Value | undefined>;
  /** Keeps the log from filling the disk. */
  trimLog(): void;
  /** SIGTERM, and SIGKILL where that is not enough. */
  stop(): Promise<void>;
}

const EXTENSION = extname(import.meta.url);

const beside = (module: string): URL => new URL(module + EXTENSION, import.meta.url);

const STOP_TIMEOUT_MS = 5000;
const LOG_LOOK_MS = 20;
const LOG_TAIL_LINES = 15;
const LONGEST_LOG_BYTES = 32 * 1024 * 1024;

/** Starts a program of this package in a process of its own. */
export function startChild(plan: ChildPlan): Child {
  const { name, logFile } = plan;
  const child = spawnLeashed(plan);
  let hasEnded = false;
  const ended = new Promise<string>((resolve) => {
    const end = (how: string): void => {
      hasEnded = true;
      resolve(how);
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
  });
  return {
    name,
    pid: child.pid ?? 0,
    ended,
    logTail: () => ({ of: name, lines: linesOf(logFile).slice(-LOG_TAIL_LINES) }),
    async firstInLog(find) {
      for (;;) {
        // Asked before the look: the last words may come between the look and the end.
        const isLastLook = hasEnded;
        const found = linesOf(logFile)
          .map(find)
          .find((value) => value !== undefined);
        if (found !== undefined || isLastLook) return found;
        await Promise.race([sleep(LOG_LOOK_MS), ended]);
      }
    },
    trimLog() {
      if (statSync(logFile).size > LONGEST_LOG_BYTES) truncateSync(logFile);
    },
    stop: () => stop(child, ended),
  };
}

function spawnLeashed({ module, args, env, logFile, directory }: ChildPlan): ChildProcess {
  // For appending: what is written after `trimLog` then goes to the new end.
  const log = openSync(logFile, 'a');
  const leash = ['--import', beside('./leash').href];
  const child = spawn(process.execPath, [...leash, fileURLToPath(beside(module)), ...args], {
    stdio: ['pipe', log, log],
    env: { ...process.env, ...env, EVERTOKEN_DEMO_DIRECTORY: directory },
    // A session of its own: a Ctrl-C in the terminal is for the demo, which ends its processes in order.
    detached: true,
  });
  closeSync(log);
  // It ends with the pipe still open.
  child.stdin?.on('error', () => {});
  return child;
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const timeout = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timeout);
}

function linesOf(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.slice(0, -1);
}
