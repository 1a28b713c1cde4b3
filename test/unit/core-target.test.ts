import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { EvertokenError } from '../../src/core/errors.ts';
import { formatTarget, isNamespace, parseSelect, parseTarget, printable } from '../../src/core/target.ts';

const chars = (letters: string) => fc.constantFrom(...letters);
const text = (first: string, rest: string, maxLength: number) =>
  fc
    .tuple(chars(first), fc.string({ unit: chars(rest), maxLength: maxLength - 1 }))
    .map(([head, tail]) => head + tail);

const LOWER = 'abcxyz0189';
const anyName = text(LOWER, `${LOWER}._-`, 63);
const anyTenant = fc.oneof(text(`${LOWER}AZ`, `${LOWER}AZ._-`, 253), fc.constant('-'));
const anyParts = fc.record({ client: anyName, tenant: anyTenant, resource: anyName });

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof EvertokenError) return error.code;
    throw error;
  }
  return 'none';
};

describe('a target id', () => {
  it('that was formatted parses back to its parts', () => {
    fc.assert(
      fc.property(anyParts, (parts) => {
        expect(parseTarget(formatTarget(parts))).toEqual(parts);
      }),
    );
  });

  test.each([
    'billing/contoso.onmicrosoft.com/graph',
    'b/-/g',
    `${'a'.repeat(63)}/${'T'.repeat(253)}/${'9'.repeat(63)}`,
    '0._-/A._-/r',
  ])('%s is one', (id) => {
    expect(formatTarget(parseTarget(id))).toBe(id);
  });

  test.each([
    ...[
      '',
      '/',
      '//',
      'a/b',
      'a/b/c/d',
      'a//c',
      '/b/c',
      'a/b/',
      'A/b/c',
      'a/b/C',
      '-a/b/c',
      'a/b/_c',
      'a/--/c',
    ],
    ...['a/.b/c', 'a/b*/c', 'a/b/c\n', 'a/b /c', 'a/ü/c', 'a/b%2f/c', 'a/../c', '{a}/b/c', 'a:/b/c'],
    ...[`${'a'.repeat(64)}/b/c`, `a/${'b'.repeat(254)}/c`, `a/b/${'c'.repeat(64)}`],
  ])('%j is none', (id) => {
    expect(codeOf(() => parseTarget(id))).toBe('TARGET_INVALID');
  });

  it('is refused with a message that holds nothing unprintable and little of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 120 }), (id) => {
        const shown = printable(id);
        expect(shown).toMatch(/^[\x20-\x7e]{0,80}$/);
      }),
    );
  });
});

test.each<[string, boolean]>([
  ['evertoken', true],
  ['a', true],
  ['a'.repeat(31), true],
  ['a'.repeat(32), false],
  ['-a', false],
  ['a.b', false],
  ['A', false],
  ['', false],
])('%j as a namespace: %j', (namespace, valid) => {
  expect(isNamespace(namespace)).toBe(valid);
});

describe('a select', () => {
  test.each<[select: string, id: string, matches: boolean]>([
    ['billing/*/graph', 'billing/contoso/graph', true],
    ['billing/*/graph', 'billing/-/graph', true],
    ['billing/*/graph', 'billing/contoso/graph2', false],
    ['billing/*/graph', 'billing2/contoso/graph', false],
    ['*/*/*', 'billing/contoso/graph', true],
    ['b*g/c*o/gr?ph', 'billing/contoso/graph', true],
    ['b**g/***/g', 'billing/contoso/g', true],
    ['billing/conto?o/graph', 'billing/conto/graph', false],
    ['billing/contos??/graph', 'billing/contoso/graph', false],
    ['billing/*.com/graph', 'billing/xcom/graph', false],
    ['billing/*.com/graph', 'billing/x.com/graph', true],
    ['billing/*a*b*/graph', 'billing/xxaxxbxx/graph', true],
    ['billing/*a*b*/graph', 'billing/xxbxxaxx/graph', false],
    ['billing/*ab/graph', 'billing/aab/graph', true],
    ['billing/?/graph', 'billing/-/graph', true],
    ['billing/contoso*/graph', 'billing/contoso/graph', true],
    ['Billing/*/graph', 'billing/contoso/graph', false],
  ])('%s for %s: %j', (select, id, matches) => {
    expect(parseSelect(select).matches(id)).toBe(matches);
  });

  test.each([
    '',
    'a',
    'a/b',
    'a/b/c/d',
    '*/*',
    '**',
    'a//c',
    'a/b/c\n',
    'a/[bc]/d',
    'a/b|c/d',
    'a/b+/c',
    'a/(b)/c',
  ])('%j is none', (select) => {
    expect(codeOf(() => parseSelect(select, { all: true }))).toBe('SELECT_INVALID');
  });

  it('of * alone means every target, and only when all is said with it', () => {
    expect(codeOf(() => parseSelect('*'))).toBe('SELECT_INVALID');
    expect(codeOf(() => parseSelect('*', { all: false }))).toBe('SELECT_INVALID');
    expect(parseSelect('*', { all: true }).matches('a/b/c')).toBe(true);
    expect(parseSelect('*', { all: true }).exact).toBeUndefined();
  });

  it('without wildcards matches just itself', () => {
    fc.assert(
      fc.property(anyParts, anyParts, (one, other) => {
        const [id, another] = [formatTarget(one), formatTarget(other)];
        const select = parseSelect(id);
        expect(select.exact).toBe(id);
        expect(select.matches(id)).toBe(true);
        expect(select.matches(another)).toBe(id === another);
      }),
    );
  });

  it('finds an id in which any run of characters within a segment is replaced by *', () => {
    fc.assert(
      fc.property(anyParts, fc.nat(), fc.nat(), ({ client, tenant, resource }, from, length) => {
        const start = from % (tenant.length + 1);
        const masked = `${tenant.slice(0, start)}*${tenant.slice(start + (length % 20))}`;
        fc.pre(/^[A-Za-z0-9*]/.test(masked));
        const select = parseSelect(`${client}/${masked}/${resource}`);
        expect(select.matches(`${client}/${tenant}/${resource}`)).toBe(true);
      }),
    );
  });

  it('agrees with a regular expression, where that is fast enough', () => {
    const pattern = fc.string({ unit: chars('ab*?.'), minLength: 1, maxLength: 8 });
    const tenant = fc.string({ unit: chars('ab.'), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(pattern, tenant, (wild, name) => {
        fc.pre(/^[ab*?]/.test(wild) && /[*?]/.test(wild));
        const source = wild.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
        const expected = new RegExp(`^${source}$`).test(name);
        expect(parseSelect(`c/${wild}/r`).matches(`c/${name}/r`)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('never reaches over a slash', () => {
    for (const id of ['a/b', 'a/b/c/d', 'abc', '']) expect(parseSelect('*/*/*').matches(id)).toBe(false);
    expect(parseSelect('a?b/*/c').matches('a/b/c')).toBe(false);
  });

  it('with many stars is answered at once, also for a long tenant that nearly matches', () => {
    const select = parseSelect(`billing/${'*a'.repeat(100)}b/graph`);
    const startedAt = performance.now();
    expect(select.matches(`billing/${'a'.repeat(253)}/graph`)).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});
