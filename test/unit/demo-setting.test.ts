import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { feasibilityProblems } from '../../src/core/feasibility-words.ts';
import { refreshWindow } from '../../src/core/plan.ts';
import {
  configText,
  type DemoOptions,
  formatLifetime,
  limitsFor,
  SECRET_VARIABLE,
  TENANTS_FILE,
  targetIds,
  tenantNames,
  tokenKey,
} from '../../src/demo/setting.ts';
import { listeningUrl } from '../../src/demo/stage.ts';
import { parseLifetime } from '../../src/mock-idp/options.ts';

const OPTIONS: DemoOptions = {
  tenants: 200,
  resources: 3,
  lifetime: { minSeconds: 50, maxSeconds: 70 },
  forMs: undefined,
  json: false,
};

test('names every tenant and target, in an order that sorts', () => {
  expect(tenantNames({ tenants: 2 })).toEqual(['tenant-001', 'tenant-002']);
  expect(tenantNames({ tenants: 1000 })[0]).toBe('tenant-0001');
  expect(targetIds({ tenants: 1, resources: 2 })).toEqual(['demo/tenant-001/graph', 'demo/tenant-001/vault']);
  expect(tokenKey('demo/tenant-001/graph')).toBe('evertoken:token:demo/tenant-001/graph');
  expect(new Set(targetIds(OPTIONS)).size).toBe(600);
});

function configOf(options: DemoOptions): Config {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-setting-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'evertoken.yaml');
  writeFileSync(file, configText(options, { redis: 'redis://127.0.0.1:1', mockIdp: 'http://127.0.0.1:2' }));
  writeFileSync(join(folder, TENANTS_FILE), tenantNames(options).join('\n'));
  return loadConfig(file, { [SECRET_VARIABLE]: 'secret' }, { checkCredentials: 'each' });
}

test('makes a configuration that the daemon takes, with the targets that the consumer reads', () => {
  const config = configOf(OPTIONS);
  const [client] = config.clients;
  const ids = client?.tenants.flatMap((tenant) =>
    client.resources.map((resource) => `${client.name}/${tenant}/${resource.name}`),
  );
  expect(ids).toEqual(targetIds(OPTIONS));
  expect(config.http.listen).toEqual({ host: '127.0.0.1', port: 0 });
});

describe('the limits', () => {
  test.each([
    ['5s', 200, 3],
    ['50s..70s', 200, 3],
    ['60s', 10_000, 8],
    ['20m', 1, 1],
    ['3h', 200, 3],
  ])('let tokens of %s for %i tenants × %i resources be refreshed in time', (text, tenants, resources) => {
    const lifetime = parseLifetime(text);
    const limits = limitsFor({ ...OPTIONS, tenants, resources, lifetime });
    const lifeMs = lifetime.minSeconds * 1000;
    const { earliest, latest } = refreshWindow(lifeMs, {
      outageTargetMs: limits.outageTargetSeconds * 1000,
      identical: { count: limits.identicalCount, windowMs: limits.identicalWindowSeconds * 1000 },
    });
    expect(latest).toBeLessThanOrEqual(0.75);
    const planned = (limits.identicalCount - 1) / limits.identicalWindowSeconds;
    expect(1 / (earliest * lifetime.minSeconds)).toBeLessThanOrEqual(planned);
    const perSecond = (targets: number): number => targets / (earliest * lifetime.minSeconds);
    expect(limits.perTenantPerSecond).toBeGreaterThan(perSecond(resources));
    expect(limits.perHostPerSecond).toBeGreaterThan(perSecond(tenants * resources));
  });
});

test.each(['5s', '50s..70s', '20m', '3h', '60m..90m'])(
  'the outage target is held with tokens of %s, whatever part of the range was seen so far',
  (text) => {
    const lifetime = parseLifetime(text);
    for (const seenSeconds of [lifetime.minSeconds, lifetime.maxSeconds]) {
      const lifeMs = 1000 * seenSeconds;
      const config = configOf({ ...OPTIONS, lifetime });
      const lives = new Map([['demo', { shortestMs: lifeMs, meanMs: lifeMs, longestMs: lifeMs }]]);
      const catalogue = new Catalogue(config.clients);
      expect(catalogue.replan().flatMap(feasibilityProblems)).toEqual([]);
      expect(catalogue.replan(lives).flatMap(feasibilityProblems)).toEqual([]);
    }
  },
);

test('a lifetime is written as it was read', () => {
  expect(['60s', '50s..70s'].map((text) => formatLifetime(parseLifetime(text)))).toEqual(['60s', '50s..70s']);
});

test('the address of mock-idp and of the daemon is found in what they print', () => {
  expect(listeningUrl('{"listening":"http://127.0.0.1:1"}')).toBe('http://127.0.0.1:1');
  expect(listeningUrl('{"level":"info","url":"http://127.0.0.1:2","msg":"listening"}')).toBe(
    'http://127.0.0.1:2',
  );
  for (const line of ['', 'x', '7', 'null', '{"url":"http://127.0.0.1:3","msg":"else"}'])
    expect(listeningUrl(line)).toBeUndefined();
});
