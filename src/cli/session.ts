import type { Redis } from 'ioredis';
import { Catalogue } from '../config/catalogue.ts';
import type { Config } from '../config/config.ts';
import { EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import { checkServer, connectRedis, displayAddress } from '../store/connection.ts';
import { Fleet } from '../store/fleet.ts';
import { Gates } from '../store/gates.ts';
import { Keys } from '../store/keys.ts';
import { SharedLifetimes } from '../store/lifetimes.ts';
import { Marks } from '../store/marks.ts';
import { States } from '../store/states.ts';

/** A command's connection to the fleet's Redis, with what is kept there. */
export interface Session {
  readonly config: Config;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly states: States;
  readonly gates: Gates;
  readonly marks: Marks;
  readonly fleet: Fleet;
  /** How long the tokens of clients live, where some were seen. */
  readonly lifetimes: SharedLifetimes;
  /** What is configured here, with what operators added and removed, planned by the lives of tokens that were seen. */
  catalogue(): Promise<Catalogue>;
}

/** Somebody waits at the prompt: a Redis that accepts connections and says nothing is given up after this. */
const CONNECT_MS = 6000;

/**
 * Connects, lets a command do its work and disconnects, whatever happens. Throws REDIS_UNREACHABLE,
 * REDIS_AUTHENTICATION or REDIS_UNSUPPORTED where Redis is the trouble.
 */
export async function withSession<Result>(
  config: Config,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  await checkedServer(config);
  const redis = connectRedis(config.redis, 'commands', 'cli');
  // The command that fails says what is wrong.
  redis.on('error', () => {});
  try {
    await inTime(config, redis.connect());
    return await work(sessionOf(config, redis));
  } catch (error) {
    throw explainTrouble(config, error);
  } finally {
    redis.disconnect();
  }
}

/** As `checkServer`, within a time. */
export function checkedServer(config: Config): ReturnType<typeof checkServer> {
  return inTime(config, checkServer(config.redis));
}

function sessionOf(config: Config, redis: Redis): Session {
  const keys = new Keys(config.namespace);
  const fleet = new Fleet(redis, keys);
  const lifetimes = new SharedLifetimes(redis, keys);
  return {
    config,
    redis,
    keys,
    states: new States(redis, keys),
    gates: new Gates(redis, keys),
    marks: new Marks(redis, keys),
    fleet,
    lifetimes,
    async catalogue() {
      const [overrides, lives] = await Promise.all([fleet.tenantOverrides(), lifetimes.read()]);
      const operations = [...overrides].map(([scope, { op }]) => [scope, op] as const);
      const catalogue = new Catalogue(config.clients, new Map(operations));
      catalogue.replan(lives);
      return catalogue;
    },
  };
}

async function inTime<Result>(config: Config, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(lost(config, 'does not answer')), CONNECT_MS);
  });
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

const LOST =
  /Command timed out|Stream isn't writeable|Connection is closed|max retries|ECONN|EPIPE|ETIMEDOUT/i;

/** What ioredis throws, in words; everything else as it is. */
function explainTrouble(config: Config, error: unknown): unknown {
  if (error instanceof EvertokenError || !(error instanceof Error)) return error;
  if (error.name === 'ReplyError') {
    return new EvertokenError(
      'REDIS_UNSUPPORTED',
      `Redis at ${displayAddress(config.redis)} refused what evertoken asked: ${printable(error.message)}; see its settings and the user's permissions`,
    );
  }
  return LOST.test(error.message) ? lost(config, 'has stopped answering') : error;
}

function lost(config: Config, what: string): EvertokenError {
  return new EvertokenError(
    'REDIS_UNREACHABLE',
    `Redis at ${displayAddress(config.redis)} ${what}; is it well, and can it be reached from here?`,
  );
}
