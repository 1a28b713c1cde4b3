import { describe, expect, it } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import { findIdenticalRequests } from '../../src/config/identical.ts';
import { tokenUrl } from '../../src/config/wire.ts';
import type { Client, Credential, Grant, Resource } from '../../src/core/client.ts';

const GRAPH: Resource = {
  name: 'graph',
  params: { scope: 'https://graph/.default' },
  claims: undefined,
  expectAudience: undefined,
};
const API: Resource = {
  name: 'api',
  params: { audience: 'x', scope: 'a' },
  claims: undefined,
  expectAudience: 'x',
};
const MANAGED_IDENTITY: Credential = {
  kind: 'federated',
  source: { managedIdentity: { clientId: undefined, audience: 'api://x' } },
};

function client(changes: Partial<Client> = {}): Client {
  return {
    name: 'billing',
    clientId: 'id-1',
    endpoint: { authority: 'https://login.microsoftonline.com' },
    grant: { kind: 'client_credentials' },
    credentials: [MANAGED_IDENTITY],
    ca: undefined,
    tenants: ['contoso', 'fabrikam'],
    resources: [GRAPH],
    limits: {
      perHost: { count: 50, windowMs: 1000 },
      perTenant: { count: 5, windowMs: 1000 },
      identical: { count: 5, windowMs: 300_000 },
    },
    outageTargetMs: 1_200_000,
    latestShare: 0.75,
    expectLifetimeMs: 3_600_000,
    assumeLifetimeMs: undefined,
    ...changes,
  };
}

const BEARER: Grant = { kind: 'jwt_bearer', subject: 'jo', scopeInAssertion: false };

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `tenant-${index}`);

describe('a target of the catalogue', () => {
  it('has all that its request and its policy need', () => {
    const own = client();
    expect(new Catalogue([own]).get('billing/contoso/graph')).toEqual({
      id: 'billing/contoso/graph',
      client: own,
      tenant: 'contoso',
      resource: GRAPH,
      tokenUrl: 'https://login.microsoftonline.com/contoso/oauth2/v2.0/token',
      host: 'login.microsoftonline.com',
      tenantScope: 'billing/contoso',
      fingerprint: expect.stringMatching(/^[\w-]{8}$/),
      outageTargetMs: 1_200_000,
      latestShare: 0.75,
      identical: { count: 5, windowMs: 300_000 },
    });
  });

  it.each([
    [
      'http://127.0.0.1:9000/{tenant}/token?t={tenant}',
      'Acme',
      'http://127.0.0.1:9000/Acme/token?t=Acme',
      '127.0.0.1:9000',
    ],
    ['https://idp.example/token', '-', 'https://idp.example/token', 'idp.example'],
  ])('gets its URL from %s', (tokenEndpoint, tenant, tokenUrl, host) => {
    const catalogue = new Catalogue([client({ endpoint: { tokenEndpoint }, tenants: [tenant] })]);
    const [id = ''] = catalogue.ids();
    expect(catalogue.get(id)).toMatchObject({ tokenUrl, host });
  });

  it('has its tenant percent-encoded in the URL', () => {
    expect(tokenUrl({ tokenEndpoint: 'https://idp.example/{tenant}' }, 'a/b $&')).toBe(
      'https://idp.example/a%2Fb%20%24%26',
    );
  });

  it('is made once', () => {
    const catalogue = new Catalogue([client()]);
    expect(catalogue.get('billing/contoso/graph')).toBe(catalogue.get('billing/contoso/graph'));
  });

  it.each([
    'billing/nobody/graph',
    'nobody/contoso/graph',
    'billing/contoso/nothing',
    'billing/contoso',
    '',
    'billing/contoso/graph/x',
  ])('is not there for the id "%s"', (id) => expect(new Catalogue([client()]).get(id)).toBeUndefined());
});

describe('a fingerprint', () => {
  const of = (changes: Partial<Client>): string | undefined => {
    const catalogue = new Catalogue([client(changes)]);
    const [id = ''] = catalogue.ids();
    return catalogue.get(id)?.fingerprint;
  };

  it('does not depend on the order of parameters, the names, the credentials or the limits', () => {
    const reordered = { ...API, name: 'other', params: { scope: 'a', audience: 'x' } };
    expect(of({ resources: [API] })).toBe(
      of({ name: 'b', resources: [reordered], credentials: [], outageTargetMs: 1 }),
    );
  });

  it.each([
    ['client id', { clientId: 'id-2' }],
    ['tenant', { tenants: ['other'] }],
    ['parameters', { resources: [{ ...GRAPH, params: { scope: 'b' } }] }],
    ['claims', { resources: [{ ...GRAPH, claims: { a: 1 } }] }],
    ['grant', { grant: BEARER }],
    ['endpoint', { endpoint: { tokenEndpoint: 'https://idp.example/token' } }],
  ] satisfies [string, Partial<Client>][])('depends on the %s', (_, changes) => {
    expect(of(changes)).not.toBe(of({}));
  });
});

describe('a fingerprint of requests with claims or with a subject', () => {
  const of = (changes: Partial<Client>): string | undefined =>
    new Catalogue([client({ ...changes, tenants: ['a'] })]).get('billing/a/graph')?.fingerprint;
  const claiming = (claims: Resource['claims']) => of({ resources: [{ ...GRAPH, claims }] });

  it('is the same whatever the order of the keys, and another for other values', () => {
    expect(claiming({ a: { x: 1, y: [1, 2] }, b: 2 })).toBe(claiming({ b: 2, a: { y: [1, 2], x: 1 } }));
    expect(claiming({ a: [1, 2] })).not.toBe(claiming({ a: [2, 1] }));
    expect(claiming({ a: [['b', 1]] })).not.toBe(claiming({ a: { b: 1 } }));
  });

  it('is another for another subject', () => {
    expect(of({ grant: BEARER })).not.toBe(of({ grant: { ...BEARER, subject: 'ann' } }));
    expect(of({ grant: BEARER })).not.toBe(of({ grant: { ...BEARER, subject: undefined } }));
  });

  it('is what it was before there were any, where there are none', () => {
    expect(of({})).toBe('uQ1-8REr');
  });
});

describe('the ids of a catalogue', () => {
  it('are every client, tenant and resource: clients in turn, and every tenant before any has its second', () => {
    const catalogue = new Catalogue([
      client({ resources: [GRAPH, API] }),
      client({ name: 'b', tenants: ['x', 'y', 'z'] }),
    ]);
    expect([...catalogue.ids()]).toEqual([
      'billing/contoso/graph',
      'b/x/graph',
      'billing/fabrikam/graph',
      'b/y/graph',
      'billing/contoso/api',
      'b/z/graph',
      'billing/fabrikam/api',
    ]);
    expect([...catalogue.ids('b')]).toEqual(['b/x/graph', 'b/y/graph', 'b/z/graph']);
    expect([...catalogue.ids('none')]).toEqual([]);
    expect(catalogue.size).toBe(7);
  });

  it('follow what operators added and removed, written in any case under authority', () => {
    const overrides = new Map([
      ['billing/NEW', 'add'],
      ['billing/Contoso', 'remove'],
    ] as const);
    const catalogue = new Catalogue([client()], overrides);
    expect([...catalogue.ids()]).toEqual(['billing/fabrikam/graph', 'billing/new/graph']);
    expect(catalogue.size).toBe(2);
    expect(catalogue.get('billing/contoso/graph')).toBeUndefined();
    expect(catalogue.get('billing/new/graph')?.tokenUrl).toContain('/new/');
  });

  it.each(['nobody/x', 'billing/common', 'billing/-', 'billing/a b', 'billing/'])(
    'are not changed by adding %s, which cannot be',
    (scope) => {
      expect(new Catalogue([client()], new Map([[scope, 'add']])).size).toBe(2);
    },
  );

  it('are right for a hundred thousand targets', () => {
    const catalogue = new Catalogue([client({ tenants: many(50_000), resources: [GRAPH, API] })]);
    const ids = [...catalogue.ids()];
    expect(new Set(ids).size).toBe(100_000);
    expect(catalogue.size).toBe(100_000);
    const fingerprints = new Set(ids.map((id) => catalogue.get(id)?.fingerprint));
    expect(fingerprints.size).toBe(100_000);
  });
});

describe('the hosts of a catalogue', () => {
  it('have the lowest rate of the clients that share them', () => {
    const perHost = (count: number, windowMs: number) => ({
      limits: { ...client().limits, perHost: { count, windowMs } },
    });
    const catalogue = new Catalogue([
      client(perHost(50, 1000)),
      client({ name: 'b', ...perHost(100, 60_000) }),
      client({ name: 'c', ...perHost(40, 1000) }),
      client({ name: 'd', endpoint: { tokenEndpoint: 'http://localhost:81/t' }, tenants: ['-'] }),
    ]);
    expect(catalogue.hosts()).toEqual(
      new Map([
        ['login.microsoftonline.com', { perHost: { count: 100, windowMs: 60_000 } }],
        ['localhost:81', { perHost: { count: 50, windowMs: 1000 } }],
      ]),
    );
  });
});

describe('the plan of a catalogue', () => {
  const steady = (lifeMs: number) => ({ shortestMs: lifeMs, meanMs: lifeMs, longestMs: lifeMs });
  const crowded = (changes: Partial<Client> = {}): Client =>
    client({
      tenants: many(20_000),
      limits: { ...client().limits, perHost: { count: 14, windowMs: 1000 } },
      outageTargetMs: 1_500_000,
      ...changes,
    });

  it('goes by the expected lives until some were seen, then by those', () => {
    const catalogue = new Catalogue([client()]);
    const planned = (lives?: Parameters<Catalogue['replan']>[0]) => catalogue.replan(lives)[0]?.clients[0];
    expect(planned()).toMatchObject({ isSeen: false, life: steady(3_600_000), holdsMs: 1_200_000 });
    const lives = new Map([['billing', steady(600_000)]]);
    expect(planned(lives)).toMatchObject({ isSeen: true, life: steady(600_000), obstacle: 'life' });
  });

  it('is what targets go by, also those that were made before', () => {
    const catalogue = new Catalogue([crowded()]);
    const target = catalogue.get('billing/tenant-0/graph');
    const [plan] = catalogue.replan();
    expect(plan?.clients[0]?.plannedOutageMs).toBeLessThan(1_400_000);
    expect(target?.outageTargetMs).toBe(plan?.clients[0]?.plannedOutageMs);
    catalogue.replan(new Map([['billing', steady(7_200_000)]]));
    expect(target?.outageTargetMs).toBe(1_500_000);
    expect(catalogue.get('billing/tenant-0/graph')).toBe(target);
  });

  it('is there from the first moment', () => {
    expect(new Catalogue([crowded()]).get('billing/tenant-0/graph')?.outageTargetMs).toBeLessThan(1_400_000);
  });

  it('counts what operators added, and goes by the limit that the fleet has', () => {
    const added = new Map(many(10_000).map((tenant) => [`billing/${tenant}-x`, 'add' as const]));
    const catalogue = new Catalogue([crowded()], added);
    expect(catalogue.replan()[0]).toMatchObject({ targets: 30_000, limitPerSecond: 14 });
    const limitOf = (host: string) =>
      host === 'login.microsoftonline.com' ? { count: 100, windowMs: 1000 } : undefined;
    expect(catalogue.replan(new Map(), limitOf)[0]).toMatchObject({ limitPerSecond: 100, fits: true });
    expect(catalogue.get('billing/tenant-0/graph')?.outageTargetMs).toBe(1_500_000);
  });

  it('is made for each host of its own', () => {
    const far = client({ name: 'far', endpoint: { authority: 'https://login.microsoftonline.us' } });
    const plans = new Catalogue([crowded(), far, client({ name: 'near' })]).replan();
    expect(plans.map(({ host, clients }) => [host, clients.map((one) => one.client)])).toEqual([
      ['login.microsoftonline.com', ['billing', 'near']],
      ['login.microsoftonline.us', ['far']],
    ]);
    expect(plans[1]?.clients[0]?.obstacle).toBeUndefined();
  });

  it('does not change the hash', () => {
    const catalogue = new Catalogue([crowded()]);
    const before = catalogue.hash;
    catalogue.replan(new Map([['billing', steady(600_000)]]));
    expect(catalogue.hash).toBe(before);
    const other = new Catalogue([crowded()]);
    other.replan(new Map([['billing', steady(600_000)]]));
    expect(other.hash).toBe(before);
  });
});

describe('the hash of a catalogue', () => {
  const hash = (...changes: Partial<Client>[]): string => new Catalogue(changes.map(client)).hash;

  it('is 16 hexadecimal characters', () => {
    expect(hash({})).toMatch(/^[0-9a-f]{16}$/);
  });

  it('is the same in whatever order the same targets are written', () => {
    const other = { name: 'b' };
    expect(hash({ tenants: ['a', 'b'], resources: [GRAPH, API] }, other)).toBe(
      hash(other, { tenants: ['b', 'a'], resources: [API, GRAPH] }),
    );
  });

  it('does not depend on credentials', () => {
    expect(hash({ credentials: [] })).toBe(hash({}));
  });

  it.each([
    ['name', { name: 'b' }],
    ['client id', { clientId: 'id-2' }],
    ['endpoint', { endpoint: { tokenEndpoint: 'https://login.microsoftonline.com' } }],
    ['tenants', { tenants: ['contoso'] }],
    ['resources', { resources: [API] }],
    ['expected audience', { resources: [{ ...GRAPH, expectAudience: 'y' }] }],
    ['limits', { limits: { ...client().limits, perTenant: { count: 4, windowMs: 1000 } } }],
    ['outage target', { outageTargetMs: 1 }],
    ['latest moment', { latestShare: 0.9 }],
    ['moment from which the unread is left alone', { retireUnreadAfterMs: 1 }],
    ['assumed lifetime', { assumeLifetimeMs: 1 }],
    ['claims', { resources: [{ ...GRAPH, claims: { a: 1 } }] }],
    ['grant', { grant: BEARER }],
    ['expected lifetime', { expectLifetimeMs: 1 }],
  ] satisfies [string, Partial<Client>][])('depends on the %s', (_, changes) => {
    expect(hash(changes)).not.toBe(hash({}));
  });

  it('depends on what operators added', () => {
    expect(new Catalogue([client()], new Map([['billing/x', 'add']])).hash).not.toBe(hash({}));
  });
});

describe('targets that would send the same request', () => {
  it('are found between clients, where endpoint, id, tenant and parameters agree', () => {
    const twin = client({
      name: 'payroll',
      endpoint: { tokenEndpoint: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token' },
      tenants: ['fabrikam', 'contoso', 'other'],
      resources: [API, { ...GRAPH, name: 'g' }],
    });
    expect(findIdenticalRequests([client(), twin])).toEqual([
      {
        path: ['clients', 'payroll', 'resources', 'g'],
        message: expect.stringMatching(
          /^payroll\/fabrikam\/g would send the same request as billing\/fabrikam\/graph \(and 1 more such pairs\)/,
        ),
      },
    ]);
  });

  it('are found among the resources of one client, once for each pair', () => {
    const resources = [GRAPH, { ...GRAPH, name: 'again' }];
    expect(findIdenticalRequests([client({ resources, tenants: many(50_000) })])).toHaveLength(1);
  });

  it.each([
    ['another client id', { clientId: 'id-2' }],
    ['other tenants', { tenants: ['other'] }],
    ['other parameters', { resources: [API] }],
    ['another host', { endpoint: { authority: 'https://login.microsoftonline.us' } }],
  ] satisfies [string, Partial<Client>][])('are not those with %s', (_, changes) => {
    expect(findIdenticalRequests([client(), client({ name: 'b', ...changes })])).toEqual([]);
  });
});
