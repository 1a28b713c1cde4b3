import { describe, expect, it, test } from 'vitest';
import { everKnown, type Held, holdRemovals } from '../../src/config/held.ts';
import type { Client } from '../../src/core/client.ts';

interface Written {
  readonly clientId?: string;
  readonly tenants?: readonly string[];
  /** Name -> scope; by default its name. */
  readonly resources?: Readonly<Record<string, string>>;
  readonly endpoint?: Client['endpoint'];
  readonly outageTargetMs?: number;
}

function client(name: string, written: Written = {}): Client {
  const resources = Object.entries(written.resources ?? { graph: 'graph' });
  return {
    name,
    clientId: written.clientId ?? name,
    endpoint: written.endpoint ?? { authority: 'https://login.example' },
    grant: { kind: 'client_credentials' },
    credentials: [],
    ca: undefined,
    tenants: written.tenants ?? tenants(10),
    resources: resources.map(([resource, scope]) => ({
      name: resource,
      params: { scope },
      claims: undefined,
      expectAudience: undefined,
    })),
    limits: {
      perHost: { count: 50, windowMs: 1000 },
      perTenant: { count: 5, windowMs: 1000 },
      identical: { count: 5, windowMs: 300_000 },
    },
    outageTargetMs: written.outageTargetMs ?? 1_200_000,
    latestShare: 0.75,
    expectLifetimeMs: 3_600_000,
    assumeLifetimeMs: undefined,
  };
}

const tenants = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `t${from + i}`);

const inEffect = (clients: readonly Client[]): Held => ({ clients, awaiting: new Map() });

const targetsOf = (clients: readonly Client[]): string[] =>
  clients
    .flatMap(({ name, tenants: own, resources }) =>
      own.flatMap((tenant) => resources.map((resource) => `${name}/${tenant}/${resource.name}`)),
    )
    .sort();

const named = (names: readonly string[], prefix = 'c', resource = 'graph'): string[] =>
  names.map((tenant) => `${prefix}/${tenant}/${resource}`).sort();

describe('a changed configuration', () => {
  test.each<[what: string, left: number, kept: number]>([
    ['one of ten: applies', 9, 0],
    ['two of ten, a fifth: applies', 8, 0],
    ['three of ten: kept', 7, 3],
    ['all but one: kept', 1, 9],
  ])('that drops %s', (_what, left, kept) => {
    const written = client('c', { tenants: tenants(left) });
    const held = holdRemovals([client('c')], [written]);
    expect(targetsOf(held.clients)).toEqual(named(tenants(kept === 0 ? left : 10)));
    expect([...held.awaiting]).toEqual(kept === 0 ? [] : [['c', kept]]);
  });

  it('that drops a whole client keeps it, also where it has a single target', () => {
    const before = [client('a'), client('b', { tenants: ['only'] })];
    const held = holdRemovals(before, [client('a')]);
    expect(held.clients).toEqual(before);
    expect([...held.awaiting]).toEqual([['b', 1]]);
  });

  it('that drops a resource of two keeps it, for as many targets as it had', () => {
    const before = client('c', { tenants: tenants(3), resources: { graph: 'graph', mail: 'mail' } });
    const held = holdRemovals([before], [client('c', { tenants: tenants(3) })]);
    expect(targetsOf(held.clients)).toEqual(targetsOf([before]));
    expect([...held.awaiting]).toEqual([['c', 3]]);
  });

  it('applies in all else at once: additions, changes, and the clients that lose little', () => {
    const written = [
      client('c', { tenants: [...tenants(4), 'new'], outageTargetMs: 1 }),
      client('d', { tenants: tenants(9) }),
      client('e', { tenants: ['first'] }),
    ];
    const held = holdRemovals([client('c'), client('d')], written);
    expect(held.clients.map(({ name }) => name)).toEqual(['c', 'd', 'e']);
    expect(targetsOf(held.clients)).toEqual(
      [...named([...tenants(10), 'new']), ...named(tenants(9), 'd'), ...named(['first'], 'e')].sort(),
    );
    expect(held.clients[0]).toMatchObject({ outageTargetMs: 1 });
    expect([...held.awaiting]).toEqual([['c', 6]]);
  });

  it('that names again what was kept ends the keeping', () => {
    const { clients } = holdRemovals([client('c')], [client('c', { tenants: tenants(4) })]);
    expect(holdRemovals(clients, [client('c')])).toEqual({ clients: [client('c')], awaiting: new Map() });
  });

  it('that drops still more while some are kept keeps all of them', () => {
    const { clients } = holdRemovals([client('c')], [client('c', { tenants: tenants(4) })]);
    const held = holdRemovals(clients, [client('c', { tenants: tenants(3) })]);
    expect(targetsOf(held.clients)).toEqual(named(tenants(10)));
    expect([...held.awaiting]).toEqual([['c', 7]]);
  });

  it('whose endpoint cannot have the tenants that are dropped leaves the client as it was', () => {
    const before = client('c');
    const endpoint = { tokenEndpoint: 'https://login.example/token' };
    const held = holdRemovals([before], [client('c', { endpoint, tenants: ['-'] })]);
    expect(held.clients).toEqual([before]);
    expect([...held.awaiting]).toEqual([['c', 10]]);
  });
});

describe('what was only renamed is not refreshed under both names, since the server would count both together', () => {
  it('a client', () => {
    const written = [client('new', { clientId: 'same' })];
    const held = holdRemovals([client('old', { clientId: 'same' })], written);
    expect(held).toEqual({ clients: written, awaiting: new Map() });
  });

  it('a resource', () => {
    const written = [client('c', { resources: { new: 'https://graph' } })];
    const held = holdRemovals([client('c', { resources: { old: 'https://graph' } })], written);
    expect(held).toEqual({ clients: written, awaiting: new Map() });
  });

  it('tenants that have moved to another client of the same application', () => {
    const written = [
      client('a', { clientId: 'same', tenants: tenants(5) }),
      client('b', { clientId: 'same', tenants: tenants(5, 5) }),
    ];
    expect(holdRemovals([client('a', { clientId: 'same' })], written).clients).toEqual(written);
  });

  it('but another client of the same application with other tenants is no reason not to keep any', () => {
    const written = [
      client('a', { clientId: 'same', tenants: tenants(5) }),
      client('b', { clientId: 'same', tenants: tenants(5, 50) }),
    ];
    const held = holdRemovals([client('a', { clientId: 'same' })], written);
    expect([...held.awaiting]).toEqual([['a', 5]]);
  });
});

describe('removals that follow each other while the first of them is under way', () => {
  it('are judged together', () => {
    let known: readonly Client[] = [client('c')];
    let last = holdRemovals(known, known);
    for (const left of [9, 8, 7]) {
      last = holdRemovals(known, [client('c', { tenants: tenants(left) })]);
      known = everKnown(known, last);
    }
    expect([...last.awaiting]).toEqual([['c', 3]]);
    expect(targetsOf(last.clients)).toEqual(named(tenants(10)));
  });

  it('do not look smaller by what is added meanwhile and dropped again', () => {
    const grown = client('c', { tenants: tenants(12) });
    const known = everKnown([client('c')], inEffect([grown]));
    expect(known).toEqual([grown]);
    expect(everKnown(known, inEffect([client('d')])).map(({ name }) => name)).toEqual(['d', 'c']);
  });
});
