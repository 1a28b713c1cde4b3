import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';

/** One import statement. `to` is a path in the project, the name of a package, or `node:…`. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const ADAPTERS = ['config', 'credentials', 'oauth', 'store', 'queue', 'observe', 'http', 'mock-idp'];
const BELOW_COMPOSE = ['core', 'refresh', ...ADAPTERS];

/** Which areas (a folder, or `compose`) or single files each area may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ...Object.fromEntries(ADAPTERS.map((adapter) => [adapter, ['core']])),
  // Checking a configuration includes that every secret can be read.
  config: ['core', 'src/credentials/source.ts'],
  refresh: ['core'],
  demo: ['core', 'mock-idp'],
  // What a server can take is counted in one way.
  simulate: ['core', 'src/mock-idp/rate-limit.ts'],
  compose: BELOW_COMPOSE,
  workers: ['core', 'refresh', 'queue', 'compose'],
  cli: [...BELOW_COMPOSE, 'demo', 'simulate', 'compose', 'workers'],
};

/** Pure: they get what they need from outside by value or by interface. */
const WITHOUT_PACKAGES = ['core', 'refresh'];

/** Packages that stay behind one door each: who may use them, and who may only name their types. */
const DOORS: Readonly<
  Record<string, { readonly use: readonly string[]; readonly types: readonly string[] }>
> = {
  undici: { use: ['oauth'], types: [] },
  'node-forge': { use: ['credentials'], types: [] },
  '@azure/identity': { use: ['credentials'], types: [] },
  '@azure/keyvault-secrets': { use: ['credentials'], types: [] },
  ioredis: { use: ['store', 'cli', 'demo'], types: ['queue', 'compose', 'workers'] },
  bullmq: { use: ['queue', 'cli', 'demo'], types: ['compose', 'workers'] },
};

function areaOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

const isInProject = (target: string): boolean => /^(src|workers|test|\.config)\//.test(target);

/** What is wrong with an import, or undefined. */
function violationOf({ from, to, typeOnly }: Edge): string | undefined {
  const area = areaOf(from);
  const allowed = MAY_IMPORT[area];
  if (!allowed) return `${from} → ${to}: ${area} is in no rule; say in this test what it may import`;
  if (isInProject(to)) {
    if (areaOf(to) === area || allowed.includes(areaOf(to)) || allowed.includes(to)) return undefined;
    return `${from} → ${to}: ${area} may import ${allowed.join(', ') || 'nothing outside itself'}`;
  }
  if (WITHOUT_PACKAGES.includes(area))
    return `${from} → ${to}: ${area} may import neither packages nor node: modules`;
  const door = DOORS[to];
  if (!door || door.use.includes(area) || (typeOnly && door.types.includes(area))) return undefined;
  const users = `${door.use.join(', ')} may import ${to}`;
  return `${from} → ${to}: only ${users}${door.types.length > 0 ? `, and ${door.types.join(', ')} its types` : ''}`;
}

/** Cycles of imports, each once, as `a → b → a`. */
function cyclesIn(edges: readonly Edge[]): string[] {
  const targets = Map.groupBy(edges, (edge) => edge.from);
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) cycles.push([...path.slice(start), file].join(' → '));
    if (start >= 0 || done.has(file)) return;
    for (const { to } of targets.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return cycles;
}

const NAMES = String.raw`(?:[\w$]+\s*,?\s*)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^}]*\})?`;
const STATEMENT = new RegExp(
  String.raw`^\s*(?:import|export)\s+(type\s)?\s*(${NAMES})\s*from\s*['"]([^'"]+)['"]`,
  'gm',
);
const SIDE_EFFECT_OR_DYNAMIC = /(?:^\s*import\s*|\bimport\(\s*)['"]([^'"]+)['"]/gm;

function edgesOf(from: string, text: string): Edge[] {
  const statements = [...text.matchAll(STATEMENT)].map(([, type, names = '', target = '']) => ({
    from,
    to: resolve(from, target),
    typeOnly: type !== undefined || /^\{\s*(?:type\s[^,}]+,?\s*)+\}$/.test(names),
  }));
  const others = [...text.matchAll(SIDE_EFFECT_OR_DYNAMIC)].map(([, target = '']) => ({
    from,
    to: resolve(from, target),
    typeOnly: false,
  }));
  return [...statements, ...others];
}

function resolve(from: string, target: string): string {
  if (target.startsWith('.')) return posix.join(posix.dirname(from), target);
  if (target.startsWith('node:')) return target;
  return target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
}

describe('the imports of src/ and workers/', () => {
  const root = new URL('../..', import.meta.url).pathname;
  const files = globSync(['src/**/*.ts', 'workers/**/*.ts'], { cwd: root });
  const edges = files.flatMap((file) => edgesOf(file, readFileSync(root + file, 'utf8')));

  test('are found', () => {
    expect(files).toContain('src/core/target.ts');
    expect(edges).toContainEqual({ from: 'src/core/target.ts', to: 'src/core/errors.ts', typeOnly: false });
  });

  test('go in the allowed directions', () => {
    expect(edges.map(violationOf).filter(Boolean)).toEqual([]);
  });

  test('make no cycles', () => {
    expect(cyclesIn(edges)).toEqual([]);
  });
});

describe('the check', () => {
  test.each([
    ['src/core/plan.ts', 'src/store/keys.ts', 'core may import nothing outside itself'],
    ['src/core/plan.ts', 'node:crypto', 'core may import neither packages nor node: modules'],
    ['src/refresh/dispatch.ts', 'pino', 'refresh may import neither packages nor node: modules'],
    ['src/refresh/dispatch.ts', 'src/store/tokens.ts', 'refresh may import core'],
    ['src/store/tokens.ts', 'src/queue/commands.ts', 'store may import core'],
    ['src/config/load.ts', 'src/credentials/secret.ts', 'config may import core, src/credentials/source.ts'],
    ['src/compose.ts', 'src/cli/main.ts', 'compose may import core, refresh, config'],
    ['workers/refresh.ts', 'src/store/tokens.ts', 'workers may import core, refresh, queue, compose'],
    ['src/cli/main.ts', 'test/support/redis.ts', 'cli may import'],
    ['src/http/server.ts', 'undici', 'only oauth may import undici'],
    ['src/config/load.ts', 'node-forge', 'only credentials may import node-forge'],
    [
      'src/queue/queues.ts',
      'ioredis',
      'only store, cli, demo may import ioredis, and queue, compose, workers its types',
    ],
    ['src/helpers/any.ts', 'src/core/plan.ts', 'helpers is in no rule'],
  ])('names %s → %s and the rule', (from, to, rule) => {
    expect(violationOf({ from, to, typeOnly: false })).toMatch(`${from} → ${to}: ${rule}`);
  });

  test.each([
    ['src/core/plan.ts', 'src/core/state.ts', false],
    ['src/config/load.ts', 'src/credentials/source.ts', false],
    ['src/store/tokens.ts', 'ioredis', false],
    ['src/queue/queues.ts', 'ioredis', true],
    ['src/cli/main.ts', 'src/demo/private-redis.ts', false],
  ])('lets %s → %s pass', (from, to, typeOnly) => {
    expect(violationOf({ from, to, typeOnly })).toBeUndefined();
  });

  test('finds a cycle, once, and nothing in a diamond', () => {
    const edge = (from: string, to: string): Edge => ({ from, to, typeOnly: false });
    expect(cyclesIn([edge('a', 'b'), edge('b', 'c'), edge('c', 'b')])).toEqual(['b → c → b']);
    expect(cyclesIn([edge('a', 'b'), edge('a', 'c'), edge('b', 'd'), edge('c', 'd')])).toEqual([]);
  });

  test('reads every form of import', () => {
    const text = [
      `import './a.ts';`,
      `import b, { c } from '../b.ts';`,
      `import * as d from 'undici';`,
      `import type { E } from '@scope/e/deep';`,
      `import {\n  type F,\n  type G,\n} from 'ioredis';`,
      `import { type H, i } from 'bullmq';`,
      `export * from './j.ts';`,
      `export type { K } from './k.ts';`,
      `const l = await import('node:fs');`,
      `export const from = 'nowhere';`,
    ].join('\n');
    const found = edgesOf('src/x/y.ts', text).map(({ to, typeOnly }) => (typeOnly ? `type ${to}` : to));
    expect(new Set(found)).toEqual(
      new Set([
        ...['src/x/a.ts', 'src/b.ts', 'undici', 'type @scope/e', 'type ioredis', 'bullmq'],
        ...['src/x/j.ts', 'type src/x/k.ts', 'node:fs'],
      ]),
    );
  });
});
