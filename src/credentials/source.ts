import { readFileSync, statSync } from 'node:fs';
import type { SecretSource } from '../core/client.ts';
import { Secret } from '../core/secret.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Why a source gives no secret, as the end of a sentence: "is not set". Holds nothing of the source itself. */
export interface SecretProblem {
  readonly problem: string;
}

/**
 * Reads a secret, or says why there is none: the variable or file is missing, empty or cannot be read. Anew at every
 * call, so that a rotated file counts at once. White space at the end of a file and line breaks at the end of a
 * variable are dropped: editors and `echo` add them, and none belongs to a secret. A relative file is taken from the
 * working directory; configuration has made its paths absolute before.
 */
export function findSecret(source: SecretSource, env: Environment): Secret | SecretProblem {
  return 'env' in source ? fromEnvironment(source.env, env) : fromFile(source.file);
}

/** What the operator is to do. */
export function remedy(source: SecretSource): string {
  return 'env' in source
    ? 'set it in the environment of the daemon, or refer to another place'
    : 'put the secret there, readable for the user that runs the daemon, or refer to another place';
}

/**
 * A variable's name as it may be shown. A secret is easily pasted where its variable's name belongs, so only what
 * looks like a name by convention, `BILLING_SECRET`, is shown.
 */
export function nameVariable(name: string): string {
  return /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/.test(name)
    ? `the environment variable ${name}`
    : 'the environment variable';
}

function fromEnvironment(name: string, env: Environment): Secret | SecretProblem {
  const text = env[name];
  if (text === undefined) return { problem: 'is not set' };
  return text.trim() === '' ? { problem: 'is empty' } : new Secret(text.replace(/[\r\n]+$/, ''));
}

function fromFile(path: string): Secret | SecretProblem {
  let text: string;
  try {
    // Reading a pipe or a device can wait for ever, and the whole daemon with it.
    const kind = statSync(path);
    if (!kind.isFile() && !kind.isDirectory()) return { problem: 'is not a regular file' };
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { problem: explainFileError(error) };
  }
  // Windows tools begin a file with a byte order mark.
  const secret = text.replace(/^\ufeff/, '').trimEnd();
  return secret.trim() === '' ? { problem: 'is empty' } : new Secret(secret);
}

/** Why a file cannot be read, as the end of a sentence; without the path, which stands in Node's own message. */
export function explainFileError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EISDIR') return 'is a folder';
  return code === 'EACCES' || code === 'EPERM' ? `may not be read (${code})` : `cannot be read (${code})`;
}
