import type { ManagedIdentity } from '../core/client.ts';
import { CredentialError } from './credential-error.ts';

/** The part of a vault's client that is used, as in `SecretClient` of @azure/keyvault-secrets. */
export interface SecretReader {
  getSecret(
    name: string,
    options: { version?: string; abortSignal?: AbortSignal },
  ): Promise<{ readonly value?: string }>;
}

/** What gives tokens, as `TokenCredential` of @azure/core-auth. */
export interface TokenSource {
  getToken(scope: string): Promise<{ readonly token: string; readonly expiresOnTimestamp: number } | null>;
}

/** Azure's own packages, which are optional: each is loaded where a configuration needs it, and not before. */
export interface Azure {
  /** `vaultUrl`: scheme and host. */
  secretReader(vaultUrl: string): Promise<SecretReader>;
  managedIdentity(identity: ManagedIdentity): Promise<TokenSource>;
}

export const AZURE: Azure = {
  async secretReader(vaultUrl) {
    const [{ DefaultAzureCredential }, { SecretClient }] = await Promise.all([
      installed('key vault unavailable', '@azure/identity', () => import('@azure/identity')),
      installed('key vault unavailable', '@azure/keyvault-secrets', () => import('@azure/keyvault-secrets')),
    ]);
    return new SecretClient(vaultUrl, new DefaultAzureCredential());
  },

  async managedIdentity({ clientId }) {
    const { ManagedIdentityCredential } = await installed(
      'managed identity unavailable',
      '@azure/identity',
      () => import('@azure/identity'),
    );
    return new ManagedIdentityCredential(clientId === undefined ? {} : { clientId });
  },
};

/** Loads an optional package, or says that it has to be installed. */
export async function installed<Module>(
  problem: 'key vault unavailable' | 'managed identity unavailable',
  name: string,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch {
    throw new CredentialError(problem, `the package ${name} cannot be loaded: install it beside evertoken`);
  }
}
