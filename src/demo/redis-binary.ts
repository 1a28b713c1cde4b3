import { execFile, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { EvertokenError } from '../core/errors.ts';

const run = promisify(execFile);

/** How a private Redis can be run on this machine. */
export type RedisBinary =
  /** `calledAs` is the name that the program must be started under, where its own is another. */
  | { readonly kind: 'program'; readonly path: string; readonly calledAs: string | undefined }
  | { readonly kind: 'docker'; readonly image: string };

/** Anything older cannot carry the daemon's Redis contract. */
const OLDEST = [6, 2] as const;
const DOCKER_IMAGE = 'redis:7-alpine';
const DOCKER_ANSWER_TIMEOUT_MS = 5_000;

/**
 * Finds a Redis to run, in this order: `redis-server` or `valkey-server` on the PATH, a running Docker engine,
 * the distribution's package on Debian or Ubuntu as root. The last two may download, and say so first, in one
 * line on stderr. Throws `REDIS_MISSING` when there is none.
 */
export async function findRedis(): Promise<RedisBinary> {
  const redis = installedRedis() ?? (await dockerRedis()) ?? (await aptRedis());
  if (redis) return redis;
  throw new EvertokenError(
    'REDIS_MISSING',
    `expected redis-server or valkey-server (${OLDEST.join('.')} or newer) on the PATH, or a running Docker engine, but found neither: install the package redis-server, redis or valkey of your system`,
  );
}

function installedRedis(): RedisBinary | undefined {
  for (const name of ['redis-server', 'valkey-server']) {
    const path = onPath(name);
    if (path && isServer(path, name)) return { kind: 'program', path, calledAs: undefined };
  }
  // Server and file checker are one program that looks at the name it was started under; Debian ships it in
  // redis-tools, and redis-server adds no more than a symbolic link and the system's service.
  const path = onPath('redis-check-rdb');
  if (path && isServer(path, 'redis-server')) return { kind: 'program', path, calledAs: 'redis-server' };
  return undefined;
}

function isServer(path: string, calledAs: string): boolean {
  const { stdout } = spawnSync(path, ['--version'], { argv0: calledAs, encoding: 'utf8' });
  const version = /server v=(\d+)\.(\d+)/i.exec(stdout ?? '');
  if (!version) return false;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

async function dockerRedis(): Promise<RedisBinary | undefined> {
  if (!onPath('docker')) return undefined;
  const answered = await succeeds(
    'docker',
    ['version', '--format', '{{.Server.Version}}'],
    DOCKER_ANSWER_TIMEOUT_MS,
  );
  if (!answered) return undefined;
  if (!(await succeeds('docker', ['image', 'inspect', DOCKER_IMAGE]))) {
    announce(`pulling the image ${DOCKER_IMAGE}, for a private Redis`);
    if (!(await succeeds('docker', ['pull', '--quiet', DOCKER_IMAGE]))) return undefined;
  }
  return { kind: 'docker', image: DOCKER_IMAGE };
}

/**
 * Installs redis-tools and not redis-server: the same program, but without a service that would be started
 * now, and at every boot, on the port that everybody's Redis has.
 */
async function aptRedis(): Promise<RedisBinary | undefined> {
  if (process.getuid?.() !== 0 || !isDebianLike() || !onPath('apt-get')) return undefined;
  announce('installing the package redis-tools with apt-get, for a private Redis (no service is set up)');
  if (!(await aptGet('install', '--no-install-recommends', 'redis-tools'))) {
    // The package lists of a fresh machine are missing or out of date.
    await aptGet('update');
    await aptGet('install', '--no-install-recommends', 'redis-tools');
  }
  return installedRedis();
}

function aptGet(...args: string[]): Promise<boolean> {
  return succeeds('apt-get', ['-y', '-q', '-o', 'DPkg::Lock::Timeout=120', ...args]);
}

function isDebianLike(): boolean {
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

async function succeeds(program: string, args: string[], timeoutMs = 0): Promise<boolean> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 };
  return run(program, args, options).then(
    () => true,
    () => false,
  );
}

function onPath(name: string): string | undefined {
  const candidates = (process.env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, name));
  return candidates.find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function announce(what: string): void {
  process.stderr.write(`evertoken: ${what}\n`);
}
