import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { SecretSource } from '../core/client.ts';
import { Secret } from '../core/secret.ts';
import { CredentialError } from './credential-error.ts';
import type { KeyVault } from './key-vault.ts';

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
  if ('keyVault' in source) return { problem: 'is in a key vault, which is not read for this' };
  return 'env' in source ? fromEnvironment(source.env, env) : fromFile(source.file);
}

/** What `readSource` reads with. */
export interface Sources {
  readonly env: Environment;
  readonly keyVault: KeyVault;
}

/** Far more than any chain of certificates. */
const FILE_AT_MOST_BYTES = 1_000_000;

/**
 * Reads what a credential is made of, as it is; for a secret or a passphrase, `asSecret` takes the white space off that
 * tools add. Unlike `findSecret` it does not hold the process up.
 *
 * @throws {CredentialError} when there is nothing or it cannot be read.
 */
export async function readSource(source: SecretSource, { env, keyVault }: Sources): Promise<Buffer> {
  if ('keyVault' in source) return Buffer.from(await keyVault.read(source.keyVault));
  const content = 'env' in source ? readVariable(source.env, env) : await readRegularFile(source.file);
  if (content.toString('utf8').trim() === '') {
    const place = 'env' in source ? nameVariable(source.env) : 'the file';
    throw new CredentialError('credential empty', `${place} is empty`);
  }
  return content;
}

/** The text of a secret without the byte order mark, line breaks and, in a file, white space around its end. */
export function asSecret(content: Buffer, source: SecretSource): Secret {
  const text = content.toString('utf8').replace(/^\ufeff/, '');
  return new Secret('file' in source ? text.trimEnd() : text.replace(/[\r\n]+$/, ''));
}

function readVariable(name: string, env: Environment): Buffer {
  const text = env[name];
  if (text !== undefined) return Buffer.from(text);
  throw new CredentialError('credential unreadable', `${nameVariable(name)} is not set`);
}

async function readRegularFile(path: string): Promise<Buffer> {
  try {
    const kind = await stat(path);
    // A pipe or a device may never end.
    if (!kind.isFile() && !kind.isDirectory()) {
      throw new CredentialError('credential unreadable', 'the file is not a regular file');
    }
    if (kind.size <= FILE_AT_MOST_BYTES) return await readFile(path);
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    throw new CredentialError('credential unreadable', `the file ${explainFileError(error)}`);
  }
  const detail = `expected a file of at most ${FILE_AT_MOST_BYTES} bytes, and it is larger`;
  throw new CredentialError('credential unreadable', detail);
}

/** What the operator is to do. */
export function remedy(source: SecretSource): string {
  if ('keyVault' in source) return 'refer to a variable or a file';
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
