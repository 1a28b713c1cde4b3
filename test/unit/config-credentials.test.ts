import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Credential } from '../../src/core/client.ts';
import type { Environment } from '../../src/credentials/source.ts';
import { ConfigFolder, onlyClient, withClient } from '../support/config-folder.ts';

const STANDARD = {
  clientId: 'id',
  tokenEndpoint: 'https://idp.example/token',
  resources: { api: { audience: 'https://api.example' } },
};
const ENTRA = {
  clientId: 'id',
  authority: 'https://login.microsoftonline.com',
  tenants: ['contoso'],
  resources: { graph: 'https://graph/.default' },
};
const GENERIC_ASSERTION = {
  alg: undefined,
  kid: undefined,
  x5c: false,
  audience: undefined,
  lifetimeMs: 600_000,
  reuse: false,
  claims: {},
  claimsMode: 'merge',
};
const VAULT = 'https://acme.vault.azure.net';

const credentialOf = (credential: object, client: object = STANDARD): Credential | undefined =>
  onlyClient(new ConfigFolder().load(withClient({ ...client, credentials: [credential] }))).credentials[0];

const problemsOf = (credential: object, client: object = STANDARD, env: Environment = {}): string[] =>
  new ConfigFolder().problems(withClient({ ...client, credentials: [credential] }), env);

describe('a secret', () => {
  test.each([
    ['2027-01-31', Date.UTC(2027, 0, 31)],
    ['2028-02-29', Date.UTC(2028, 1, 29)],
    ['2027-01-31T12:30:00Z', Date.UTC(2027, 0, 31, 12, 30)],
    ['2027-01-31T12:30+02:00', Date.UTC(2027, 0, 31, 10, 30)],
    ['2027-01-31T12:30:00.500Z', Date.UTC(2027, 0, 31, 12, 30, 0, 500)],
  ])('ends on %s', (expires, endsAt) => {
    expect(credentialOf({ secret: { env: 'A_B', expires } })).toMatchObject({ endsAt });
  });

  it('ends on a date that is written without quotes', () => {
    const client = JSON.stringify({ ...STANDARD, credentials: '@' });
    const text = `clients: { a: ${client.replace('"@"', '[{ secret: { env: A_B, expires: 2027-01-31 } }]')} }`;
    const config = loadConfig(new ConfigFolder().write('evertoken.yaml', text), {});
    expect(onlyClient(config).credentials).toMatchObject([{ endsAt: Date.UTC(2027, 0, 31) }]);
  });

  test.each([
    '2027-02-30',
    '2027-13-01',
    '31.01.2027',
    '2027-01-31T25:00:00Z',
    '2027-01-31T12:00:00',
    'soon',
  ])('does not end on %s', (expires) => {
    expect(problemsOf({ secret: { env: 'A_B', expires } })).toEqual([
      'clients.a.credentials[0].secret.expires: expected a date, such as 2027-01-31, or a date and time with a zone, 2027-01-31T12:00:00Z',
    ]);
  });

  it('may sign assertions', () => {
    expect(credentialOf({ secret: { env: 'A_B', method: 'client_secret_jwt' } })).toEqual({
      kind: 'secret',
      source: { env: 'A_B' },
      method: 'client_secret_jwt',
      endsAt: undefined,
      assertion: GENERIC_ASSERTION,
    });
  });
});

describe('a key', () => {
  it('with a certificate is read from files, variables and vaults, with its key and passphrase elsewhere', () => {
    const folder = new ConfigFolder();
    const certificate = {
      file: 'c.pem',
      key: { keyVault: `${VAULT}/secrets/key/0123456789abcdef` },
      passphrase: { env: 'KEY_PASSPHRASE' },
    };
    const config = folder.load(withClient({ ...STANDARD, credentials: [{ certificate }] }));
    expect(onlyClient(config).credentials).toEqual([
      {
        kind: 'certificate',
        source: { file: join(folder.path, 'c.pem') },
        keySource: { keyVault: `${VAULT}/secrets/key/0123456789abcdef` },
        passphrase: { env: 'KEY_PASSPHRASE' },
        method: 'private_key_jwt',
        assertion: GENERIC_ASSERTION,
      },
    ]);
  });

  it('says in its assertion what the configuration says', () => {
    const assertion = {
      alg: 'RS256',
      kid: 'k1',
      audience: 'https://idp.example',
      claims: { acr: ['a', 1, { b: true }] },
      claimsMode: 'replace',
    };
    const credential = credentialOf({ certificate: { file: 'c', x5c: true, lifetime: '90s', ...assertion } });
    expect(credential).toMatchObject({
      assertion: { ...assertion, x5c: true, lifetimeMs: 90_000, reuse: false },
    });
  });

  it('without a certificate has no more than a name', () => {
    expect(credentialOf({ privateKey: { env: 'A_B', kid: 'k1' } })).toEqual({
      kind: 'privateKey',
      source: { env: 'A_B' },
      keySource: undefined,
      passphrase: undefined,
      method: 'private_key_jwt',
      assertion: { ...GENERIC_ASSERTION, kid: 'k1' },
    });
  });

  it('signs assertions that may be sent again under authority', () => {
    expect(credentialOf({ certificate: { file: 'c' } }, ENTRA)).toMatchObject({
      assertion: { ...GENERIC_ASSERTION, reuse: true },
    });
  });

  test.each([
    ...['secrets/a', 'certificates/a-B1', 'secrets/a/0123456789abcdef0123456789abcdef'].map((path) => [
      `${VAULT}/${path}`,
    ]),
    ['https://vault.example:8443/secrets/a'],
  ])('is read from %s', (keyVault) => {
    expect(credentialOf({ certificate: { keyVault } })).toMatchObject({ source: { keyVault } });
  });

  test.each([
    'http://acme.vault.azure.net/secrets/a',
    `${VAULT}/keys/a`,
    `${VAULT}/secrets`,
    `${VAULT}/secrets/a_b`,
    `${VAULT}/secrets/a/b/c`,
    `${VAULT}/secrets/a?api-version=7`,
    'https://u:p@acme.vault.azure.net/secrets/a',
    'acme',
  ])('is not read from %s', (keyVault) => {
    expect(problemsOf({ certificate: { keyVault } })).toEqual([
      'clients.a.credentials[0].certificate.keyVault: expected https://<vault>.vault.azure.net/secrets/<name> or …/certificates/<name>, a version may follow',
    ]);
  });
});

describe('a federated credential', () => {
  test.each([
    [{ managedIdentity: {} }, { clientId: undefined, audience: 'api://AzureADTokenExchange' }],
    [{ managedIdentity: { clientId: 'mi', audience: 'api://x' } }, { clientId: 'mi', audience: 'api://x' }],
  ])('may be the identity of the machine: %o', (federated, managedIdentity) => {
    expect(credentialOf({ federated }, ENTRA)).toEqual({ kind: 'federated', source: { managedIdentity } });
  });

  it('may be a file', () => {
    expect(credentialOf({ federated: { file: '/run/token' } })).toEqual({
      kind: 'federated',
      source: { file: '/run/token' },
    });
  });

  describe('of a workload identity', () => {
    const WORKLOAD = { federated: { workloadIdentity: true } };
    const ENV = {
      AZURE_FEDERATED_TOKEN_FILE: '/var/run/secrets/azure/tokens/azure-identity-token',
      AZURE_CLIENT_ID: 'client-of-the-pod',
      AZURE_TENANT_ID: 'Tenant-Of-The-Pod',
      AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us/',
    };
    const client = { resources: ENTRA.resources, credentials: [WORKLOAD] };

    it('takes from the environment what the client does not say', () => {
      expect(onlyClient(new ConfigFolder().load(withClient(client), ENV))).toMatchObject({
        clientId: 'client-of-the-pod',
        tenants: ['tenant-of-the-pod'],
        endpoint: { authority: 'https://login.microsoftonline.us' },
        credentials: [{ kind: 'federated', source: { file: ENV.AZURE_FEDERATED_TOKEN_FILE } }],
      });
    });

    it('lets the client say it, and needs only the file then', () => {
      const { AZURE_FEDERATED_TOKEN_FILE } = ENV;
      const loaded = new ConfigFolder().load(withClient({ ...ENTRA, ...client }), {
        AZURE_FEDERATED_TOKEN_FILE,
      });
      expect(onlyClient(loaded)).toMatchObject({ clientId: 'id', tenants: ['contoso'] });
    });

    it('takes the host for the preset too, where that names no server', () => {
      const load = (changes: object) =>
        onlyClient(new ConfigFolder().load(withClient({ ...client, preset: 'entra', ...changes }), ENV))
          .endpoint;
      expect(load({})).toEqual({ authority: 'https://login.microsoftonline.us' });
      expect(load({ server: 'https://login.example' })).toEqual({ authority: 'https://login.example' });
    });

    it('is at the public cloud where nothing is said', () => {
      const { AZURE_AUTHORITY_HOST: _, ...env } = ENV;
      expect(onlyClient(new ConfigFolder().load(withClient(client), env)).endpoint).toEqual({
        authority: 'https://login.microsoftonline.com',
      });
    });

    it('says which variables are missing, and what to do', () => {
      expect(new ConfigFolder().problems(withClient(client))).toEqual(
        [
          'AZURE_FEDERATED_TOKEN_FILE is not set: run in a pod with the label azure.workload.identity/use: "true", or use federated: { file: path }',
          'AZURE_CLIENT_ID is not set: set it, or write clientId',
          'AZURE_TENANT_ID is not set: set it, or write tenants',
        ].map((text) =>
          expect.stringContaining(`.federated.workloadIdentity: the environment variable ${text}`),
        ),
      );
    });

    it('says so when the authority in the environment is none', () => {
      const env = { ...ENV, AZURE_AUTHORITY_HOST: 'http://login' };
      expect(new ConfigFolder().problems(withClient(client), env)).toEqual([
        expect.stringContaining('the environment variable AZURE_AUTHORITY_HOST: expected https'),
      ]);
    });
  });
});

describe('what does not go together is refused:', () => {
  const key = { file: 'k' };

  test.each([
    [
      { secret: key, certificate: key },
      STANDARD,
      'expected exactly one of secret, certificate, privateKey and federated',
    ],
    [{}, STANDARD, 'expected exactly one of secret, certificate, privateKey and federated'],
    [
      { certificate: { ...key, env: 'A' } },
      STANDARD,
      'certificate: expected exactly one of env, file and keyVault',
    ],
    [
      { certificate: { ...key, key: {} } },
      STANDARD,
      'certificate.key: expected exactly one of env, file and keyVault',
    ],
    [
      { privateKey: { ...key, x5c: true } },
      STANDARD,
      'privateKey.x5c: x5c shows a certificate, and a privateKey has none: use certificate',
    ],
    [
      { privateKey: { ...key, method: 'tls_client_auth' } },
      STANDARD,
      'privateKey.method: a privateKey signs assertions',
    ],
    [
      { privateKey: { ...key, key } },
      STANDARD,
      'privateKey.key: the private key is what env, file or keyVault refers to',
    ],
    [
      { certificate: { ...key, method: 'tls_client_auth' } },
      { ...STANDARD, tokenEndpoint: 'http://127.0.0.1:1/t' },
      'certificate.method: tls_client_auth shows the certificate in the TLS handshake, and this token endpoint is plain http',
    ],
    [
      { certificate: { ...key, method: 'tls_client_auth', alg: 'ES256' } },
      STANDARD,
      'certificate.alg: tls_client_auth signs no assertion: leave alg out, or use private_key_jwt',
    ],
    [
      { certificate: { ...key, method: 'tls_client_auth' } },
      ENTRA,
      'certificate.method: Entra takes secret with client_secret_post',
    ],
    [{ certificate: { ...key, alg: 'ES512' } }, STANDARD, 'certificate.alg: expected PS256, RS256 or ES256'],
    [
      { certificate: { ...key, method: 'x' } },
      STANDARD,
      'certificate.method: expected private_key_jwt or tls_client_auth',
    ],
    [
      { certificate: { ...key, lifetime: '2h' } },
      STANDARD,
      'certificate.lifetime: expected a duration from 1m to 1h',
    ],
    [
      { certificate: { ...key, claims: { aud: 'x' } } },
      STANDARD,
      'claims.aud: the assertion has this claim already: it comes from audience',
    ],
    [
      { privateKey: { ...key, claims: { jti: 'x' } } },
      STANDARD,
      'claims.jti: the assertion has this claim already: it is random',
    ],
    [
      { federated: {} },
      STANDARD,
      'federated: expected exactly one of file, managedIdentity and workloadIdentity',
    ],
    [{ federated: { workloadIdentity: false } }, ENTRA, 'federated.workloadIdentity: expected true'],
    [
      { federated: { workloadIdentity: true } },
      STANDARD,
      'workloadIdentity is for Entra; elsewhere use federated: { file: path }',
    ],
  ])('%o', (credential, client, expected) => {
    expect(problemsOf(credential, client)).toEqual([expect.stringContaining(expected)]);
  });

  it('but jti may be replaced where all claims are', () => {
    const claims = { jti: 'x' };
    expect(credentialOf({ privateKey: { ...key, claims, claimsMode: 'replace' } })).toMatchObject({
      assertion: { claims, claimsMode: 'replace' },
    });
  });
});

describe('the check of credentials', () => {
  const check = (credentials: object[], env: Environment = {}): string[] =>
    new ConfigFolder().problems(withClient({ ...STANDARD, credentials }), env, { checkCredentials: 'each' });

  it('reads variables and files of every kind, keys and passphrases included', () => {
    const certificate = { env: 'MY_CERT', key: { file: 'no' }, passphrase: { env: 'MY_PASS' } };
    expect(check([{ certificate }, { privateKey: { file: 'no' } }, { federated: { file: 'no' } }])).toEqual([
      expect.stringMatching(/\[0\]\.certificate\.env: .*MY_CERT is not set/),
      expect.stringMatching(/\[0\]\.certificate\.key\.file: the file named here does not exist/),
      expect.stringMatching(/\[0\]\.certificate\.passphrase\.env: .*MY_PASS is not set/),
      expect.stringMatching(/\[1\]\.privateKey\.file: the file named here does not exist/),
      expect.stringMatching(/\[2\]\.federated\.file: the file named here does not exist/),
    ]);
  });

  it('asks neither a vault nor the machine', () => {
    const vault = { keyVault: `${VAULT}/secrets/a` };
    const credentials = [{ secret: vault }, { certificate: vault }, { federated: { managedIdentity: {} } }];
    expect(check(credentials)).toEqual([]);
  });
});

test('a misplaced secret is shown by no message about credentials', () => {
  const places = [
    'env',
    'file',
    'keyVault',
    'kid',
    'audience',
    'alg',
    'method',
    'lifetime',
    'claimsMode',
    'x5c',
    'key',
  ];
  for (const kind of ['certificate', 'privateKey', 'secret', 'federated']) {
    for (const place of places) {
      const lines = problemsOf({ [kind]: { file: 'f', [place]: 'hunter-2' } });
      expect(inspect(lines)).not.toContain('hunter-2');
    }
  }
});
