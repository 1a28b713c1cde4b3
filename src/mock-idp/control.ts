import { EvertokenError } from '../core/errors.ts';
import { type Clients, clientsOf, parseClients } from './clients.ts';
import {
  type Lifetime,
  MODES,
  type Mode,
  parseClient,
  parseDelayMs,
  parseLifetime,
  parseWord,
} from './options.ts';
import { FLAVOURS, type Flavour } from './refusal.ts';

/** What can be changed while the server runs. */
export interface Behaviour {
  mode: Mode;
  delayMs: number;
  lifetime: Lifetime;
  clients: Clients;
  /** `oauth`: refusals without Entra's numbers, and each assertion may be used once. */
  flavour: Flavour;
  /** The same request gets the same token until that ends. */
  sameToken: boolean;
  /** New tokens are ones that have ended, and `expires_in` says otherwise. */
  expiredTokens: boolean;
  /** How far ahead the server's clock is: its Date header, its tokens, and what it measures assertions by. */
  clockSkewSeconds: number;
}

/** One reader a key: each gives the part of the behaviour that it changes, or throws `USAGE`. */
const READERS: Readonly<Record<string, (value: unknown) => Partial<Behaviour>>> = {
  mode: (value) => ({ mode: parseWord(MODES, text(value)) }),
  delay: (value) => ({ delayMs: parseDelayMs(text(value)) }),
  lifetime: (value) => ({ lifetime: parseLifetime(text(value)) }),
  clients: (value) => ({
    clients: Array.isArray(value) ? clientsOf(value.map(text).map(parseClient)) : parseClients(value),
  }),
  flavour: (value) => ({ flavour: parseWord(FLAVOURS, text(value)) }),
  sameToken: (value) => ({ sameToken: flag(value) }),
  expiredTokens: (value) => ({ expiredTokens: flag(value) }),
  clockSkewSeconds: (value) => ({ clockSkewSeconds: skew(value) }),
};

/**
 * Reads the JSON of `POST /control`: any of `mode`, `delay` and `lifetime` as on the command line, `clients`, a list of
 * `id:secret` or an object for {@link parseClients}, which takes the place of all clients, and the other fields of
 * {@link Behaviour} by their names. Throws `USAGE`; then nothing is changed.
 */
export function parseControl(json: string): Partial<Behaviour> {
  const wanted = parseObject(json);
  return Object.assign({}, ...Object.entries(wanted).map(([key, value]) => read(key, value)));
}

function parseObject(json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below, for all that is not an object.
  }
  throw new EvertokenError('USAGE', 'expected a JSON object');
}

function read(key: string, value: unknown): Partial<Behaviour> {
  const reader = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
  if (!reader) throw new EvertokenError('USAGE', `expected only ${Object.keys(READERS).join(', ')}`);
  return reader(value);
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new EvertokenError('USAGE', `expected a text, but got ${typeof value}`);
}

function flag(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new EvertokenError('USAGE', `expected true or false, but got ${typeof value}`);
}

const MOST_SKEW_SECONDS = 10 * 365 * 86_400;

function skew(value: unknown): number {
  if (typeof value === 'number' && Math.abs(value) <= MOST_SKEW_SECONDS) return value;
  throw new EvertokenError('USAGE', 'expected a clock skew in seconds, of ten years at most');
}
