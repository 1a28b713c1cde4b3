import { createHash, type Hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { explainFileError } from '../credentials/source.ts';

/** What the files of a configuration were when they were read; `watchConfig` compares it with what they are. */
export interface Reading {
  /** Which files they were, by identity, time and size. */
  readonly signature: string;
  /** What stood in them. */
  readonly digest: string;
}

/** `problem` is the end of a sentence: "does not exist". */
export type FileRead = { readonly text: string } | { readonly problem: string; readonly cause: unknown };

/** Reads the files that a configuration consists of, and keeps a record of them for as long as one is loaded. */
export class ConfigFiles {
  readonly #folder: string;
  readonly #signatures = new Map<string, string>();
  readonly #reads = new Map<string, FileRead>();
  readonly #digest: Hash = createHash('sha256');

  /** Relative paths begin at the folder. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The text, or why there is none. One load sees one content, however often it asks. */
  read(written: string): FileRead {
    const path = this.absolute(written);
    const known = this.#reads.get(path);
    if (known) return known;
    // Before it is read: what changes meanwhile differs from this later.
    this.#signatures.set(path, signatureOf(path));
    const read = readText(path);
    this.#reads.set(path, read);
    this.#digest.update(JSON.stringify([path, 'problem' in read ? read.problem : null]));
    if ('text' in read) this.#digest.update(read.text);
    return read;
  }

  absolute(written: string): string {
    return isAbsolute(written) ? written : join(this.#folder, written);
  }

  /** Every file that was read or should have been, absolute. */
  get paths(): string[] {
    return [...this.#signatures.keys()];
  }

  get reading(): Reading {
    const signature = [...this.#signatures.values()].join('\n');
    return { signature, digest: this.#digest.copy().digest('base64url') };
  }
}

function readText(path: string): FileRead {
  try {
    return { text: readFileSync(path, 'utf8') };
  } catch (error) {
    return { problem: explainFileError(error), cause: error };
  }
}

/** The signature of files as they are now; the same as that of a reading as long as none has changed. */
export const signatureOfAll = (paths: readonly string[]): string => paths.map(signatureOf).join('\n');

/**
 * Of what the path leads to, so that the swap of a symbolic link is seen. With the change of the inode: permissions that
 * are given back, and what is written under an old time, change nothing else.
 */
function signatureOf(path: string): string {
  try {
    const { dev, ino, ctimeMs, mtimeMs, size } = statSync(path);
    return [dev, ino, ctimeMs, mtimeMs, size].join(':');
  } catch (error) {
    return explainFileError(error);
  }
}
