import type { Azure, SecretReader } from './azure.ts';
import { CredentialError } from './credential-error.ts';

/** The SDK's own retries included. */
const TIMEOUT_MS = 5000;

/** Where in which vault something is. */
interface Place {
  readonly vaultUrl: string;
  readonly name: string;
  readonly version: string | undefined;
}

/** Reads secrets of Azure Key Vault, as the identity that `DefaultAzureCredential` finds. One client for each vault. */
export class KeyVault {
  readonly #azure: Azure;
  readonly #readers = new Map<string, SecretReader>();

  constructor(azure: Azure) {
    this.#azure = azure;
  }

  /**
   * @param url `https://<vault>/secrets/<name>[/<version>]`, or `/certificates/` likewise: the secret of the same name
   *   holds the certificate with its key, as PEM or as PFX in base64.
   * @throws {CredentialError}
   */
  async read(url: string): Promise<string> {
    const { vaultUrl, name, version } = parseUrl(url);
    const reader = this.#readers.get(vaultUrl) ?? (await this.#azure.secretReader(vaultUrl));
    this.#readers.set(vaultUrl, reader);
    const value = await getSecret(reader, name, version);
    if (value === undefined || value.trim() === '') {
      throw new CredentialError('credential empty', 'the secret in the key vault is empty');
    }
    return value;
  }
}

function parseUrl(url: string): Place {
  const { origin, pathname } = URL.parse(url) ?? { origin: '', pathname: '' };
  const [, name, version] =
    /^\/(?:secrets|certificates)\/([0-9A-Za-z-]+)(?:\/([0-9A-Za-z]+))?\/?$/.exec(pathname) ?? [];
  if (name !== undefined) return { vaultUrl: origin, name, version };
  const expected = 'https://<vault>/secrets/<name> or https://<vault>/certificates/<name>';
  throw new CredentialError('key vault unavailable', `expected ${expected}`);
}

async function getSecret(
  reader: SecretReader,
  name: string,
  version: string | undefined,
): Promise<string | undefined> {
  const abortSignal = AbortSignal.timeout(TIMEOUT_MS);
  const options = { ...(version === undefined ? {} : { version }), abortSignal };
  try {
    const found = await Promise.race([reader.getSecret(name, options), aborted(abortSignal)]);
    return found.value;
  } catch (error) {
    if (abortSignal.aborted) throw unavailable(`gave no answer within ${TIMEOUT_MS / 1000} s`);
    throw unavailable(explain(error));
  }
}

/** Rejects with the signal: not all that an SDK does before it asks the vault heeds it. */
const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

const unavailable = (what: string): CredentialError =>
  new CredentialError('key vault unavailable', `the key vault ${what}`);

/** By status and name only: the message of an SDK may hold anything. */
function explain(error: unknown): string {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 403) return 'refused with 403: give the identity of the daemon the right to get secrets';
  if (status === 404) return 'has no such secret (404)';
  if (typeof status === 'number') return `answered ${status}`;
  const name = error instanceof Error ? error.name : '';
  return /^(?:Credential|Authentication|AggregateAuthentication)/.test(name)
    ? 'was not asked: no Azure identity was found for the daemon'
    : 'cannot be reached';
}
