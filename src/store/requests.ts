import type { Redis } from 'ioredis';
import type { Keys } from './keys.ts';

/** One entry of the consumers' stream, as it was written: anybody may write there. */
export interface StreamedRequest {
  readonly target: string;
  readonly reason: string;
  readonly generation: string | undefined;
  readonly claims: string | undefined;
}

const GROUP = 'evertoken';
/** All processes read as one consumer and without acknowledgement: nothing is left behind by one that dies. */
const CONSUMER = 'fleet';
const MOST_AT_ONCE = 100;
const BLOCK_MS = 2000;
/** Producers are asked to bound the stream; this bounds it for those that do not. */
const MOST_KEPT = 10_000;

/** The stream in which consumers ask. Each entry is read by one process, at most once. */
export class RequestsStream {
  readonly #blocking: Redis;
  readonly #keys: Keys;

  /** `blocking`: a connection of its own, since reading waits. */
  constructor(blocking: Redis, keys: Keys) {
    this.#blocking = blocking;
    this.#keys = keys;
  }

  /** The next entries; empty when there were none for a while. */
  async next(): Promise<StreamedRequest[]> {
    try {
      return await this.#read();
    } catch (error) {
      // The group does not exist yet, or has gone with the rest of Redis.
      if (!(error instanceof Error && error.message.startsWith('NOGROUP'))) throw error;
      await this.#createGroup();
      return [];
    }
  }

  async #read(): Promise<StreamedRequest[]> {
    const key = this.#keys.requests;
    const reply = (await this.#blocking.xreadgroup(
      ...([
        'GROUP',
        GROUP,
        CONSUMER,
        'COUNT',
        MOST_AT_ONCE,
        'BLOCK',
        BLOCK_MS,
        'NOACK',
        'STREAMS',
        key,
        '>',
      ] as const),
    )) as [string, [string, string[]][]][] | null;
    const entries = reply?.[0]?.[1] ?? [];
    if (entries.length > 0) await this.#blocking.xtrim(key, 'MAXLEN', '~', MOST_KEPT);
    return entries.map(([, fields]) => decodeRequest(fields ?? []));
  }

  async #createGroup(): Promise<void> {
    try {
      await this.#blocking.xgroup('CREATE', this.#keys.requests, GROUP, '0', 'MKSTREAM');
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('BUSYGROUP'))) throw error;
    }
  }
}

function decodeRequest(flat: readonly string[]): StreamedRequest {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i] as string, flat[i + 1] as string);
  return {
    target: fields.get('target') ?? '',
    reason: fields.get('reason') ?? '',
    generation: fields.get('generation'),
    claims: fields.get('claims'),
  };
}
