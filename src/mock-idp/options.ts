import { parseDurationMs } from '../core/duration.ts';
import { EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import type { Clients, MockClient } from './clients.ts';

/** How access tokens are signed. `premade`: right in everything but the signature, and so without its cost. */
export const SIGNINGS = ['es256', 'rs256', 'hs256', 'premade'] as const;
export type Signing = (typeof SIGNINGS)[number];

/** What the server does with a token request, beside answering it as it should. */
export const MODES = ['ok', 'unavailable', 'hang', 'reset'] as const;
export type Mode = (typeof MODES)[number];

/** Each token's lifetime is drawn from it, both ends included. Whole seconds. */
export interface Lifetime {
  readonly minSeconds: number;
  readonly maxSeconds: number;
}

export interface MockIdpOptions {
  /** Loopback only. Default 0: any free port. */
  readonly port?: number;
  /** Default 60 s to 60 s. */
  readonly lifetime?: Lifetime;
  /** Default {@link DEMO_CLIENT} alone. */
  readonly clients?: readonly MockClient[];
  /** In place of `clients`: all that each may prove itself with. */
  readonly registered?: Clients;
  /** How long each token request waits for its answer. Default 0. */
  readonly delayMs?: number;
  /** Default `es256`. */
  readonly signing?: Signing;
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

/** Reads a duration; `0` and `0s` mean none. Throws `USAGE`. */
export function parseDelayMs(text: string): number {
  const delayMs = /^0(?:ms|s|m|h|d)?$/.test(text) ? 0 : parseDurationMs(text);
  if (delayMs === undefined) throw usage('a duration such as 200ms', text);
  return delayMs;
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

function usage(expected: string, got: string): EvertokenError {
  return new EvertokenError('USAGE', `expected ${expected}, but got "${printable(got)}"`);
}
