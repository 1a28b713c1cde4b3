import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { EvertokenError } from '../core/errors.ts';
import { findRedis, type RedisBinary } from './redis-binary.ts';

const run = promisify(execFile);

export interface PrivateRedisOptions {
  /** Whether what was written survives a SIGKILL and a restart (appendonly, everysec). Default false. */
  readonly persistent?: boolean;
  /** More arguments for redis-server. */
  readonly args?: readonly string[];
  /** Default: a free one. */
  readonly port?: number;
  /** Default: none is asked for. */
  readonly password?: string;
}

/** A Redis of one's own: on loopback, in its own directory, and gone when its parent is gone. */
export interface PrivateRedis {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now (of Docker's client, where it is a container); another after `restart()`. */
  readonly pid: number;
  /** Default SIGKILL. Resolves when Redis has ended; for SIGSTOP and SIGCONT when the signal is sent. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends Redis where it still runs, and starts it with the same port and directory. Resolves when it is ready. */
  restart(): Promise<void>;
  /** Ends Redis and removes its directory. */
  stop(): Promise<void>;
}

/** Starts a private Redis; resolves when it answers. Throws `REDIS_MISSING` or `REDIS_UNREACHABLE`. */
export async function startPrivateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const binary = await findRedis();
  const directory = mkdtempSync(join(tmpdir(), 'evertoken-redis-'));
  try {
    return await startIn(directory, binary, options);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Between the look for a free port and its use, another process may have taken it. */
const PORT_ATTEMPTS = 5;

async function startIn(
  directory: string,
  binary: RedisBinary,
  options: PrivateRedisOptions,
): Promise<PrivateRedis> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const plan = { directory, port, options, binary };
    try {
      return handleOf(plan, await launch(plan));
    } catch (error) {
      const taken = error instanceof Error && /already in use|already allocated/i.test(error.message);
      if (!taken || options.port !== undefined || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

interface Plan {
  readonly directory: string;
  readonly port: number;
  readonly options: PrivateRedisOptions;
  readonly binary: RedisBinary;
}

function handleOf(plan: Plan, first: Running): PrivateRedis {
  const { port, directory, options } = plan;
  let running = first;
  const login = options.password === undefined ? '' : `:${encodeURIComponent(options.password)}@`;
  return {
    url: `redis://${login}127.0.0.1:${port}`,
    port,
    get pid() {
      return running.pid;
    },
    kill: (signal = 'SIGKILL') => running.kill(signal),
    async restart() {
      await running.kill('SIGTERM');
      running = await launch(plan);
    },
    async stop() {
      // SIGKILL, because a Redis that a test has stopped with SIGSTOP hears nothing else.
      await running.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Running {
  readonly pid: number;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/**
 * Run by `sh` as: guard DIRECTORY PROGRAM ARGS. The program replaces the shell, so that its pid is the one the
 * parent sees; a child left behind waits for the end of the pipe that the parent holds open for as long as it
 * lives, however it dies. If the program still runs then, the parent has died without ending it.
 */
const GUARD = `
  directory=$1; shift
  exec 3<&0 0</dev/null
  ( cat <&3; kill -9 $$ && rm -rf "$directory" ) >/dev/null 2>&1 &
  exec 3<&-
  exec "$@"`;

async function launch(plan: Plan): Promise<Running> {
  const container = `${basename(plan.directory).toLowerCase()}-${plan.port}`;
  const [program = '', ...args] =
    plan.binary.kind === 'docker' ? dockerCommand(plan, container) : localCommand(plan);
  // A session of its own: a Ctrl-C in the terminal is for the parent, which ends Redis when it is done with it.
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  await ready(child);
  async function kill(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (plan.binary.kind === 'docker') await run('docker', [...dockerSignal(signal), container]);
    else child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await exited;
  }
  return { pid: child.pid ?? 0, kill };
}

function localCommand(plan: Plan): string[] {
  const { directory, binary, port } = plan;
  const program = binary.kind === 'program' ? startable(binary, directory) : 'redis-server';
  const redis = [program, '--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory];
  return ['sh', '-c', GUARD, 'guard', directory, ...redis, ...settings(plan.options)];
}

function startable(binary: RedisBinary & { kind: 'program' }, directory: string): string {
  if (binary.calledAs === undefined) return binary.path;
  const link = join(directory, binary.calledAs);
  rmSync(link, { force: true });
  symlinkSync(binary.path, link);
  return link;
}

/**
 * The guard stands inside the container, where the pipe's end arrives through `docker run -i`; `--init`,
 * because a process 1 cannot be killed from within. The files belong to the caller, who removes them.
 */
function dockerCommand(plan: Plan, container: string): string[] {
  const { directory, binary, port, options } = plan;
  const image = binary.kind === 'docker' ? binary.image : '';
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const start = ['docker', 'run', '--rm', '-i', '--init', '--name', container, '--user', user];
  const reach = ['-p', `127.0.0.1:${port}:6379`, '-v', `${directory}:/data`, '--entrypoint', 'sh', image];
  const redis = ['redis-server', '--port', '6379', '--protected-mode', 'no', '--dir', '/data'];
  return [...start, ...reach, '-c', GUARD, 'guard', '/data', ...redis, ...settings(options)];
}

/** `docker kill` reaches the container's process 1 alone, which passes on every signal but these two. */
function dockerSignal(signal: NodeJS.Signals): string[] {
  if (signal === 'SIGSTOP') return ['pause'];
  if (signal === 'SIGCONT') return ['unpause'];
  return ['kill', '--signal', signal];
}

function settings({ persistent = false, password, args = [] }: PrivateRedisOptions): string[] {
  // No rewriting of the file in the background: its process would outlive a SIGKILL.
  const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--auto-aof-rewrite-percentage', '0'];
  return [
    ...['--save', '', '--maxmemory-policy', 'noeviction', '--daemonize', 'no', '--logfile', ''],
    ...(persistent ? durable : ['--appendonly', 'no']),
    ...(password === undefined ? [] : ['--requirepass', password]),
    ...args,
  ];
}

const KEPT_LINES = 20;
const START_TIMEOUT_MS = 60_000;

/** Resolves with the line that Redis prints once its data is loaded and it answers. */
function ready(child: ChildProcess): Promise<void> {
  const lines: string[] = [];
  const timeout = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timeout);
      reject(
        new EvertokenError(
          'REDIS_UNREACHABLE',
          `expected a private Redis to start, but ${what}: ${lines.join(' | ')}`,
        ),
      );
    };
    const take = (line: string): void => {
      if (lines.push(line) > KEPT_LINES) lines.shift();
      if (!line.includes('Ready to accept connections')) return;
      clearTimeout(timeout);
      resolve();
    };
    // Read to the end, also after it is ready: a full pipe would stop Redis.
    for (const output of [child.stdout, child.stderr]) if (output) createInterface(output).on('line', take);
    child.once('error', (error) => fail(error.message));
    // 'close' and not 'exit': by then its last words have been read.
    child.once('close', (code, signal) => fail(`it ended with ${code ?? signal}`));
  });
}

/**
 * Ports below those that systems hand out to outgoing connections: a client that connects again and again
 * while Redis is down would otherwise be given this very port at some time, and talk to itself.
 */
const PORTS = { first: 16_000, count: 16_000 } as const;

/** A port on loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen({ port, host: '127.0.0.1', exclusive: true });
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  if (free) await new Promise((closed) => server.close(closed));
  return free;
}
