import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import { PRESET_NAMES, presetOf } from '../../src/config/presets.ts';
import type { Client } from '../../src/core/client.ts';
import { feasibilityProblems } from '../../src/core/feasibility-words.ts';
import { ConfigFolder, onlyClient, withClient } from '../support/config-folder.ts';

const SECRET = [{ secret: { env: 'A_B' } }];
const KEY = [{ privateKey: { file: 'k' } }];
const API = { api: 'read' };

/** One client for each preset, with no more than it needs. */
const CLIENTS = {
  entra: { tenants: ['contoso'], credentials: KEY, resources: { graph: 'https://graph/.default' } },
  okta: { server: 'https://acme.okta.com/oauth2/default', credentials: KEY, resources: API },
  auth0: {
    server: 'https://acme.eu.auth0.com/',
    credentials: KEY,
    resources: { api: { audience: 'https://a' } },
  },
  keycloak: { server: 'https://sso.example/auth', tenants: ['Acme'], credentials: SECRET, resources: API },
  cognito: { server: 'https://a.auth.eu-central-1.amazoncognito.com', credentials: SECRET, resources: API },
  ping: { tenants: ['3f9a'], credentials: SECRET, resources: API },
  google: { credentials: KEY, resources: API },
  salesforce: { subject: 'jo@acme.example', credentials: KEY, resources: { api: {} } },
};

const settings = (top: object = {}): object => ({
  ...top,
  clients: Object.fromEntries(
    Object.entries(CLIENTS).map(([preset, client]) => [
      preset,
      { clientId: `id-${preset}`, preset, ...client },
    ]),
  ),
});

const load = (preset: keyof typeof CLIENTS, changes: object = {}, top: object = {}): Client =>
  onlyClient(
    new ConfigFolder().load({
      ...top,
      ...withClient({ clientId: 'id', preset, ...CLIENTS[preset], ...changes }),
    }),
  );

const problems = (preset: string, changes: object): string[] => {
  const base: Readonly<Record<string, object>> = CLIENTS;
  return new ConfigFolder().problems(withClient({ clientId: 'id', preset, ...base[preset], ...changes }));
};

describe('all presets', () => {
  it('are usable side by side, each with its own token endpoint', () => {
    const { clients } = new ConfigFolder().load(settings());
    expect(clients.map(({ name }) => name).toSorted()).toEqual(PRESET_NAMES.toSorted());
    const catalogue = new Catalogue(clients);
    const urls = [...catalogue.ids()].map((id) => [id, catalogue.get(id)?.tokenUrl]);
    expect(Object.fromEntries(urls)).toEqual({
      'entra/contoso/graph': 'https://login.microsoftonline.com/contoso/oauth2/v2.0/token',
      'okta/-/api': 'https://acme.okta.com/oauth2/default/v1/token',
      'auth0/-/api': 'https://acme.eu.auth0.com/oauth/token',
      'keycloak/Acme/api': 'https://sso.example/auth/realms/Acme/protocol/openid-connect/token',
      'cognito/-/api': 'https://a.auth.eu-central-1.amazoncognito.com/oauth2/token',
      'ping/3f9a/api': 'https://auth.pingone.com/3f9a/as/token',
      'google/-/api': 'https://oauth2.googleapis.com/token',
      'salesforce/-/api': 'https://login.salesforce.com/services/oauth2/token',
    });
  });

  it.each(PRESET_NAMES)('hold their outage target within their limits: %s', (name) => {
    expect(new Catalogue([load(name)]).replan().flatMap(feasibilityProblems)).toEqual([]);
  });

  it.each(PRESET_NAMES)('say nothing that could not be written: %s', (name) => {
    const { limits, outageTargetMs, latestShare, expectLifetimeMs } = load(name);
    const rate = ({ count, windowMs }: { count: number; windowMs: number }) => `${count}/${windowMs}ms`;
    const written = {
      limits: Object.fromEntries(Object.entries(limits).map(([key, value]) => [key, rate(value)])),
      refresh: { outageTarget: `${outageTargetMs}ms`, latest: `${latestShare * 100}%` },
      expectLifetime: `${expectLifetimeMs}ms`,
    };
    expect(load(name, written)).toMatchObject({ limits, outageTargetMs, latestShare, expectLifetimeMs });
    const { lifetimeMs, mostLifetimeMs } = presetOf(name).assertion;
    expect(lifetimeMs).toBeGreaterThanOrEqual(60_000);
    expect(mostLifetimeMs).toBeGreaterThanOrEqual(lifetimeMs);
  });

  it.each(PRESET_NAMES)('stand in the table of the reference: %s', (name) => {
    const reference = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    const { title } = presetOf(name);
    expect(
      reference.split('\n').filter((line) => line.startsWith(`| \`${name}\` | ${title} |`)),
    ).toHaveLength(1);
  });
});

describe('a preset', () => {
  test.each([
    ['keycloak', 'client_secret_basic'],
    ['cognito', 'client_secret_basic'],
    ['ping', 'client_secret_basic'],
    ['okta', 'client_secret_basic'],
    ['auth0', 'client_secret_post'],
    ['entra', 'client_secret_post'],
  ] as const)('knows how secrets are sent: %s by %s', (preset, method) => {
    expect(load(preset, { credentials: SECRET }).credentials).toMatchObject([{ method }]);
  });

  test.each([
    ['entra', { alg: undefined, audience: undefined, lifetimeMs: 600_000, reuse: true }],
    ['okta', { alg: 'RS256', audience: undefined, lifetimeMs: 300_000, reuse: false }],
    ['auth0', { alg: 'RS256', audience: 'https://acme.eu.auth0.com/', lifetimeMs: 120_000, reuse: false }],
    ['google', { alg: 'RS256', audience: 'https://oauth2.googleapis.com/token', reuse: false }],
    [
      'salesforce',
      { alg: 'RS256', audience: 'https://login.salesforce.com', lifetimeMs: 180_000, reuse: false },
    ],
  ] as const)('knows what assertions are to say: %s', (preset, assertion) => {
    expect(load(preset).credentials).toMatchObject([{ assertion }]);
  });

  test.each([
    ['https://acme.my.salesforce.com', 'https://login.salesforce.com'],
    ['https://acme--uat.sandbox.my.salesforce.com', 'https://test.salesforce.com'],
    ['https://test.salesforce.com', 'https://test.salesforce.com'],
    ['https://acme.my.site.com/customers', 'https://acme.my.site.com/customers'],
  ])('knows whom the assertions of Salesforce are for: %s', (server, audience) => {
    expect(load('salesforce', { server }).credentials).toMatchObject([{ assertion: { audience } }]);
  });

  it('leaves to the client what the client says', () => {
    const assertion = { alg: 'ES256', audience: 'https://x', lifetime: '1h' };
    const client = load('okta', {
      credentials: [{ privateKey: { file: 'k', ...assertion } }],
      limits: { perHost: '1/s' },
      refresh: { latest: '60%' },
      expectLifetime: '5m',
    });
    expect(client).toMatchObject({
      credentials: [{ assertion: { alg: 'ES256', audience: 'https://x', lifetimeMs: 3_600_000 } }],
      limits: { perHost: { count: 1, windowMs: 1000 }, perTenant: { count: 120, windowMs: 60_000 } },
      latestShare: 0.6,
      expectLifetimeMs: 300_000,
    });
  });

  it('gives way to what the top level says, key by key', () => {
    expect(load('auth0', {}, { refresh: { latest: '70%' }, limits: { perHost: '9/s' } })).toMatchObject({
      latestShare: 0.7,
      limits: { perHost: { count: 9, windowMs: 1000 }, perTenant: { count: 120, windowMs: 60_000 } },
    });
    expect(load('auth0', {}, { refresh: { outageTarget: '1h' } })).toMatchObject({
      latestShare: 0.95,
      outageTargetMs: 3_600_000,
    });
  });

  it('keeps all but the URL where a tokenEndpoint is given', () => {
    expect(load('google', { tokenEndpoint: 'http://127.0.0.1:9/t' })).toMatchObject({
      endpoint: { tokenEndpoint: 'http://127.0.0.1:9/t' },
      grant: { kind: 'jwt_bearer', subject: undefined, scopeInAssertion: true },
      credentials: [{ assertion: { audience: 'https://oauth2.googleapis.com/token' } }],
    });
  });

  it('takes tenants in the address of its server', () => {
    const server = 'https://acme.okta.com/oauth2/{tenant}';
    expect(load('okta', { server, tenants: ['aus1'] })).toMatchObject({
      endpoint: { tokenEndpoint: 'https://acme.okta.com/oauth2/{tenant}/v1/token' },
      tenants: ['aus1'],
    });
  });

  it('of Entra is the same as its authority', () => {
    const credentials = SECRET;
    const direct = load('entra', { preset: undefined, authority: 'https://login.example', credentials });
    expect(load('entra', { server: 'https://login.example/', credentials })).toEqual(direct);
  });

  it('of Salesforce assumes a lifetime, by which its tokens are also planned', () => {
    expect(load('salesforce')).toMatchObject({
      grant: { kind: 'jwt_bearer', subject: 'jo@acme.example', scopeInAssertion: false },
      assumeLifetimeMs: 3_600_000,
      expectLifetimeMs: 3_600_000,
    });
    expect(load('salesforce', { assumeLifetime: '15m' })).toMatchObject({
      assumeLifetimeMs: 900_000,
      expectLifetimeMs: 900_000,
    });
  });
});

describe('a preset is refused', () => {
  test.each([
    [
      'acme',
      {},
      'preset: expected entra, okta, auth0, keycloak, cognito, ping, google or salesforce; for any other server there is tokenEndpoint',
    ],
    [
      'okta',
      { server: undefined },
      'server is missing: Okta needs one, such as https://acme.okta.com/oauth2/default',
    ],
    [
      'okta',
      { server: 'https://acme.okta.com' },
      'server: expected the address of an authorization server of Okta',
    ],
    ['okta', { server: 'http://acme.okta.com/oauth2' }, 'server: expected https'],
    ['okta', { server: 'https://acme.okta.com/oauth2?x=1' }, 'server: expected an address without a query'],
    ['okta', { resources: { api: {} } }, 'resources.api: scope is missing: Okta gives no token without one'],
    ['entra', { server: 'https://login.example/common' }, 'server: expected an origin only'],
    [
      'entra',
      { authority: 'https://login.example' },
      'but got authority and preset; beside preset the address is called server',
    ],
    ['entra', { resources: { api: 'read' } }, 'expected one scope that ends in /.default'],
    ['keycloak', { tenants: undefined }, 'tenants is missing'],
    ['auth0', { tenants: ['a'] }, 'no {tenant}: leave tenants out'],
    [
      'cognito',
      { credentials: KEY },
      'Cognito takes secret with client_secret_basic, secret with client_secret_post, but not certificate or privateKey',
    ],
    [
      'google',
      { credentials: SECRET },
      'secret: Google takes certificate or privateKey, but not secret with',
    ],
    ['okta', { credentials: [{ federated: { file: 'f' } }] }, 'credentials[0].federated: Okta takes'],
    ['okta', { credentials: [{ federated: { workloadIdentity: true } }] }, 'workloadIdentity is for Entra'],
    [
      'google',
      { credentials: [{ privateKey: { file: 'k', alg: 'ES256' } }] },
      'privateKey.alg: Google takes RS256, not ES256',
    ],
    [
      'salesforce',
      { credentials: [{ privateKey: { file: 'k', lifetime: '5m' } }] },
      'privateKey.lifetime: Salesforce takes assertions of at most 3m',
    ],
    ['salesforce', { subject: undefined }, 'subject is missing: Salesforce issues tokens for a user'],
    ['okta', { subject: 'jo' }, 'subject: subject is for the JWT-bearer grant'],
    [
      'google',
      { resources: { api: { scope: 's', claims: { a: 1 } } } },
      'resources.api.claims: Google has no claims parameter',
    ],
    ['google', { capabilities: ['cp1'] }, 'capabilities: capabilities are for Entra only'],
  ])('%s with %o', (preset, changes, expected) => {
    const lines = problems(preset, changes);
    expect(lines.filter((line) => line.includes(expected))).toHaveLength(1);
  });

  test.each([
    [{ authority: 'https://login.example', tenants: ['a'] }, 'leave it out beside authority'],
    [{ tokenEndpoint: 'https://idp.example/token' }, 'leave it out beside tokenEndpoint'],
  ])('as a server without one: %o', (endpoint, expected) => {
    const client = { clientId: 'id', server: 'https://x', ...endpoint, credentials: SECRET };
    expect(new ConfigFolder().problems(withClient({ ...client, resources: { api: 'a/.default' } }))).toEqual([
      expect.stringContaining(`server: server is what a preset completes: ${expected}`),
    ]);
  });
});

describe('claims', () => {
  const claimsOf = (changes: object) => load('entra', changes).resources[0]?.claims;
  const scope = 'https://graph/.default';

  it('are not there unless they are asked for', () => {
    expect(claimsOf({})).toBeUndefined();
  });

  it('say the capabilities of the client', () => {
    expect(claimsOf({ capabilities: ['cp1'] })).toEqual({ access_token: { xms_cc: { values: ['cp1'] } } });
  });

  it('keep what the resource says beside the capabilities', () => {
    const claims = {
      access_token: { xms_cc: { values: ['other', 'cp1'] }, nbf: { essential: true } },
      id: 1,
    };
    expect(claimsOf({ capabilities: ['cp1', 'x'], resources: { g: { scope, claims } } })).toEqual({
      access_token: { xms_cc: { values: ['other', 'cp1', 'x'] }, nbf: { essential: true } },
      id: 1,
    });
  });

  it('are the same object as in the file without capabilities', () => {
    const claims = { access_token: { a: null } };
    expect(claimsOf({ resources: { g: { scope, claims } } })).toEqual(claims);
  });
});
