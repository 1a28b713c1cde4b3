import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { findConfigFile, type LoadOptions, loadConfig } from '../../src/config/load.ts';
import { EvertokenError } from '../../src/core/errors.ts';
import type { Environment } from '../../src/credentials/source.ts';

const root = mkdtempSync(join(tmpdir(), 'evertoken-config-'));
let folder = root;

beforeEach(() => {
  folder = mkdtempSync(join(root, 'case-'));
});

afterAll(() => rmSync(root, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const load = (content: string, env: Environment = {}, options: LoadOptions = {}) =>
  loadConfig(write('evertoken.yaml', content), env, options);

/** What is wrong, without the folder, or undefined. */
function failure(
  content: string,
  env: Environment = {},
  options: LoadOptions = {},
): EvertokenError | undefined {
  try {
    load(content, env, options);
    return undefined;
  } catch (error) {
    if (!(error instanceof EvertokenError)) throw error;
    return new EvertokenError(error.code, error.message.replaceAll(`${folder}/`, ''));
  }
}

const problems = (content: string, env: Environment = {}, options: LoadOptions = {}): string[] =>
  failure(content, env, options)?.message.split('\n') ?? [];

const GOOD = {
  clientId: 'id-1',
  authority: 'https://login.microsoftonline.com',
  credentials: [{ secret: { env: 'BILLING_SECRET' } }],
  tenants: ['contoso'],
  resources: { graph: 'https://graph/.default' } as unknown,
};
const STANDARD = {
  ...GOOD,
  authority: undefined,
  tenants: undefined,
  tokenEndpoint: 'https://idp.example/token',
};

/** JSON on one line is YAML. */
const withClient = (changes: object, base: object = GOOD): string =>
  JSON.stringify({ clients: { billing: { ...base, ...changes } } });

const withTop = (changes: object): string => JSON.stringify({ ...changes, clients: { billing: GOOD } });

/** Problems by path and message; places have tests of their own. */
const unplaced = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/^\S+ /, ''));

describe('a configuration that is well', () => {
  it('needs no more than a client, and has defaults for the rest', () => {
    const config = load(withClient({}));
    expect(config).toMatchObject({
      file: join(folder, 'evertoken.yaml'),
      namespace: 'evertoken',
      http: { listen: { host: '127.0.0.1', port: 8642 } },
    });
    expect(config.redis.url.reveal()).toBe('redis://127.0.0.1:6379');
    expect(config.clients).toEqual([
      {
        name: 'billing',
        clientId: 'id-1',
        endpoint: { authority: 'https://login.microsoftonline.com' },
        grant: { kind: 'client_credentials' },
        credentials: [
          {
            kind: 'secret',
            source: { env: 'BILLING_SECRET' },
            method: 'client_secret_post',
            endsAt: undefined,
            assertion: {
              alg: undefined,
              kid: undefined,
              x5c: false,
              audience: undefined,
              lifetimeMs: 600_000,
              reuse: true,
              claims: {},
              claimsMode: 'merge',
            },
          },
        ],
        ca: undefined,
        tenants: ['contoso'],
        resources: [
          {
            name: 'graph',
            params: { scope: 'https://graph/.default' },
            claims: undefined,
            expectAudience: undefined,
          },
        ],
        limits: {
          perHost: { count: 50, windowMs: 1000 },
          perTenant: { count: 5, windowMs: 1000 },
          identical: { count: 5, windowMs: 300_000 },
        },
        outageTargetMs: 1_200_000,
        latestShare: 0.75,
        expectLifetimeMs: 3_600_000,
        assumeLifetimeMs: undefined,
      },
    ]);
  });

  it('may be JSON, indented with tabs', () => {
    const file = write('evertoken.json', JSON.stringify({ clients: { billing: GOOD } }, null, '\t'));
    expect(loadConfig(file, {}).clients).toHaveLength(1);
  });

  it('takes refresh and limits of a client first, key by key, then those of the top level', () => {
    const client = {
      ...GOOD,
      limits: { perTenant: '1/m' },
      refresh: { outageTarget: '1h' },
      expectLifetime: '10m',
      assumeLifetime: '2h',
    };
    const config = load(
      JSON.stringify({
        refresh: { latest: '60%' },
        limits: { perTenant: '2/s', perHost: '9/s' },
        clients: { billing: client },
      }),
    );
    expect(config.clients[0]).toMatchObject({
      limits: {
        perHost: { count: 9, windowMs: 1000 },
        perTenant: { count: 1, windowMs: 60_000 },
        identical: { count: 5, windowMs: 300_000 },
      },
      outageTargetMs: 3_600_000,
      latestShare: 0.6,
      expectLifetimeMs: 600_000,
      assumeLifetimeMs: 7_200_000,
    });
  });

  it('retires what is unread only where it says so, and not where a client never does', () => {
    const retires = (top: object, own: object): unknown =>
      load(JSON.stringify({ refresh: top, clients: { billing: { ...GOOD, refresh: own } } })).clients[0]
        ?.retireUnreadAfterMs;
    expect(retires({}, {})).toBeUndefined();
    expect(retires({ retireUnreadAfter: '3d' }, {})).toBe(259_200_000);
    expect(retires({ retireUnreadAfter: '3d' }, { retireUnreadAfter: '1h' })).toBe(3_600_000);
    expect(retires({ retireUnreadAfter: '3d' }, { retireUnreadAfter: 'never' })).toBeUndefined();
  });

  it('takes every relative path from the folder of the file', () => {
    write('tenants.txt', 'Contoso # ours\n\n# all of it\r\n  fabrikam\r\n');
    write('password', 'pass\n');
    write('ca.pem', 'PEM');
    const redis = {
      url: 'rediss://r:6380/1',
      username: 'u',
      password: { file: 'password' },
      tls: { ca: { file: 'ca.pem' } },
    };
    const client = {
      ...GOOD,
      tenants: { file: 'tenants.txt' },
      credentials: [{ secret: { file: 'a/s', method: 'client_secret_basic' } }],
    };
    const config = load(JSON.stringify({ redis, clients: { billing: client } }));
    expect(config.clients[0]?.tenants).toEqual(['contoso', 'fabrikam']);
    expect(config.clients[0]?.credentials).toMatchObject([
      { kind: 'secret', source: { file: join(folder, 'a/s') }, method: 'client_secret_basic' },
    ]);
    const files = ['evertoken.yaml', 'tenants.txt', 'ca.pem'].map((name) => join(folder, name));
    expect(config.files).toEqual(files);
    expect(config.redis).toMatchObject({ username: 'u', tls: { ca: 'PEM' } });
    expect(config.redis.password?.reveal()).toBe('pass');
    expect(inspect(config, { depth: 9 })).not.toMatch(/: 'pass'/);
  });

  it('lets REDIS_URL replace the whole of redis, password and all', () => {
    const redis = { url: 'redis://other', password: { env: 'UNSET_ONE' } };
    const config = load(withTop({ redis }), { REDIS_URL: 'redis://:pa55@r:1' });
    expect(config.redis.url.reveal()).toBe('redis://:pa55@r:1');
    expect(config.redis.password).toBeUndefined();
  });

  it.each([
    ['lower-cases tenants under authority', {}, { tenants: ['Contoso.COM'] }, ['contoso.com']],
    [
      'keeps tenants under tokenEndpoint as they are',
      STANDARD,
      { tokenEndpoint: 'https://i/{tenant}', tenants: ['A', 'a'] },
      ['A', 'a'],
    ],
    ['has the tenant - where the endpoint has none', STANDARD, {}, ['-']],
    ['may name that tenant', STANDARD, { tenants: ['-'] }, ['-']],
  ])('%s', (_, base, changes, tenants) => {
    expect(load(withClient(changes, { ...GOOD, ...base })).clients[0]?.tenants).toEqual(tenants);
  });

  it.each([
    ['https://LOGIN.microsoftonline.com/', { authority: 'https://login.microsoftonline.com' }],
    ['http://127.0.0.1:81', { authority: 'http://127.0.0.1:81' }],
  ])('writes the authority %s in one way', (authority, endpoint) => {
    expect(load(withClient({ authority })).clients[0]?.endpoint).toEqual(endpoint);
  });

  it.each(['http://localhost:1/t', 'http://[::1]:1/t', 'https://idp.example/a?x={tenant}'])(
    'takes the endpoint %s',
    (tokenEndpoint) => {
      const tenants = tokenEndpoint.includes('{') ? ['a'] : undefined;
      expect(load(withClient({ tokenEndpoint, tenants }, STANDARD)).clients[0]?.endpoint).toEqual({
        tokenEndpoint,
      });
    },
  );

  it('takes resources without scope, with parameters, and with a scope among them, where the endpoint is standard', () => {
    const resources = {
      a: {},
      b: { params: { audience: 'x', scope: 'r w' }, expectAudience: 'x' },
      c: { scope: 'r' },
      d: { resource: 'https://api.example/', audience: 'y', params: { z: '1' } },
    };
    expect(load(withClient({ resources }, STANDARD)).clients[0]?.resources).toMatchObject([
      { name: 'a', params: {}, expectAudience: undefined },
      { name: 'b', params: { audience: 'x', scope: 'r w' }, expectAudience: 'x' },
      { name: 'c', params: { scope: 'r' }, expectAudience: undefined },
      { name: 'd', params: { resource: 'https://api.example/', audience: 'y', z: '1' } },
    ]);
  });

  it.each([
    ['127.9.9.9:0', { host: '127.9.9.9', port: 0 }],
    ['[::1]:1', { host: '::1', port: 1 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
  ])('listens on %s', (listen, address) => {
    expect(load(withTop({ http: { listen, probes: '0.0.0.0:8643' } })).http).toEqual({
      listen: address,
      probes: { host: '0.0.0.0', port: 8643 },
    });
  });

  it('may have a hundred thousand tenants in a file', () => {
    write('t', Array.from({ length: 100_000 }, (_, index) => `tenant-${index}`).join('\n'));
    expect(load(withClient({ tenants: { file: 't' } })).clients[0]?.tenants).toHaveLength(100_000);
  });
});

describe('a configuration with a mistake', () => {
  it.each([
    ['no clients', '{}', 'clients: this is missing'],
    ['empty clients', '{ clients: {} }', 'clients: expected at least one client'],
    ['an empty file', '', 'the file is empty'],
    ['text in place of keys', 'hello', 'expected a mapping, but got text'],
    [
      'a client name',
      JSON.stringify({ clients: { Bad: GOOD } }),
      'clients.Bad: expected a name (lower-case letters',
    ],
    [
      'a namespace',
      withTop({ namespace: 'a_b' }),
      'namespace: expected a namespace (lower-case letters, digits and "-", at most 31',
    ],
    [
      'a resource name',
      withClient({ resources: { 'a b': GOOD.resources } }),
      'clients.billing.resources["a b"]',
    ],
    [
      'a resource name in upper case',
      withClient({ resources: { A: 'x/.default' } }),
      'clients.billing.resources.A: expected a name',
    ],
    [
      'a tenant',
      withClient({ tenants: ['a/b'] }),
      'clients.billing.tenants[0]: expected a tenant (letters, digits',
    ],
    [
      'a tenant that is a number',
      '{clients: {b: {tenants: [1], clientId: a, credentials: [{secret: {env: A}}], resources: {a: a}}}}',
      'clients.b.tenants[0]: expected text, but got a number: put it in quotes',
    ],
    [
      'the tenant common',
      withClient({ tenants: ['Common'] }),
      'clients.billing.tenants[0]: "common" stands for many tenants',
    ],
    [
      'the tenant organizations',
      withClient({ tenants: ['organizations'] }),
      '"organizations" stands for many',
    ],
    ['the tenant consumers', withClient({ tenants: ['consumers'] }), '"consumers" stands for many'],
    ['the tenant - under authority', withClient({ tenants: ['-'] }), '"-" means no tenant'],
    [
      'a tenant twice',
      withClient({ tenants: ['a', 'a'] }),
      'clients.billing.tenants[1]: tenant "a" is listed twice, which makes two targets with one id',
    ],
    [
      'a tenant twice but for its case',
      withClient({ tenants: ['a', 'A'] }),
      'two targets with one id; under authority upper and lower case are the same',
    ],
    ['no tenants under authority', withClient({ tenants: undefined }), 'clients.billing: tenants is missing'],
    [
      'no tenants with {tenant}',
      withClient({ tokenEndpoint: 'https://i/{tenant}' }, STANDARD),
      'tenants is missing',
    ],
    [
      'tenants without {tenant}',
      withClient({ tenants: ['a'] }, STANDARD),
      'tokenEndpoint has no {tenant}: leave tenants out',
    ],
    ['empty tenants', withClient({ tenants: [] }), 'clients.billing.tenants: expected at least one tenant'],
    [
      'a missing file of tenants',
      withClient({ tenants: { file: 'no' } }),
      'clients.billing.tenants.file: the file of tenants does not exist',
    ],
    [
      'empty resources',
      withClient({ resources: {} }),
      'clients.billing.resources: expected at least one resource',
    ],
    [
      'empty credentials',
      withClient({ credentials: [] }),
      'clients.billing.credentials: expected at least one credential',
    ],
    [
      'neither authority nor tokenEndpoint',
      withClient({ authority: undefined }),
      'clients.billing: expected exactly one of authority (Entra), preset and tokenEndpoint (any other), but got none',
    ],
    [
      'both authority and tokenEndpoint',
      withClient({ tokenEndpoint: 'https://i/t' }),
      'but got authority and tokenEndpoint',
    ],
    [
      'an authority with a path',
      withClient({ authority: 'https://l/common' }),
      'clients.billing.authority: expected an origin only',
    ],
    [
      'an endpoint without https',
      withClient({ tokenEndpoint: 'http://i/t' }, STANDARD),
      'clients.billing.tokenEndpoint: expected https',
    ],
    ['an endpoint that is no URL', withClient({ tokenEndpoint: 'idp' }, STANDARD), 'expected a URL, such as'],
    [
      'an endpoint with a fragment',
      withClient({ tokenEndpoint: 'https://i/t#' }, STANDARD),
      'expected a URL without a fragment',
    ],
    [
      'an unknown placeholder',
      withClient({ tokenEndpoint: 'https://i/{Tenant}' }, STANDARD),
      'no placeholder other than {tenant}',
    ],
    [
      'a tenant in the host',
      withClient({ tokenEndpoint: 'https://{tenant}.i/t', tenants: ['a'] }, STANDARD),
      'not in the host',
    ],
    [
      'no scope under authority',
      withClient({ resources: { g: {} } }),
      'clients.billing.resources.g: scope is missing',
    ],
    [
      'a scope without /.default',
      withClient({ resources: { g: 'https://graph/Mail.Read' } }),
      'clients.billing.resources.g: expected one scope that ends in /.default: client credentials need /.default',
    ],
    [
      'two scopes under authority',
      withClient({ resources: { g: { scope: 'a/.default b/.default' } } }),
      'clients.billing.resources.g.scope: expected one scope',
    ],
    [
      'such a scope among the parameters',
      withClient({ resources: { g: { params: { scope: 'a' } } } }),
      'clients.billing.resources.g.params.scope: expected one scope',
    ],
    ['an empty scope', withClient({ resources: { g: '' } }, STANDARD), 'expected a scope: words'],
    [
      'a scope with a line break',
      withClient({ resources: { g: { params: { scope: 'a\nb' } } } }, STANDARD),
      'expected a scope: words',
    ],
    [
      'an audience that is given twice',
      withClient({ resources: { g: { audience: 'a', params: { audience: 'b' } } } }, STANDARD),
      'resources.g.params.audience: audience is given twice: here and beside params',
    ],
    [
      'claims that are given twice',
      withClient({ resources: { g: { claims: { a: 1 }, params: { claims: '{}' } } } }, STANDARD),
      'resources.g.params.claims: claims is given twice',
    ],
    [
      'a resource indicator that is no URI',
      withClient({ resources: { g: { resource: 'api' } } }, STANDARD),
      'resources.g.resource: expected an absolute URI without a fragment',
    ],
    [
      'claims that are too long to be sent',
      withClient({ resources: { g: { claims: { a: 'x'.repeat(5000) } } } }, STANDARD),
      'resources.g.claims: expected at most 4,096 characters of JSON',
    ],
    ['no client id', withClient({ clientId: undefined }), 'clients.billing: clientId is missing'],
    [
      'a time after which the unread is left alone that is too long',
      withTop({ refresh: { retireUnreadAfter: '91d' } }),
      'refresh.retireUnreadAfter: expected a duration from 1s to 90d or never, such as 20m, but got "91d"',
    ],
    [
      'a share as a fraction',
      withTop({ refresh: { latest: '0.8' } }),
      'refresh.latest: expected a share from 50% to 95%, such as 75%, but got "0.8"',
    ],
    [
      'a share out of bounds',
      withClient({ refresh: { latest: '99%' } }),
      'clients.billing.refresh.latest: expected a share from 50% to 95%',
    ],
    [
      'an assumed lifetime out of bounds',
      withClient({ assumeLifetime: '30s' }),
      'clients.billing.assumeLifetime: expected a duration from 1m to 30d',
    ],
    [
      'a capability where the server is not Entra',
      withClient({ capabilities: ['cp1'] }, STANDARD),
      'clients.billing.capabilities: capabilities are for Entra only',
    ],
    [
      'authorities that are not there',
      withClient({ ca: { file: 'no.pem' } }),
      'clients.billing.ca.file: the file named here does not exist',
    ],
    [
      'a scope that is given twice',
      withClient({ resources: { g: { scope: 'a', params: { scope: 'b' } } } }, STANDARD),
      'resources.g.params.scope: scope is given twice',
    ],
    ...['grant_type', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type'].map(
      (key) => [
        `the parameter ${key}`,
        withClient({ resources: { g: { params: { [key]: 'x' } } } }, STANDARD),
        `clients.billing.resources.g.params.${key}: the request has this parameter already`,
      ],
    ),
    [
      'two resources with one request',
      withClient({ resources: { a: 'x', b: { scope: 'x' } } }, STANDARD),
      'clients.billing.resources.b: billing/-/b would send the same request as billing/-/a',
    ],
    [
      'a duration',
      withTop({ refresh: { outageTarget: '20 minutes' } }),
      'refresh.outageTarget: expected a duration from 1s to 7d, such as 20m, but got "20 minutes"',
    ],
    [
      'a duration out of bounds',
      withClient({ refresh: { outageTarget: '8d' } }),
      'clients.billing.refresh.outageTarget: expected a duration from 1s to 7d',
    ],
    ['a rate', withTop({ limits: { perHost: 'fast' } }), 'limits.perHost: expected a rate as count/duration'],
    [
      'a rate of 0',
      withTop({ limits: { perHost: '0/s' } }),
      'limits.perHost: expected a rate as count/duration, such as 50/s or 5/5m, with a count from 1 to 10000 and at most 1h, but got "0/s"',
    ],
    [
      'a rate in no time',
      withTop({ limits: { identical: '5/0s' } }),
      'limits.identical: expected a rate as count/duration, such as 50/s or 5/5m, with a count from 2 to 100 and at most 1h, but got "5/0s"',
    ],
    [
      'an outage of no length',
      withTop({ refresh: { outageTarget: '0s' } }),
      'refresh.outageTarget: expected a duration',
    ],
    [
      'an identical limit of one, which leaves none to plan with',
      withTop({ limits: { identical: '1/m' } }),
      'a count from 2 to 100',
    ],
    [
      'a rate that is a number',
      withTop({ limits: { perHost: 5 } }),
      'limits.perHost: expected text, but got a number',
    ],
    [
      'a listener beyond loopback',
      withTop({ http: { listen: '0.0.0.0:1' } }),
      'http.listen: expected a loopback address (127.0.0.0/8, ::1 or localhost) but got "0.0.0.0:1": there is no authentication yet; for probes and metrics use http.probes',
    ],
    [
      'a listener on a name that begins with 127.',
      withTop({ http: { listen: '127.example.com:1' } }),
      'expected a loopback address',
    ],
    [
      'a listener without a port',
      withTop({ http: { listen: '127.0.0.1' } }),
      'http.listen: expected host:port',
    ],
    [
      'a port that is too high',
      withTop({ http: { probes: '0.0.0.0:65536' } }),
      'http.probes: expected host:port',
    ],
    ['another protocol than Redis', withTop({ redis: 'http://h' }), 'redis: expected redis://host:port/db'],
    [
      'a Redis database that is no number',
      withTop({ redis: 'redis://h/abc' }),
      'redis: expected redis://host:port/db',
    ],
    [
      'options in the URL of Redis',
      withTop({ redis: 'redis://h?password=x' }),
      'redis: expected redis://host:port/db',
    ],
    ['a number for redis', withTop({ redis: 5 }), 'redis: expected text or a mapping, but got a number'],
    [
      'Sentinel',
      withTop({ redis: { sentinels: [] } }),
      'redis.sentinels: this version cannot use Redis Sentinel yet; use url',
    ],
    ['nothing behind a key', withTop({ http: null }), 'http: expected a mapping, but got nothing'],
  ] as [string, string, string][])('says so: %s', (_, content, expected) => {
    expect(failure(content)?.code).toBe('CONFIG_INVALID');
    expect(unplaced(problems(content)).filter((line) => line.includes(expected))).toHaveLength(1);
  });

  it.each(['htpp', 'http'] as const)('suggests a key at the top level: %s', (key) => {
    const lines = problems(withTop({ [key]: {} }));
    expect(lines).toEqual(
      key === 'http' ? [] : ['evertoken.yaml:1:2 htpp: unknown key; did you mean "http"?'],
    );
  });

  it('lists the keys that are known where none is near', () => {
    expect(problems(withTop({ refresh: { every: '1m' } }))).toEqual([
      'evertoken.yaml:1:13 refresh.every: unknown key; expected outageTarget, latest, retireUnreadAfter',
    ]);
  });

  it('says in which line of a file of tenants something is wrong, without showing the line', () => {
    write('t', 'ok\nnot ok\ncommon\nOK # again\n');
    expect(problems(withClient({ tenants: { file: 't' } }))).toEqual([
      expect.stringMatching(/^t:2 clients\.billing\.tenants: this line is no tenant: expected letters/),
      expect.stringMatching(/^t:3 clients\.billing\.tenants: "common" stands for many/),
      expect.stringMatching(/^t:4 clients\.billing\.tenants: tenant "OK" is listed twice/),
    ]);
  });

  it('refuses a file of tenants that holds none', () => {
    write('t', '# none\n\n');
    expect(problems(withClient({ tenants: { file: 't' } }))).toEqual([
      't clients.billing.tenants: expected at least one tenant, one a line',
    ]);
  });

  it('refuses a REDIS_URL that is none, without showing it', () => {
    expect(problems(withClient({}), { REDIS_URL: 'hunter2' })).toEqual([
      'REDIS_URL: expected redis://host:port/db or rediss://host:port/db',
    ]);
  });

  it('cuts a message that would be endless', () => {
    const tenants = Array.from({ length: 1000 }, () => 'common');
    const lines = problems(withClient({ tenants }));
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toBe('and 900 more');
  });
});

describe('the places of mistakes', () => {
  it('are all reported in one run, in the order of the file, with line and column', () => {
    const content = `namespace: BAD
http:
  listen: 0.0.0.0:8642
clients:
  # the typing mistake is in line 9
  billing:
    clientId: x
    authority: https://login.microsoftonline.com
    tennants: [a]
    credentials:
      - secret: { env: A_B }
      - { secret: { fiel: x } }
    resources: {}
  payroll:
    clientId: x
    authority: https://login.microsoftonline.com
    credentials: [{ secret: { env: A_B } }]
    tenants:
      - contoso
      - common
    resources:
      graph: Mail.Read
`;
    expect(
      problems(content).map((line) =>
        line
          .replace(/: .*?; did/, ': did')
          .slice(0, 60)
          .trim(),
      ),
    ).toEqual([
      expect.stringMatching(/^evertoken.yaml:1:12 namespace: /),
      expect.stringMatching(/^evertoken.yaml:3:11 http.listen: /),
      'evertoken.yaml:9:5 clients.billing.tennants: did you mean "t',
      expect.stringMatching(/^evertoken.yaml:12:21 clients.billing.credentials\[1\]/),
      expect.stringMatching(/^evertoken.yaml:13:5 clients.billing.resources: /),
      expect.stringMatching(/^evertoken.yaml:20:9 clients.payroll.tenants\[1\]: /),
      expect.stringMatching(/^evertoken.yaml:22:14 clients.payroll.resources.graph/),
    ]);
  });

  it('are found through an alias', () => {
    expect(problems('http: &h { listne: 1 }\nclients: {}\nrefresh: *h\n')).toContain(
      'evertoken.yaml:1:12 refresh.listne: unknown key; expected outageTarget, latest, retireUnreadAfter',
    );
  });

  it.each([
    [
      'a key that stands twice',
      'namespace: a\nclients: {}\nnamespace: b\n',
      '3:1: this key stands here for the second time',
    ],
    ['a tab', 'clients:\n\tb: 1\n', '2:1: a tab indents here'],
    ['an open quote', 'clients: "x\n', ': a character is missing here'],
    ['a second document', 'clients: {}\n---\nx: 1\n', '2:1: a second document begins here'],
    ['an unknown alias', 'clients: *hunter2\n', '1:10: no anchor of this name comes before'],
    ['a tag', 'clients: !hunter2 x\n', '1:10: tags cannot be used'],
    ['a bad escape', 'clients: "\\hunter2"\n', '1:11: this escape is unknown'],
    ['an alias of what it is in', 'clients: &a { b: *a, c: &b { d: *b } }\n', '1:'],
  ])('are given for broken YAML: %s', (_, content, expected) => {
    const error = failure(content);
    expect(error?.code).toBe('CONFIG_INVALID');
    expect(error?.message).toContain(expected);
    expect(error?.message).not.toContain('hunter2');
  });
});

describe('a secret in the wrong place', () => {
  const credential = (value: unknown): string => withClient({ credentials: [value] });

  it.each([
    [
      'as the secret',
      credential({ secret: 'hunter2' }),
      'secrets come only by reference: { env: NAME }, { file: path } or { keyVault: URL }',
    ],
    ['as the credential', credential('hunter2'), 'secrets come only by reference'],
    ['as all credentials', withClient({ credentials: 'hunter2' }), 'expected a list, but got text'],
    [
      'as a key',
      `clients: { b: { credentials: [{ secret: { hunter2 } }] } }`,
      'clients.b.credentials[0].secret: unknown key; expected env, file, keyVault, method, expires',
    ],
    ['beside a reference', credential({ secret: { env: 'A', value: 'hunter2' } }), 'unknown key'],
    [
      'as the name of a variable',
      credential({ secret: { env: 'hunter-2-hunter2' } }),
      'never a secret itself',
    ],
    [
      'as the method',
      credential({ secret: { env: 'A', method: 'hunter2' } }),
      'expected client_secret_post, client_secret_basic or client_secret_jwt',
    ],
    [
      'in two references',
      credential({ secret: { env: 'hunter2', file: 'hunter2' } }),
      'exactly one of env, file and keyVault',
    ],
    ['as a passphrase', credential({ certificate: { file: 'c', passphrase: 'hunter2' } }), 'by reference'],
    [
      'as the URL of a vault',
      credential({ privateKey: { keyVault: 'https://hunter2' } }),
      'expected https://<vault>.vault.azure.net/secrets/<name>',
    ],
    [
      'as the life of an assertion',
      credential({ privateKey: { file: 'k', lifetime: 'hunter2' } }),
      'expected a duration from 1m to 1h, such as 10m',
    ],
    [
      'as the day on which a secret ends',
      credential({ secret: { env: 'A', expires: 'hunter2' } }),
      'expected a date, such as 2027-01-31',
    ],
    ['as a key of the client', withClient({ clientSecret: 'hunter2' }), 'a secret goes under credentials'],
    [
      'among the parameters',
      withClient({ resources: { g: { params: { client_secret: 'hunter2' } } } }),
      'already',
    ],
    [
      'as the password of Redis',
      withTop({ redis: { url: 'redis://h', password: 'hunter2' } }),
      'redis.password: secrets come only by reference',
    ],
    ['as a key of Redis', withTop({ redis: { url: 'redis://h', hunter2: 1 } }), 'redis: unknown key'],
    ['in the URL of Redis', withTop({ redis: 'redis://:hunter2@h' }), 'expected a URL without a password'],
    [
      'in the URL inside redis',
      withTop({ redis: { url: 'redis://u:hunter2@h' } }),
      'redis.url: expected a URL without a password',
    ],
    ['in a broken URL of Redis', withTop({ redis: 'redis//:hunter2@h' }), 'expected redis://'],
    [
      'in the URL of an endpoint',
      withClient({ authority: 'https://u:hunter2@h' }),
      'expected a URL without credentials',
    ],
  ])('is refused and never shown: %s', (_, content, expected) => {
    const error = failure(content, {}, { checkCredentials: 'each' });
    expect(error?.message).toContain(expected);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
  });
});

describe('the check of credentials', () => {
  const credentials = [
    { secret: { env: 'OLD_SECRET' } },
    { secret: { env: 'NEW_SECRET' } },
    { secret: { file: 's' } },
  ];
  const content = `clients:\n  billing: ${JSON.stringify({ ...GOOD, credentials })}\n`;

  it('is not part of loading, for commands that need no credentials', () => {
    expect(problems(content)).toEqual([]);
  });

  it('finds nothing where every secret can be read', () => {
    write('s', 'x');
    const env = { OLD_SECRET: 'x', NEW_SECRET: 'x' };
    expect(problems(content, env, { checkCredentials: 'each' })).toEqual([]);
  });

  it('gives the place of each that cannot be read, as CREDENTIAL_UNREADABLE where nothing else is wrong', () => {
    expect(failure(content, {}, { checkCredentials: 'each' })?.code).toBe('CREDENTIAL_UNREADABLE');
    const places = /^evertoken\.yaml:2:(\d+) clients\.billing\.credentials\[(\d)\]\.secret\.(.*)$/;
    const found = problems(content, { NEW_SECRET: '' }, { checkCredentials: 'each' }).map(
      (line) => places.exec(line) ?? [],
    );
    expect(found.map(([, , index, text]) => `${index} ${text}`)).toEqual([
      expect.stringMatching(/^0 env: .*OLD_SECRET is not set: set it/),
      expect.stringMatching(/^1 env: .*NEW_SECRET is empty: set it/),
      expect.stringMatching(/^2 file: .*file named here does not exist: put the secret there/),
    ]);
    expect(Number(found[0]?.[1])).toBeLessThan(Number(found[1]?.[1]));
  });

  it('is satisfied with one of each client where a daemon starts', () => {
    expect(problems(content, { NEW_SECRET: 'x' }, { checkCredentials: 'enough' })).toEqual([]);
    expect(problems(content, {}, { checkCredentials: 'enough' })).toHaveLength(3);
  });

  it('refuses a password of Redis that cannot be read, always', () => {
    const error = failure(withTop({ redis: { url: 'redis://h', password: { env: 'REDIS_PASSWORD' } } }));
    expect(error?.code).toBe('CREDENTIAL_UNREADABLE');
    expect(error?.message).toMatch(
      /redis\.password\.env: the environment variable REDIS_PASSWORD is not set: set it/,
    );
  });
});

describe('the file', () => {
  it.each([
    ['what -c says', { flag: 'a', EVERTOKEN_CONFIG: 'b' }, ['a', 'b', 'evertoken.yaml'], 'a'],
    ['else EVERTOKEN_CONFIG', { EVERTOKEN_CONFIG: 'b' }, ['b', 'evertoken.yaml'], 'b'],
    ['else evertoken.yaml', { EVERTOKEN_CONFIG: '' }, ['evertoken.yaml', 'evertoken.json'], 'evertoken.yaml'],
    ['else evertoken.json', {}, ['evertoken.json'], 'evertoken.json'],
  ])('is %s', (_, { flag, ...env }: { flag?: string; EVERTOKEN_CONFIG?: string }, files, expected) => {
    for (const file of files) write(file, '');
    expect(findConfigFile({ flag, env, folder })).toBe(expected);
  });

  it.each([
    [{ flag: 'a' }, 'a (from -c) does not exist'],
    [{ EVERTOKEN_CONFIG: 'b' }, 'b (from EVERTOKEN_CONFIG) does not exist'],
    [{}, 'evertoken.yaml or evertoken.json (in this folder) does not exist'],
  ])(
    'is CONFIG_NOT_FOUND where there is none: %o',
    ({ flag, ...env }: { flag?: string; EVERTOKEN_CONFIG?: string }, message) => {
      write('evertoken.yml', '');
      if (flag ?? env.EVERTOKEN_CONFIG) write('evertoken.yaml', '');
      const find = () => findConfigFile({ flag, env, folder });
      expect(find).toThrow(expect.objectContaining({ code: 'CONFIG_NOT_FOUND' }));
      expect(find).toThrow(message);
    },
  );

  it('is CONFIG_NOT_FOUND when it has gone', () => {
    expect(() => loadConfig(join(folder, 'gone'), {})).toThrow(
      expect.objectContaining({ code: 'CONFIG_NOT_FOUND' }),
    );
  });

  it('is CONFIG_UNREADABLE when it is a folder', () => {
    mkdirSync(join(folder, 'f'));
    expect(() => loadConfig(join(folder, 'f'), {})).toThrow(
      expect.objectContaining({ code: 'CONFIG_UNREADABLE' }),
    );
  });
});
