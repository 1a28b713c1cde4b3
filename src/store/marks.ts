import type { Redis } from 'ioredis';
import { type Marks as CredentialMarks, marksAsOf } from '../core/credential-marks.ts';
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
      if (typeof stored === 'string' && readJson(stored) === undefined) {
        // Not ours, and perhaps not even text that could be compared.
        await this.#redis.del(key);
        continue;
      }
      const kept = decodeMarks(stored ?? '');
      const before = marksAsOf(kept, now);
      const after = reduce(before, now);
      if (after === kept || versionOf(stored ?? '') > VERSION) return { before, after: before, now };
      const args = [stored ?? '', encodeMarks(after), FORGET_MS];
      const [changed] = await CHANGE.run(this.#redis, [key], args);
      if (changed === 1) return { before, after, now };
    }
  }
}

const encodeMarks = (marks: CredentialMarks): string => JSON.stringify({ v: VERSION, marks });

/** What was decoded lately: the same texts come again and again, one for each client. */
const decoded = new Map<string, CredentialMarks>();
const MOST_DECODED = 256;

/** Reads marks. What cannot be read, by whomever it was written, counts as none. */
export function decodeMarks(text: string): CredentialMarks {
  if (text === '') return [];
  const known = decoded.get(text);
  if (known !== undefined) return known;
  const value = readJson(text);
  const marks = value?.v === VERSION && Array.isArray(value.marks) ? value.marks.filter(isMark) : [];
  if (decoded.size >= MOST_DECODED) decoded.clear();
  decoded.set(text, marks);
  return marks;
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

const NUMBERS = ['firstSeenAt', 'seenAt', 'provenAt', 'refusedAt', 'refusals', 'probeAt', 'changedAt'];

function isMark(value: unknown): value is CredentialMarks[number] {
  if (typeof value !== 'object' || value === null) return false;
  const mark = value as Record<string, unknown>;
  return (
    typeof mark.fingerprint === 'string' &&
    typeof mark.code === 'string' &&
    isTexts(mark.refusedBy) &&
    isTexts(mark.excused) &&
    NUMBERS.every((name) => Number.isFinite(mark[name]))
  );
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');
