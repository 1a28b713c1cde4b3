import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { SecretClient } from '@azure/keyvault-secrets';
import { describe, expect, it, onTestFinished, test, vi } from 'vitest';
import { AZURE, type Azure, installed } from '../../src/credentials/azure.ts';
import { CredentialError } from '../../src/credentials/credential-error.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import {
  atHandOf,
  authenticated,
  clientOf,
  keyCredential,
  load,
  makeKeyring,
  only,
  secretCredential,
} from '../support/credentials.ts';

const FIXTURES = new URL('../fixtures/', import.meta.url).pathname;
const ACCESS_TOKEN = 'an access token for the vault';

type Answer = { readonly status: number; readonly body: unknown };

/** A server that is asked by Azure's own packages; a vault has to have a certificate. */
async function serve(answer: (request: IncomingMessage, url: URL) => Answer, certified?: Certified) {
  const asked: string[] = [];
  const listener: RequestListener = (request, response) => {
    asked.push(`${request.url}`);
    const given = answer(request, new URL(`http://host${request.url}`));
    const headers = {
      'content-type': 'application/json',
      'www-authenticate':
        'Bearer authorization="https://login.example/t", resource="https://vault.azure.net"',
    };
    response.writeHead(given.status, headers).end(JSON.stringify(given.body));
  };
  const server = certified
    ? createTlsServer({ key: certified.keyPem, cert: certified.certificatePem }, listener)
    : createServer(listener);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    origin: `${certified ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
  };
}

/** A vault with these secrets by name or `name/version`, as the real SDK sees it. */
async function serveVault(secrets: Record<string, string>) {
  const certified = await makeCertificate({ hosts: ['127.0.0.1'] });
  const state = { failing: undefined as number | undefined };
  const { origin, asked } = await serve((request, url) => {
    if (request.headers.authorization !== `Bearer ${ACCESS_TOKEN}`) return { status: 401, body: {} };
    const name = url.pathname.replace(/^\/secrets\//, '').replace(/\/$/, '');
    const value = secrets[name];
    const status = state.failing ?? (value === undefined ? 404 : 200);
    return { status, body: { value, id: `${origin}/secrets/${name.split('/')[0]}/0a1b`, attributes: {} } };
  }, certified);
  const azure: Azure = {
    ...AZURE,
    async secretReader(vaultUrl) {
      const credential = {
        getToken: async () => ({ token: ACCESS_TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 }),
      };
      return new SecretClient(vaultUrl, credential, {
        tlsOptions: { ca: certified.certificatePem },
        disableChallengeResourceVerification: true,
        retryOptions: { maxRetries: 0 },
      });
    },
  };
  return { origin, azure, asked, secrets, state };
}

describe('Azure Key Vault', () => {
  test('gives a secret, and a version of one', async () => {
    const { origin, azure } = await serveVault({
      billing: 'now\n',
      'billing/0a1b': 'before',
      'billing/0A1Z': 'long before',
    });
    const secretAt = async (path: string) => {
      const entry = await load(secretCredential({ keyVault: origin + path }), { azure });
      return (await authenticated(entry)).body.get('client_secret');
    };
    expect(await secretAt('/secrets/billing')).toBe('now');
    expect(await secretAt('/secrets/billing/0a1b')).toBe('before');
    // Whatever configuration takes for a version.
    expect(await secretAt('/secrets/billing/0A1Z')).toBe('long before');
  });

  test('gives a certificate with its key, as PFX or as PEM', async () => {
    const { certificatePem, keyPem } = await makeCertificate();
    const { origin, azure } = await serveVault({
      pfx: readFileSync(`${FIXTURES}ec.pfx`).toString('base64'),
      pem: keyPem + certificatePem,
    });
    for (const name of ['pfx', 'pem']) {
      const entry = await load(keyCredential({ keyVault: `${origin}/certificates/${name}` }), { azure });
      expect(atHandOf(entry)).toMatchObject({ signsAssertions: true });
    }
  });

  test('is asked again after five minutes, and what is new there is used', async () => {
    const { origin, azure, asked, secrets } = await serveVault({ billing: 'old' });
    const clock = { now: Date.now() };
    const keyring = makeKeyring({ azure, clock: () => clock.now });
    const client = clientOf([secretCredential({ keyVault: `${origin}/secrets/billing` })]);
    const { fingerprint } = atHandOf(only(await keyring.of(client)));
    secrets.billing = 'new';
    clock.now += 299_000;
    const before = asked.length;
    expect(await keyring.check()).toEqual([]);
    expect(asked).toHaveLength(before);
    clock.now += 1000;
    expect(await keyring.check()).toMatchObject([{ previous: fingerprint, problem: undefined }]);
  });

  test('that fails leaves what it gave in use, and is asked again soon', async () => {
    const { origin, azure, state, asked } = await serveVault({ billing: 'secret' });
    const clock = { now: Date.now() };
    const keyring = makeKeyring({ azure, clock: () => clock.now });
    const client = clientOf([secretCredential({ keyVault: `${origin}/secrets/billing` })]);
    const { fingerprint } = atHandOf(only(await keyring.of(client)));
    state.failing = 503;
    clock.now += 300_000;
    expect(await keyring.check()).toMatchObject([
      { fingerprint, problem: 'key vault unavailable', detail: 'the key vault answered 503' },
    ]);
    state.failing = undefined;
    const before = asked.length;
    clock.now += 14_000;
    expect(await keyring.check()).toEqual([]);
    expect(asked).toHaveLength(before);
    clock.now += 1000;
    expect(await keyring.check()).toMatchObject([{ fingerprint, problem: undefined }]);
  });

  it.each([
    ['has no such secret', '/secrets/absent', undefined, 'key vault unavailable', 'has no such secret (404)'],
    ['refuses', '/secrets/billing', 403, 'key vault unavailable', 'refused with 403'],
    ['is asked for something else', '/keys/billing', undefined, 'key vault unavailable', 'expected https://'],
    ['holds nothing', '/secrets/empty', undefined, 'credential empty', 'is empty'],
  ])('says so when it %s', async (_, path, failing, problem, detail) => {
    const { origin, azure, state } = await serveVault({ billing: 'secret', empty: ' ' });
    state.failing = failing;
    const entry = await load(secretCredential({ keyVault: origin + path }), { azure });
    expect(entry).toMatchObject({ problem, detail: expect.stringContaining(detail) });
  });

  test('is asked again after five minutes also where the clock was set back', async () => {
    const { origin, azure, secrets } = await serveVault({ billing: 'old' });
    const clock = { now: Date.now() };
    const keyring = makeKeyring({ azure, clock: () => clock.now });
    const client = clientOf([secretCredential({ keyVault: `${origin}/secrets/billing` })]);
    const { fingerprint } = atHandOf(only(await keyring.of(client)));
    secrets.billing = 'new';
    clock.now -= 86_400_000;
    expect(await keyring.check()).toMatchObject([{ previous: fingerprint, problem: undefined }]);
    secrets.billing = 'newer';
    expect(await keyring.check()).toEqual([]);
  });

  test('that hangs is given up, even where the SDK does not heed the signal', async () => {
    const giveUp = new AbortController();
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(giveUp.signal);
    onTestFinished(() => timeout.mockRestore());
    const getSecret = () => {
      setImmediate(() => giveUp.abort());
      return new Promise<never>(() => {});
    };
    const azure: Azure = { ...AZURE, secretReader: async () => ({ getSecret }) };
    const entry = await load(secretCredential({ keyVault: 'https://vault.example/secrets/billing' }), {
      azure,
    });
    expect(entry).toMatchObject({
      problem: 'key vault unavailable',
      detail: 'the key vault gave no answer within 5 s',
    });
  });

  test('that nobody reaches is said to be so', async () => {
    const { azure } = await serveVault({});
    const entry = await load(secretCredential({ keyVault: 'https://127.0.0.1:1/secrets/billing' }), {
      azure,
    });
    expect(entry).toMatchObject({
      problem: 'key vault unavailable',
      detail: 'the key vault cannot be reached',
    });
  });

  test('is reached through packages that are loaded when they are needed', async () => {
    expect(await AZURE.secretReader('https://billing.vault.azure.net')).toHaveProperty('getSecret');
  });
});

describe('a managed identity', () => {
  const CREDENTIAL = {
    kind: 'federated',
    source: { managedIdentity: { clientId: 'an-identity', audience: 'api://AzureADTokenExchange' } },
  } as const;

  /** The endpoint that App Service gives to its machines. */
  async function serveIdentity(lifeSeconds: number) {
    let count = 0;
    const { origin, asked } = await serve((request) => {
      if (request.headers['x-identity-header'] !== 'the header') return { status: 401, body: {} };
      count += 1;
      const expires = Math.floor(Date.now() / 1000) + lifeSeconds;
      return {
        status: 200,
        body: { access_token: `token-${count}`, expires_on: `${expires}`, token_type: 'Bearer' },
      };
    });
    vi.stubEnv('IDENTITY_ENDPOINT', `${origin}/msi/token`);
    vi.stubEnv('IDENTITY_HEADER', 'the header');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    return { asked };
  }

  test('gives the token that is the assertion, once for all requests while it lives', async () => {
    const { asked } = await serveIdentity(86_400);
    const entry = await load(CREDENTIAL);
    const requests = await Promise.all(Array.from({ length: 5 }, () => authenticated(entry)));
    requests.push(await authenticated(entry));
    expect(new Set(requests.map(({ body }) => body.get('client_assertion')))).toEqual(new Set(['token-1']));
    expect(asked).toHaveLength(1);
    const query = new URL(`http://host${asked[0]}`).searchParams;
    expect(query.get('resource')).toBe('api://AzureADTokenExchange');
    expect(query.get('client_id')).toBe('an-identity');
    expect(atHandOf(entry)).toMatchObject({ signsAssertions: false, endsAt: undefined });
  });

  /** What gives tokens of an hour, or what is said in its place. */
  function identityThat(
    getToken: () => Promise<{ token: string; expiresOnTimestamp: number } | null>,
  ): Azure {
    return { ...AZURE, managedIdentity: async () => ({ getToken }) };
  }

  test('is asked anew shortly before the end, and its last token serves to the end if it fails then', async () => {
    const now = Date.now();
    const getToken = vi
      .fn<() => Promise<{ token: string; expiresOnTimestamp: number } | null>>()
      .mockResolvedValueOnce({ token: 'one', expiresOnTimestamp: now + 3_600_000 })
      .mockRejectedValueOnce(new Error('token=hunter2'))
      .mockResolvedValueOnce({ token: 'two', expiresOnTimestamp: now + 7_200_000 });
    const entry = await load(CREDENTIAL, { azure: identityThat(getToken) });
    const at = async (ms: number) =>
      (await authenticated(entry, { now: now + ms })).body.get('client_assertion');
    expect([await at(0), await at(3_299_999), await at(3_300_000), await at(3_300_001)]).toEqual([
      'one',
      'one',
      'one',
      'two',
    ]);
  });

  it.each([
    ['fails', () => Promise.reject(new Error('token=hunter2'))],
    ['gives nothing', () => Promise.resolve(null)],
  ])('that %s stops the request, without the words of the SDK', async (_, getToken) => {
    const entry = await load(CREDENTIAL, { azure: identityThat(getToken) });
    const error: unknown = await authenticated(entry).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CredentialError);
    expect(error).toMatchObject({ problem: 'managed identity unavailable' });
    expect(inspect(error)).toContain('the managed identity of this machine gave no token');
    expect(inspect(error)).not.toContain('hunter2');
  });

  test('has another fingerprint for another identity or audience', async () => {
    const fingerprintOf = async (clientId: string | undefined, audience: string) => {
      const source = { managedIdentity: { clientId, audience } };
      return atHandOf(await load({ kind: 'federated', source })).fingerprint;
    };
    const all = [await fingerprintOf('a', 'x'), await fingerprintOf('b', 'x'), await fingerprintOf('a', 'y')];
    expect(new Set([...all, await fingerprintOf(undefined, 'x')]).size).toBe(4);
    expect(await fingerprintOf('a', 'x')).toBe(all[0]);
  });
});

test('a package that is not installed is named, with what to do', async () => {
  const load = () => import(`@azure/${'absent'}`);
  await expect(installed('managed identity unavailable', '@azure/identity', load)).rejects.toMatchObject({
    problem: 'managed identity unavailable',
    message: 'the package @azure/identity cannot be loaded: install it beside evertoken',
  });
});
