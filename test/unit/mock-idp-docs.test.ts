import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseClients } from '../../src/mock-idp/clients.ts';
import { parseChange, SETTING_NAMES } from '../../src/mock-idp/control.ts';
import { mockIdpCommand } from '../../src/mock-idp/main.ts';
import { MODES } from '../../src/mock-idp/options.ts';
import { RequestRecord } from '../../src/mock-idp/record.ts';
import { parseScenario } from '../../src/mock-idp/scenario.ts';
import { VIOLATIONS } from '../../src/mock-idp/violations.ts';

const root = new URL('../..', import.meta.url).pathname;
const text = readFileSync(`${root}docs/mock-idp.md`, 'utf8');

/** What stands as code in the first columns of the tables. */
const inTables = new Set(
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .flatMap((line) =>
      [
        ...line
          .split(' | ')
          .slice(0, 2)
          .join()
          .matchAll(/`([^`]+)`/g),
      ].map(([, name]) => name),
    ),
);

describe('docs/mock-idp.md', () => {
  test.each<[string, readonly string[]]>([
    ['flag', mockIdpCommand().options.map(({ long }) => long ?? '')],
    ['setting', SETTING_NAMES],
    ['mode', MODES],
    ['violation', VIOLATIONS],
    ['count', Object.keys(new RequestRecord().stats(1))],
  ])('has every %s in a table', (_kind, names) => {
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !inTables.has(name))).toEqual([]);
  });

  test('shows changes and a scenario that can be read', () => {
    const changes = [...text.matchAll(/curl -d '([^']+)'/g)].map(([, json = '']) => json);
    expect(changes.length).toBeGreaterThan(2);
    for (const json of changes) expect(() => parseChange(JSON.parse(json))).not.toThrow();
    const [, scenario = ''] = /```yaml\n([\s\S]*?)```/.exec(text) ?? [];
    expect(parseScenario(scenario)).toHaveLength(4);
  });

  test('shows a client of which only the keys are left out', () => {
    const [, json = ''] = /```json\n([\s\S]*?)```/.exec(text) ?? [];
    const { 'my-app': app } = JSON.parse(json) as { 'my-app': Record<string, unknown> };
    const { certificates: _, publicKeys: __, federated: ___, ...rest } = app;
    expect(parseClients({ 'my-app': rest }).size).toBe(1);
  });

  test('is linked from the README', () => {
    expect(readFileSync(`${root}README.md`, 'utf8')).toContain('(docs/mock-idp.md)');
  });
});
