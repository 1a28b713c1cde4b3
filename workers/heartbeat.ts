import type { Parts } from '../src/compose/parts.ts';
import { EvertokenError } from '../src/core/errors.ts';
import { type Loop, startLoop } from './loop.ts';

const BEAT_MS = 1000;
const CONNECT_AGAIN_MS = 1000;
/** The same trouble is logged once in so long. */
const REPEAT_LOG_MS = 10_000;

/** While a beat does long work (a million targets to enlist), the fleet still has to hear that this process lives. */
const ALIVE_MS = 3000;

/** Says again and again that this process lives. */
export function startSayingAlive({ member }: Parts, onError: (error: unknown) => void): Loop {
  const turn = async (): Promise<number> => {
    await member.sayAlive();
    return ALIVE_MS;
  };
  return startLoop({ turn, onError });
}

/** Keeps this process a member of its fleet. */
export function startHeartbeat(
  { member, health, metrics, memory }: Parts,
  onError: (error: unknown) => void,
): Loop {
  const turn = async (): Promise<number> => {
    health.turned();
    metrics.unsavedTokens.set(memory.unsavedCount);
    await member.beat();
    health.succeeded('heartbeat-failing');
    return BEAT_MS;
  };
  const onFailure = (error: unknown): void => {
    health.failed('heartbeat-failing');
    onError(error);
  };
  return startLoop({ turn, onError: onFailure, afterErrorMs: BEAT_MS / 2 });
}

/** Logs trouble that comes again and again once in a while, by its message. */
export function createTroubleLog({ log }: Pick<Parts, 'log'>): (error: unknown) => void {
  const loggedAt = new Map<string, number>();
  return (error) => {
    const message = error instanceof Error ? error.message : String(error);
    const now = performance.now();
    if (now - (loggedAt.get(message) ?? Number.NEGATIVE_INFINITY) < REPEAT_LOG_MS) return;
    for (const [known, at] of loggedAt) if (now - at >= REPEAT_LOG_MS) loggedAt.delete(known);
    loggedAt.set(message, now);
    log.warn({ error }, 'trouble with Redis; trying again');
  };
}

/**
 * Waits until Redis answers and is one that can be used. A Redis that is down is waited for, since a daemon that
 * does not start is the outage; one that can never be used throws. Gives false when `stopped` came first.
 */
export async function awaitRedis(
  parts: Parts,
  onTrouble: (error: unknown) => void,
  stopped: AbortSignal,
): Promise<boolean> {
  const { health, log } = parts;
  while (!stopped.aborted) {
    health.turned();
    try {
      const { warnings } = await parts.checkServer();
      for (const { code, message } of warnings) {
        health.set(code.toLowerCase().replaceAll('_', '-'), true);
        log.warn({ code }, message);
      }
      await parts.connected();
      watchConnection(parts);
      return true;
    } catch (error) {
      if (error instanceof EvertokenError && error.code !== 'REDIS_UNREACHABLE') throw error;
      health.set('redis-unreachable', true);
      onTrouble(error);
      await abortableSleep(CONNECT_AGAIN_MS, stopped);
    }
  }
  return false;
}

function watchConnection({ redis, health, metrics, log }: Parts): void {
  const up = (): void => {
    metrics.redisUp.set(1);
    if (health.set('redis-unreachable', false)) log.info('Redis answers');
  };
  up();
  redis.on('ready', up);
  redis.on('close', () => {
    metrics.redisUp.set(0);
    if (!health.has('stopping') && health.set('redis-unreachable', true))
      log.warn('the connection to Redis is lost; connecting anew');
  });
}

function abortableSleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
