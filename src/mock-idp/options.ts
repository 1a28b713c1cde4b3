import { parseDurationMs, parseRate, type Rate } from '../core/duration.ts';
import { EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import type { MockClient } from './clients.ts';

/** How access tokens are signed. `premade`: right in everything but the signature, and so without its cost. */
export const SIGNINGS = ['es256', 'rs256', 'hs256', 'premade'] as const;
export type Signing = (typeof SIGNINGS)[number];

/** What the server does with a token request, beside answering it as it should. */
export const MODES = [
  'ok',
  'unavailable',
  'server-error',
  'bad-gateway',
  'html',
  'empty',
  'truncated',
  'no-token',
  'no-expiry',
  'redirect',
  'slow-body',
  'hang',
  'reset',
] as const;
export type Mode = (typeof MODES)[number];

/** Each token's lifetime is drawn from it, both ends included. Whole seconds. */
export interface Lifetime {
  readonly minSeconds: number;
  readonly maxSeconds: number;
}

/** The client that is accepted when none is named. Its secret is public, which a mock's may be. */
export const DEMO_CLIENT: MockClient = {
  clientId: '11111111-1111-4111-8111-111111111111',
  secret: 'demo-secret',
};

/** Reads `60s` or `50s..70s`. Throws `USAGE`, also for less than a second. */
export function parseLifetime(text: string): Lifetime {
  const [from = '', to = from, ...rest] = text.split('..');
  const minSeconds = Math.floor((parseDurationMs(from) ?? 0) / 1000);
  const maxSeconds = Math.floor((parseDurationMs(to) ?? 0) / 1000);
  if (rest.length > 0 || minSeconds < 1 || maxSeconds < minSeconds) {
    throw usage('a lifetime of at least a second, such as 60s or 50s..70s', text);
  }
  return { minSeconds, maxSeconds };
}

/** Reads `id:secret`; the secret may hold further colons. Throws `USAGE`. */
export function parseClient(text: string): MockClient {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1)
    throw usage('a client as id:secret', text.slice(0, Math.max(0, colon)));
  return { clientId: text.slice(0, colon), secret: text.slice(colon + 1) };
}

/** A timer of Node takes no more. */
const MOST_SPAN_MS = 24 * 86_400_000;

/** Reads a duration of at most 24 days; `0` and `0s` mean none. Throws `USAGE`. */
export function parseSpanMs(text: string): number {
  const ms = /^0(?:ms|s|m|h|d)?$/.test(text) ? 0 : parseDurationMs(text);
  if (ms === undefined) throw usage('a duration such as 200ms', text);
  if (ms > MOST_SPAN_MS) throw usage('at most 24d', text);
  return ms;
}

/** Reads a duration of at most 24 days, or `none`. Throws `USAGE`, also for 0. */
export function parseRetryAfterMs(text: string): number | undefined {
  const ms = text === 'none' ? undefined : parseSpanMs(text);
  if (ms === 0) throw usage('a duration such as 60s, or none', text);
  return ms;
}

/** Reads `100/s` or `5/10s`. Throws `USAGE`, also for a rate of 0. */
export function parseRateLimit(text: string): Rate {
  const rate = parseRate(text);
  if (rate === undefined) throw usage('a rate above 0 such as 100/s', text);
  return rate;
}

/** Reads `15/5m`: so many identical requests in a window are a loop. Throws `USAGE`, also for fewer than 2. */
export function parseLoop(text: string): Rate {
  const loop = parseRate(text);
  if (loop === undefined || loop.count < 2) throw usage('at least 2 identical requests, as 15/5m', text);
  return loop;
}

/** Reads `0%` to `100%`, as 0 to 1. Throws `USAGE`. */
export function parseShare(text: string): number {
  const percent = /^\d+(?:\.\d+)?%$/.test(text) ? Number(text.slice(0, -1)) : Number.NaN;
  if (!(percent <= 100)) throw usage('a share from 0% to 100%', text);
  return percent / 100;
}

/** Throws `USAGE` for anything but 0 to 65535. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw usage('a port from 0 to 65535', text);
  return port;
}

/** Throws `USAGE` for what is not among the words. */
export function parseWord<Word extends string>(words: readonly Word[], text: string): Word {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw usage(`one of ${words.join(', ')}`, text);
  return word;
}

/** As {@link parseLifetime} reads it. */
export const formatLifetime = ({ minSeconds, maxSeconds }: Lifetime): string =>
  minSeconds === maxSeconds ? `${minSeconds}s` : `${minSeconds}s..${maxSeconds}s`;

/** As {@link parseDelayMs} reads it. */
export const formatMs = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);

function usage(expected: string, got: string): EvertokenError {
  return new EvertokenError('USAGE', `expected ${expected}, but got "${printable(got)}"`);
}
