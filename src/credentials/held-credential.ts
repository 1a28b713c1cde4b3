import type { Client, Credential } from '../core/client.ts';
import type { Problem } from '../core/failure.ts';
import type { Azure } from './azure.ts';
import { CredentialError } from './credential-error.ts';
import { loadCredential } from './load.ts';
import { type AtHand, type Loaded, type Trouble, timeTrouble } from './loaded.ts';
import { digestOf, readParts, sourcesOf } from './parts.ts';
import type { Sources } from './source.ts';
import { type Stamp, stampOf } from './stamp.ts';

/** One configured credential: at hand, perhaps with a problem of what is to replace it, or not usable now. */
export type Entry = {
  /** Its place in the configuration. */
  readonly index: number;
  readonly credential: Credential;
} & (
  | { readonly atHand: AtHand; readonly problem: Problem | undefined; readonly detail: string | undefined }
  | { readonly atHand: undefined; readonly problem: Problem; readonly detail: string }
);

/** What credentials are loaded with. */
export interface Surroundings {
  readonly sources: Sources;
  readonly azure: Azure;
  /** Epoch ms. */
  readonly clock: () => number;
}

interface Version {
  readonly loaded: Loaded;
  readonly digest: string;
}

/** A vault is asked that often whether it has something new. */
const VAULT_AGAIN_MS = 300_000;
/** What could not be loaded is tried again, even where no file has changed: the disk or the vault may have been busy. */
const FAILED_AGAIN_MS = 15_000;

/**
 * One credential and its rotation. What is in use stays in use until something that can be used has taken its place: a
 * half-written file, a vault that is down or a certificate of tomorrow withhold nothing that works.
 */
export class HeldCredential {
  readonly #client: Client;
  readonly #credential: Credential;
  readonly #surroundings: Surroundings;
  readonly #files: readonly string[];
  readonly #readAgainMs: number;

  #current: Version | undefined;
  /** Loaded, and not valid while the current one is. */
  #next: Version | undefined;
  #failure: Trouble | undefined;
  #stamp: Stamp | undefined;
  #readAt = 0;
  #first: Promise<void> | undefined;

  constructor(client: Client, credential: Credential, surroundings: Surroundings) {
    const sources = sourcesOf(credential);
    this.#client = client;
    this.#credential = credential;
    this.#surroundings = surroundings;
    this.#files = sources.flatMap((source) => ('file' in source ? [source.file] : []));
    this.#readAgainMs = sources.some((source) => 'keyVault' in source)
      ? VAULT_AGAIN_MS
      : Number.POSITIVE_INFINITY;
  }

  /** Loads it, once. Never rejects for what is wrong with a credential: `entry` says that. */
  load(): Promise<void> {
    this.#first ??= this.look();
    return this.#first;
  }

  /** Loads it anew if there may be something new. One call at a time. */
  async look(): Promise<void> {
    // Taken before the files are read: what changes meanwhile is seen the next time.
    const stamp = await stampOf(this.#files);
    const isSame = this.#stamp?.value === stamp.value && !this.#stamp.young;
    if (isSame && !this.#isDue()) return;
    this.#failure = await this.#read();
    this.#stamp = stamp;
    this.#readAt = this.#surroundings.clock();
  }

  /** A clock that was set back must not put the next look off. */
  #isDue(): boolean {
    const age = this.#surroundings.clock() - this.#readAt;
    return age < 0 || age >= (this.#failure ? FAILED_AGAIN_MS : this.#readAgainMs);
  }

  /** What it is good for at `now`. */
  entry(index: number, now: number): Entry {
    const place = { index, credential: this.#credential };
    const waiting = this.#next && timeTrouble(this.#next.loaded, now);
    if (this.#next && !waiting) this.#use(this.#next);
    const over = this.#current ? timeTrouble(this.#current.loaded, now) : NOT_LOADED;
    const trouble = this.#failure ?? over ?? waiting;
    if (!this.#current || over) return { ...place, atHand: undefined, ...(trouble ?? NOT_LOADED) };
    const { atHand } = this.#current.loaded;
    return { ...place, atHand, problem: trouble?.problem, detail: trouble?.detail };
  }

  async #read(): Promise<Trouble | undefined> {
    const { sources, azure } = this.#surroundings;
    try {
      const parts = await readParts(this.#credential, sources);
      const digest = digestOf(parts);
      // A file that is written anew with the same content keeps the keys that are imported and what they have signed.
      const known = [this.#current, this.#next].find((version) => version?.digest === digest);
      this.#take(
        known ?? {
          digest,
          loaded: await loadCredential(this.#client, this.#credential, parts, azure),
        },
      );
      return undefined;
    } catch (error) {
      return explain(error);
    }
  }

  #take(version: Version): void {
    const now = this.#surroundings.clock();
    const isUsable = ({ loaded }: Version) => timeTrouble(loaded, now) === undefined;
    if (this.#current && isUsable(this.#current) && !isUsable(version)) this.#next = version;
    else this.#use(version);
  }

  #use(version: Version): void {
    this.#current = version;
    this.#next = undefined;
  }
}

const NOT_LOADED: Trouble = { problem: 'credential unreadable', detail: 'it is not loaded' };

/** An error that nobody foresaw must not take the other credentials of the client along; its text may hold anything. */
function explain(error: unknown): Trouble {
  if (error instanceof CredentialError) return { problem: error.problem, detail: error.message };
  const name = error instanceof Error ? error.constructor.name : typeof error;
  return { problem: 'credential unreadable', detail: `it cannot be loaded: an unexpected ${name}` };
}
