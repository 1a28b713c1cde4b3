import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import { loadConfig } from '../../src/config/load.ts';
import { configJsonSchema, type JsonSchema } from '../../src/config/schema.ts';
import { ERROR_EXIT_CODES } from '../../src/core/errors.ts';
import { feasibilityProblems } from '../../src/core/feasibility-words.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { Keys } from '../../src/store/keys.ts';

const root = new URL('../..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(root + file, 'utf8');
const DOCS = [
  ...['README.md', 'docs/configuration.md', 'docs/design.md', 'docs/operations.md'],
  ...['docs/policy.md', 'docs/redis.md'],
];

/** What a list says that the text does not name, as code. */
const missingFrom = (text: string, names: readonly string[]): string[] =>
  names.filter((name) => !text.includes(`\`${name}\``));

/** The rows of the reference table: every option of the schema once, alternatives included. */
function optionRows(schema: JsonSchema): string[] {
  const rows = new Map<string, string>();
  const visit = (node: JsonSchema, path: string, isRequired: boolean): void => {
    if (path !== '' && node.description !== undefined && !rows.has(path)) {
      const isText = typeof node.default === 'string';
      const preset = isText ? `\`${node.default}\`` : isRequired ? 'required' : '';
      rows.set(path, `| \`${path}\` | ${preset} | ${node.description.replaceAll('|', '\\|')} |`);
    }
    const visitOne = (child: unknown, at: string, required = false): void => {
      if (typeof child === 'object' && child !== null && !Array.isArray(child))
        visit(child as JsonSchema, at, required);
    };
    for (const alternative of node.anyOf ?? []) visitOne(alternative, path);
    for (const [key, child] of Object.entries(node.properties ?? {}))
      visitOne(child, path === '' ? key : `${path}.${key}`, node.required?.includes(key));
    visitOne(node.additionalProperties, `${path}.<name>`);
    visitOne(node.items, `${path}[]`);
  };
  visit(schema, '', false);
  return [...rows.values()];
}

/** Blocks of YAML that are whole configurations. */
function configurations(file: string): string[] {
  const blocks = [...read(file).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  return blocks.filter((block) => /^clients:/m.test(block));
}

describe('the configuration reference', () => {
  test('has the row of every option, as the schema describes it', () => {
    const table = read('docs/configuration.md')
      .split('\n')
      .filter(
        (line) => line.startsWith('| `') && !line.startsWith('| `EVERTOKEN') && !line.startsWith('| `REDIS'),
      );
    expect(table.slice(0, optionRows(configJsonSchema()).length)).toEqual(optionRows(configJsonSchema()));
  });

  test.each(['README.md', 'docs/configuration.md', 'docs/operations.md'])(
    '%s shows configurations that load, and whose outage targets are held',
    (file) => {
      const examples = configurations(file);
      if (file === 'README.md') expect(examples.length).toBeGreaterThanOrEqual(2);
      for (const example of [...examples, read('deploy/evertoken.example.yaml')]) {
        const folder = mkdtempSync(join(tmpdir(), 'evertoken-docs-'));
        onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
        writeFileSync(join(folder, 'tenants.txt'), 'contoso.onmicrosoft.com\n');
        writeFileSync(join(folder, 'evertoken.yaml'), example);
        const env = { REDIS_PASSWORD: 'a password' };
        const { clients } = loadConfig(join(folder, 'evertoken.yaml'), env);
        expect(clients).not.toEqual([]);
        expect(new Catalogue(clients).replan().flatMap(feasibilityProblems)).toEqual([]);
      }
    },
  );
});

describe('the documents name', () => {
  test('every command and every exit code of an error', () => {
    const help = execFileSync(process.execPath, [`${root}src/cli/evertoken`, '--help'], { encoding: 'utf8' });
    const commands = [...(help.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(
      ([, name]) => name as string,
    );
    expect(commands).toContain('start');
    const readme = read('README.md');
    expect(commands.filter((name) => name !== 'help' && !readme.includes(`| \`${name}`))).toEqual([]);
    const operations = read('docs/operations.md');
    const codes = Object.entries(ERROR_EXIT_CODES).filter(
      ([code, exit]) => !new RegExp(`^\\| ${exit} \\|.*\`${code}\``, 'm').test(operations),
    );
    expect(codes).toEqual([]);
  });

  test('every metric', async () => {
    const metrics = new Metrics().registry.getMetricsAsArray().map(({ name }) => name);
    expect(missingFrom(read('docs/operations.md'), metrics)).toEqual([]);
  });

  test('every key of Redis, every channel and every script', () => {
    const keys = new Keys('<ns>');
    const named = [
      ...[keys.token('<target>'), keys.state('<target>'), keys.refreshed, keys.requests, keys.changes],
      ...[keys.due('<host>'), keys.ready('<host>'), keys.hostGate('<host>')],
      ...[keys.tenantGate('<client>/<tenant>'), keys.limits, keys.epoch, keys.hosts, keys.tenants],
      ...[keys.pauses, keys.processes, keys.processDetails, keys.lifetimes],
    ];
    const scripts = readdirSync(`${root}src/store/lua`);
    expect(missingFrom(read('docs/redis.md'), [...named, ...scripts])).toEqual([]);
  });

  test('every package that is depended on', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
    const packages = [
      ...Object.keys(manifest.dependencies ?? {}),
      ...Object.keys(manifest.devDependencies ?? {}),
    ];
    expect(missingFrom(read('docs/design.md'), packages)).toEqual([]);
  });

  test.each(DOCS)('only files that are there: %s', (file) => {
    const paths = [
      ...read(file).matchAll(/[`(]((?:src|workers|test|docs|deploy|\.config|\.ci)\/[\w./-]+)[`)#]/g),
    ];
    expect(paths.map(([, path = '']) => path).filter((path) => !existsSync(root + path))).toEqual([]);
  });
});
