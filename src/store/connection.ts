import { once } from 'node:events';
import { Redis, type RedisOptions } from 'ioredis';
import { EvertokenError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';

/** How to reach Redis. The URL may hold a password and is a secret for that reason. */
export interface RedisAddress {
  readonly url: Secret;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** `true`, or what `rediss://` does not say. */
  readonly tls?:
    | { readonly ca?: string | undefined; readonly rejectUnauthorized?: boolean | undefined }
    | undefined;
}

/**
 * The three kinds of connection that the daemon needs. `commands`: everything that has to answer or fail within
 * a time. `blocking`: BullMQ workers and stream readers, which wait for work and must never time out.
 * `subscriber`: pub/sub.
 */
export type ConnectionKind = 'commands' | 'blocking' | 'subscriber';

const COMMAND_TIMEOUT_MS = 5000;
const CONNECT_TIMEOUT_MS = 5000;
const LONGEST_RECONNECT_MS = 1000;

/** Opens a connection that reconnects for ever; whoever opens it closes it and listens for its errors. */
export function connectRedis(address: RedisAddress, kind: ConnectionKind, name: string): Redis {
  return new Redis(address.url.reveal(), redisOptions(address, kind, name));
}

/** Resolves when a connection can be used, whoever began to open it; rejects when an attempt to open it fails. */
export async function whenReady(redis: Redis): Promise<void> {
  if (redis.status === 'wait') await redis.connect();
  else if (redis.status !== 'ready') await once(redis, 'ready');
}

function redisOptions(
  address: RedisAddress,
  kind: ConnectionKind,
  name: string,
): RedisOptions & { replyMapping: 'legacy' } {
  return {
    replyMapping: 'legacy',
    connectionName: `evertoken:${name}`,
    connectTimeout: CONNECT_TIMEOUT_MS,
    lazyConnect: true,
    // Redis is back within a second of its return: half of the time that work has to resume in is not waited away.
    retryStrategy: (attempt) => Math.min(LONGEST_RECONNECT_MS, 50 * 2 ** Math.min(attempt, 10)),
    reconnectOnError: afterFailover(),
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password.reveal() }),
    ...(address.tls === undefined ? {} : { tls: definedOnly(address.tls) }),
    ...(kind === 'commands'
      ? {
          commandTimeout: COMMAND_TIMEOUT_MS,
          enableOfflineQueue: false,
          maxRetriesPerRequest: 0,
        }
      : { maxRetriesPerRequest: null }),
  };
}

/** After a failover the old master answers READONLY: connect anew and send the command again, but not in a storm. */
function afterFailover(): (error: Error) => 2 | false {
  let reconnectedAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    const now = performance.now();
    if (!error.message.startsWith('READONLY') || now - reconnectedAt < LONGEST_RECONNECT_MS) return false;
    reconnectedAt = now;
    return 2;
  };
}

function definedOnly(options: NonNullable<RedisAddress['tls']>): {
  ca?: string;
  rejectUnauthorized?: boolean;
} {
  return {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized }),
  };
}

const OLDEST_VERSION = [6, 2] as const;

/** What is unusual about a server that can be used all the same. */
export interface ServerWarning {
  readonly code: 'EVICTION_POLICY' | 'EVICTION_POLICY_UNKNOWN' | 'VERSION_UNKNOWN';
  readonly message: string;
}

/**
 * Connects once and looks at the server. Throws `REDIS_UNREACHABLE`, `REDIS_AUTHENTICATION` or
 * `REDIS_UNSUPPORTED`; gives warnings where it would run, but not as it should.
 */
export async function checkServer(address: RedisAddress): Promise<{ warnings: ServerWarning[] }> {
  const redis = connectRedis(address, 'commands', 'check');
  let lastError: unknown;
  redis.on('error', (error) => {
    lastError = error;
  });
  try {
    await redis.connect();
    const info = await readInfo(redis);
    requireVersion(info);
    await requireDatabase(redis);
    return { warnings: warningsOf(info) };
  } catch (error) {
    throw error instanceof EvertokenError ? error : explain(address, lastError ?? error);
  } finally {
    redis.disconnect();
  }
}

/** Where the database does not exist, ioredis goes on with database 0, and two fleets meant to be apart become one. */
async function requireDatabase(redis: Redis): Promise<void> {
  const { db = 0 } = redis.options;
  if (db === 0) return;
  try {
    await redis.select(db);
  } catch {
    throw new EvertokenError(
      'REDIS_UNSUPPORTED',
      `the server has no database ${db}, or this user may not use it; choose another one in redis.url`,
    );
  }
}

/** INFO, empty where the user may not ask for it; TIME, which everything needs, tells whether it may do anything. */
async function readInfo(redis: Redis): Promise<Map<string, string>> {
  try {
    return parseInfo(await redis.info());
  } catch (error) {
    if (!isNotPermitted(error)) throw error;
    await redis.time();
    return new Map();
  }
}

/** Whether a command was refused because the user lacks a permission. */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOPERM');
}

/** Reads the lines `field:value` of INFO. */
export function parseInfo(text: string): Map<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

function requireVersion(info: ReadonlyMap<string, string>): void {
  const version = info.get('redis_version');
  if (version === undefined) return;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor >= OLDEST_VERSION[1])) return;
  throw new EvertokenError(
    'REDIS_UNSUPPORTED',
    `expected Redis 6.2 or newer, or Valkey, but the server is Redis ${version}; upgrade it`,
  );
}

function warningsOf(info: ReadonlyMap<string, string>): ServerWarning[] {
  const warnings: ServerWarning[] = [];
  const policy = info.get('maxmemory_policy');
  if (policy === undefined) {
    warnings.push({
      code: 'EVICTION_POLICY_UNKNOWN',
      message:
        'the server does not tell its maxmemory-policy; see that it is noeviction, or tokens and work will be lost when memory runs short',
    });
  } else if (policy !== 'noeviction') {
    warnings.push({
      code: 'EVICTION_POLICY',
      message: `expected maxmemory-policy noeviction, but it is ${policy}; tokens and work will be lost when memory runs short: CONFIG SET maxmemory-policy noeviction`,
    });
  }
  if (!info.has('redis_version')) {
    warnings.push({
      code: 'VERSION_UNKNOWN',
      message: 'the server does not tell its version; 6.2 or newer is needed',
    });
  }
  return warnings;
}

function explain(address: RedisAddress, error: unknown): EvertokenError {
  const message = error instanceof Error ? error.message : String(error);
  const where = displayAddress(address);
  if (message.startsWith('NOPERM')) {
    const command = /'([^']+)' command/.exec(message)?.[1];
    const what = command === undefined ? 'permission' : `permission for ${command.toUpperCase()}`;
    return new EvertokenError(
      'REDIS_AUTHENTICATION',
      `the user lacks ${what} in Redis at ${where}; see "A user of its own" in docs/redis.md`,
    );
  }
  if (/NOAUTH|WRONGPASS|AUTH/.test(message)) {
    const asked = message.startsWith('NOAUTH')
      ? 'asks for a password and none is configured'
      : 'refuses the user name or password';
    return new EvertokenError(
      'REDIS_AUTHENTICATION',
      `Redis at ${where} ${asked}; see redis.username and redis.password, or REDIS_URL`,
    );
  }
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return new EvertokenError(
    'REDIS_UNREACHABLE',
    `Redis at ${where} cannot be reached${code}; is it running, and is redis.url right?`,
  );
}

/** `host:port` of an address, without what may be secret in it. */
export function displayAddress(address: RedisAddress): string {
  try {
    const url = new URL(address.url.reveal());
    return `${url.hostname || '127.0.0.1'}:${url.port || '6379'}`;
  } catch {
    return 'the configured address';
  }
}
