import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ClockWatch } from '../../src/compose/clock-watch.ts';
import { CredentialWatch } from '../../src/compose/credential-watch.ts';
import { HealthState } from '../../src/compose/health.ts';
import type { Client } from '../../src/core/client.ts';
import type { Logger } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { Credentials } from '../../src/refresh/credential-choice.ts';
import type { CredentialAtHand } from '../../src/refresh/ports.ts';
import { ConfigFolder } from '../support/config-folder.ts';
import { clientOf, makeKeyring, secretCredential } from '../support/credentials.ts';

const DAY_MS = 86_400_000;

function logOf() {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (line: Record<string, unknown>, text: string): void => {
      lines.push(`${level}: ${text} ${JSON.stringify(line)}`);
    };
  const log = { info: at('info'), warn: at('warn'), error: at('error') } as unknown as Logger;
  return { lines, log };
}

/** A watch over the clients that `clients` gives, with the time that `now.at` says. */
function watch(clients: () => readonly Client[], env: Record<string, string> = {}) {
  const now = { at: Date.now() };
  const { lines, log } = logOf();
  const keyring = makeKeyring({ env, clock: () => now.at });
  const [metrics, health] = [new Metrics(), new HealthState()];
  const told: string[] = [];
  const marks = {
    read: async () => [],
    change: async (client: string) => {
      told.push(client);
      return { before: [], after: [], now: now.at };
    },
  };
  const acquire = {
    atHand: async (client: Client) =>
      (await keyring.of(client)).map(
        ({ atHand }): CredentialAtHand =>
          atHand === undefined ? { problem: 'credential empty' } : { fingerprint: atHand.fingerprint },
      ),
  };
  const credentials = new Credentials({ marks, acquire, recovered: () => {}, scopes: () => 2 });
  const woken: string[] = [];
  const watched = new CredentialWatch({
    ...{ keyring, credentials, clients, log, metrics, health, clock: () => now.at },
    wakeTargets: async (client) => woken.push(client),
  });
  const valuesOf = async (name: 'credentialEnds' | 'credentialUsable') =>
    (await metrics[name].get()).values.map(({ value }) => value);
  return { watched, now, lines, health, told, woken, valuesOf };
}

test('the end of a credential is announced 30, 14, 7 and 1 days before, each once, and when it has come', async () => {
  const endsAt = Date.now() + 40 * DAY_MS;
  const client = clientOf([secretCredential({ env: 'A_SECRET' }, { endsAt })]);
  const { watched, now, lines, valuesOf } = watch(() => [client], { A_SECRET: 'a-secret-text' });
  const start = now.at;
  for (let day = 0; day <= 41; day++) {
    now.at = start + day * DAY_MS;
    await watched.look();
    await watched.look();
  }
  const warnings = lines.filter((line) => /about to end|has ended/.test(line));
  expect(warnings.map((line) => /"withinDays":(\d+)/.exec(line)?.[1] ?? line.slice(0, 5))).toEqual([
    ...['30', '14', '7', '1'],
    'error',
  ]);
  expect(await valuesOf('credentialEnds')).toEqual([endsAt / 1000]);
  expect(lines.join()).not.toContain('a-secret-text');
});

test('a credential that cannot be used is said once, with what to do, and shown until it can', async () => {
  const folder = new ConfigFolder();
  const file = join(folder.path, 'secret');
  const clients = [clientOf([secretCredential({ file }), secretCredential({ env: 'OTHER' })])];
  const { watched, now, lines, health, valuesOf } = watch(() => clients, { OTHER: 'other' });
  for (let i = 0; i < 3; i++) await watched.look();
  const errors = lines.filter((line) => line.startsWith('error'));
  expect(errors).toEqual([
    expect.stringMatching(/a credential cannot be used .*"credential":1.*"todo":"see that/),
  ]);
  expect(await valuesOf('credentialUsable')).toEqual([0, 1]);
  expect(health.has('credential-unusable')).toBe(true);

  writeFileSync(file, 'it is there now');
  now.at += 20_000;
  for (let i = 0; i < 2; i++) await watched.look();
  expect(lines.at(-1)).toMatch(/^info: a credential has changed/);
  expect(await valuesOf('credentialUsable')).toEqual([1, 1]);
  expect(health.has('credential-unusable')).toBe(false);
  expect(lines.join()).not.toContain('it is there now');
});

test('the fleet hears of what is at hand once for each client and again after a change', async () => {
  const folder = new ConfigFolder();
  const file = join(folder.path, 'secret');
  writeFileSync(file, 'one');
  const clients = [clientOf([secretCredential({ file })])];
  const { watched, now, told } = watch(() => clients);
  for (let i = 0; i < 3; i++) await watched.look();
  expect(told).toEqual(['billing']);
  writeFileSync(file, 'another');
  now.at += 20_000;
  for (let i = 0; i < 3; i++) await watched.look();
  expect(told).toEqual(['billing', 'billing']);
});

test('the targets of a client that has recovered are woken at once, and again after Redis has failed', async () => {
  const client = clientOf([secretCredential({ env: 'A_SECRET' })]);
  const { lines, log } = logOf();
  const keyring = makeKeyring({ env: { A_SECRET: 'x' } });
  let failing = true;
  const woken: string[] = [];
  const watched = new CredentialWatch({
    ...{ keyring, log, metrics: new Metrics(), health: new HealthState(), clock: Date.now },
    credentials: { introduce: async () => false } as unknown as Credentials,
    clients: () => [client],
    wakeTargets: async (name) => {
      if (failing) throw new Error('connection is closed');
      return woken.push(name);
    },
  });
  watched.recovered('billing', { withinMs: 1000, excused: [] });
  await expect.poll(() => lines.some((line) => /woken with the next look/.test(line))).toBe(true);
  failing = false;
  await watched.look();
  expect(woken).toEqual(['billing']);
  await watched.look();
  expect(woken).toEqual(['billing']);
});

test('clocks that differ by more than a minute are named once, shown, and named when they agree again', async () => {
  const { lines, log } = logOf();
  const [metrics, health] = [new Metrics(), new HealthState()];
  let skewMs: number | undefined;
  const clocks = new ClockWatch({
    ...{ log, metrics, health, endpoint: { skewMs: () => skewMs } },
    clients: () => [clientOf([]), clientOf([], { name: 'other' })],
  });
  const shown = async () => (await metrics.clockSkew.get()).values;
  clocks.look();
  expect(await shown()).toEqual([]);
  skewMs = -600_000;
  for (let i = 0; i < 3; i++) clocks.look();
  expect(await shown()).toMatchObject([{ labels: { host: 'idp.example' }, value: -600 }]);
  expect(health.has('clock-skewed')).toBe(true);
  skewMs = 0;
  for (let i = 0; i < 2; i++) clocks.look();
  expect(health.has('clock-skewed')).toBe(false);
  expect(lines.map((line) => line.split(':')[0])).toEqual(['warn', 'info']);
});
