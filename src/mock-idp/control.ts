import { EvertokenError } from '../core/errors.ts';
import { type Clients, clientsOf } from './answers.ts';
import {
  type Lifetime,
  MODES,
  type Mode,
  parseClient,
  parseDelayMs,
  parseLifetime,
  parseWord,
} from './options.ts';

/** What can be changed while the server runs. */
export interface Behaviour {
  mode: Mode;
  delayMs: number;
  lifetime: Lifetime;
  clients: Clients;
}

/** One reader a key: each gives the part of the behaviour that it changes, or throws `USAGE`. */
const READERS: Readonly<Record<string, (value: unknown) => Partial<Behaviour>>> = {
  mode: (value) => ({ mode: parseWord(MODES, text(value)) }),
  delay: (value) => ({ delayMs: parseDelayMs(text(value)) }),
  lifetime: (value) => ({ lifetime: parseLifetime(text(value)) }),
  clients: (value) => ({ clients: clientsOf(texts(value).map(parseClient)) }),
};

/**
 * Reads the JSON of `POST /control`: any of `mode`, `delay` and `lifetime` as on the command line, and
 * `clients`, a list of `id:secret` that takes the place of all clients. Throws `USAGE`; then nothing is changed.
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

function texts(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(text);
  throw new EvertokenError('USAGE', `expected a list of texts, but got ${typeof value}`);
}
