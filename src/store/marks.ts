import type { Redis } from 'ioredis';
import { type Marks as CredentialMarks, marksAsOf } from '../core/credential.ts';
import type { Keys } from './keys.ts';
import { Script } from './script.ts';

const CHANGE = new Script('marks');

/** Layout of the value. Marks of a later one count as none and are left alone. */
const VERSION = 1;
/** Marks that nobody has changed for so long; good ones are renewed once a day. */
const FORGET_MS = 30 * 86_400_000;

/** What the fleet knows of credentials: one value for each client. */
export class Marks {
  readonly #redis: Redis;
  readonly #keys: Keys;

  constructor(redis: Redis, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** The marks of each client, in the order asked. */
  async read(clients: readonly string[]): Promise<CredentialMarks[]> {
    if (clients.length === 0) return [];
    const values = await this.#redis.mget(...clients.map((client) => this.#keys.credentials(client)));
    return values.map((value) => decodeMarks(value ?? ''));
  }

  /** Applies a pure change until nobody was faster. Gives the marks before and after it, and Redis time. */
  async change(
    client: string,
    reduce: (marks: CredentialMarks, now: number) => CredentialMarks,
  ): Promise<{ before: CredentialMarks; after: CredentialMarks; now: number }> {
    const key = this.#keys.credentials(client);
    for (;;) {
      // MGET and not GET: what others have put in its place is no text, and no error either.
      const [[seconds, microseconds], [stored]] = await Promise.all([
        this.#redis.time(),
        this.#redis.mget(key),
      ]);
      const now = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
      const before = marksAsOf(decodeMarks(stored ?? ''), now);
      const after = reduce(before, now);
      if (after === before || versionOf(stored ?? '') > VERSION) return { before, after: before, now };
      const args = [stored ?? '', encodeMarks(after), FORGET_MS];
      const [changed] = await CHANGE.run(this.#redis, [key], args);
      if (changed === 1) return { before, after, now };
    }
  }
}

const encodeMarks = (marks: CredentialMarks): string => JSON.stringify({ v: VERSION, marks });

/** The text that was decoded last: within a burst it is the same one again and again. */
let lastText = '';
let lastMarks: CredentialMarks = [];

/** Reads marks. What cannot be read, by whomever it was written, counts as none. */
export function decodeMarks(text: string): CredentialMarks {
  if (text === '') return [];
  if (text === lastText) return lastMarks;
  const value = readJson(text);
  lastMarks = value?.v === VERSION && Array.isArray(value.marks) ? value.marks.filter(isMark) : [];
  lastText = text;
  return lastMarks;
}

const versionOf = (text: string): number => Number(readJson(text)?.v ?? 0);

function readJson(text: string): { readonly v?: unknown; readonly marks?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

const NUMBERS = ['firstSeenAt', 'provenAt', 'refusedAt', 'refusals', 'probeAt', 'changedAt'];

function isMark(value: unknown): value is CredentialMarks[number] {
  if (typeof value !== 'object' || value === null) return false;
  const mark = value as Record<string, unknown>;
  return (
    typeof mark.fingerprint === 'string' &&
    typeof mark.code === 'string' &&
    Array.isArray(mark.refusedBy) &&
    mark.refusedBy.every((scope) => typeof scope === 'string') &&
    NUMBERS.every((name) => Number.isFinite(mark[name]))
  );
}
