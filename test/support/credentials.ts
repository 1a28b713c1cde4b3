import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type {
  AssertionOptions,
  Client,
  Credential,
  KeyCredential,
  SecretCredential,
  SecretSource,
} from '../../src/core/client.ts';
import type { Moment, TokenRequest } from '../../src/core/client-authentication.ts';
import { type AtHand, type Entry, Keyring, type KeyringOptions } from '../../src/credentials/keyring.ts';

export const CLIENT_ID = '11111111-1111-4111-8111-111111111111';
export const TOKEN_URL = 'https://idp.example/contoso/token';

export const ASSERTION: AssertionOptions = {
  alg: undefined,
  kid: undefined,
  x5c: false,
  audience: undefined,
  lifetimeMs: 600_000,
  reuse: true,
  claims: {},
  claimsMode: 'merge',
};

/** A client with these credentials; the rest is of no concern to them. */
export function clientOf(credentials: readonly Credential[], more: Partial<Client> = {}): Client {
  const rate = { count: 5, windowMs: 300_000 };
  return {
    name: 'billing',
    clientId: CLIENT_ID,
    endpoint: { tokenEndpoint: TOKEN_URL },
    grant: { kind: 'client_credentials' },
    credentials,
    ca: undefined,
    tenants: ['contoso'],
    resources: [],
    limits: { perHost: rate, perTenant: rate, identical: rate },
    outageTargetMs: 60_000,
    latestShare: 0.75,
    expectLifetimeMs: 60_000,
    assumeLifetimeMs: undefined,
    ...more,
  };
}

export function secretCredential(
  source: SecretSource,
  more: Partial<Omit<SecretCredential, 'assertion'>> = {},
  assertion: Partial<AssertionOptions> = {},
): SecretCredential {
  return {
    kind: 'secret',
    source,
    method: 'client_secret_post',
    endsAt: undefined,
    ...more,
    assertion: { ...ASSERTION, ...assertion },
  };
}

export function keyCredential(
  source: SecretSource,
  more: Partial<Omit<KeyCredential, 'assertion'>> = {},
  assertion: Partial<AssertionOptions> = {},
): KeyCredential {
  return {
    kind: 'certificate',
    source,
    keySource: undefined,
    passphrase: undefined,
    method: 'private_key_jwt',
    ...more,
    assertion: { ...ASSERTION, ...assertion },
  };
}

export function makeKeyring(options: Partial<KeyringOptions> = {}): Keyring {
  const keyring = new Keyring({ env: {}, clock: Date.now, ...options });
  onTestFinished(() => keyring.close());
  return keyring;
}

/** What becomes of one credential. */
export async function load(
  credential: Credential,
  more: Partial<Client> & Partial<KeyringOptions> = {},
): Promise<Entry> {
  const { env, clock, azure, ...client } = more;
  const keyring = makeKeyring({
    ...(env === undefined ? {} : { env }),
    ...(clock === undefined ? {} : { clock }),
    ...(azure === undefined ? {} : { azure }),
  });
  return only(await keyring.of(clientOf([credential], client)));
}

export function only(entries: readonly Entry[]): Entry {
  const [entry, ...others] = entries;
  if (entry && others.length === 0) return entry;
  throw new Error(`expected one entry, but got ${entries.length}`);
}

export function atHandOf(entry: Entry): AtHand {
  if (entry.atHand) return entry.atHand;
  throw new Error(`expected a credential at hand, but got "${entry.problem}": ${entry.detail}`);
}

/** The request as it is sent with this credential. */
export async function authenticated(
  entry: Entry,
  { url = TOKEN_URL, now = Date.now(), signAgain = false }: Partial<Moment & { url: string }> = {},
): Promise<TokenRequest> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', client_id: CLIENT_ID });
  const request = { url, headers: {}, body };
  await atHandOf(entry).authenticate(request, { now, signAgain });
  return request;
}

/** A folder that goes with the test, and files in it. */
export function makeFolder(): {
  readonly path: string;
  write(name: string, content: string | Uint8Array): { readonly file: string };
} {
  const path = mkdtempSync(join(tmpdir(), 'evertoken-credentials-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write(name, content) {
      const file = join(path, name);
      writeFileSync(file, content);
      return { file };
    },
  };
}

/** A JWT that somebody else has signed, for all that we can know. */
export function foreignJwt(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', kid: 'x' })}.${part(claims)}.c2lnbmF0dXJl`;
}
