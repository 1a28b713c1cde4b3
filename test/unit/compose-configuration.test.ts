import { describe, expect, it, test } from 'vitest';
import { needsRestart, RunningConfiguration } from '../../src/compose/configuration.ts';
import type { Config } from '../../src/config/config.ts';
import type { Client } from '../../src/core/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { clientOf } from '../bench/samples.ts';

const tenants = (count: number): string[] => Array.from({ length: count }, (_, i) => `t${i}`);
const billing = (count: number): readonly Client[] => [clientOf(tenants(count))];
const sizeOf = (configuration: RunningConfiguration): number => configuration.catalogue(new Map()).size;

function changed(to: number, at = 1000): RunningConfiguration {
  const configuration = new RunningConfiguration(billing(10));
  configuration.takeOver(at - 1);
  configuration.offer(billing(to));
  configuration.takeOver(at);
  return configuration;
}

describe('a changed configuration', () => {
  it('is in effect when it was taken over, and not before', () => {
    const configuration = new RunningConfiguration(billing(10));
    configuration.offer(billing(12));
    expect([configuration.changed, sizeOf(configuration), configuration.version]).toEqual([true, 10, 0]);
    configuration.takeOver(1);
    expect([configuration.changed, sizeOf(configuration), configuration.version]).toEqual([false, 12, 1]);
  });

  it('keeps what looks like a mistake, beside what is written', () => {
    const configuration = changed(4);
    expect(sizeOf(configuration)).toBe(10);
    expect(configuration.written(new Map()).size).toBe(4);
    expect([...configuration.awaiting]).toEqual([['billing', 6]]);
  });

  it('keeps nothing that an operator has confirmed since', () => {
    const configuration = changed(4);
    const before = configuration.version;
    configuration.confirm(new Map([['billing', 1001]]));
    expect([sizeOf(configuration), configuration.awaiting.size]).toEqual([4, 0]);
    expect(configuration.version).toBeGreaterThan(before);
    expect(configuration.isConfirmed('billing')).toBe(true);
  });

  it.each([
    ['of before', 'billing', 999],
    ['of another client', 'crm', 2000],
  ])('keeps what it keeps after a confirmation %s', (_which, client, at) => {
    const configuration = changed(4);
    configuration.confirm(new Map([[client, at]]));
    expect(sizeOf(configuration)).toBe(10);
    expect(configuration.isConfirmed('billing')).toBe(false);
  });

  it('needs a confirmation of its own after one that was confirmed', () => {
    const configuration = changed(4);
    const confirmations = new Map([['billing', 1001]]);
    configuration.confirm(confirmations);
    configuration.settle();
    configuration.offer(billing(2));
    configuration.takeOver(2000);
    configuration.confirm(confirmations);
    expect([...configuration.awaiting]).toEqual([['billing', 2]]);
  });

  it('may drop a little again and again, when each has been done before the next', () => {
    const configuration = changed(8);
    configuration.settle();
    configuration.offer(billing(7));
    configuration.takeOver(2000);
    expect([sizeOf(configuration), configuration.awaiting.size]).toEqual([7, 0]);
  });

  it('may not drop much in small steps that follow each other at once', () => {
    const configuration = changed(8);
    configuration.offer(billing(7));
    configuration.takeOver(2000);
    expect([...configuration.awaiting]).toEqual([['billing', 3]]);
  });
});

test('what was confirmed before a process began is nothing that it confirms', () => {
  const configuration = new RunningConfiguration(billing(4));
  configuration.takeOver(1000);
  configuration.confirm(new Map([['billing', 999]]));
  expect(configuration.isConfirmed('billing')).toBe(false);
});

const config = (changes: Partial<Config> = {}): Config => ({
  file: '/evertoken.yaml',
  files: [],
  redis: { url: new Secret('redis://one'), password: new Secret('one') },
  namespace: 'evertoken',
  http: { listen: { host: '127.0.0.1', port: 8642 } },
  clients: [],
  ...changes,
});

test.each<[what: string, changes: Partial<Config>, keys: string[]]>([
  ['the same, read again', {}, []],
  ['other clients', { clients: billing(1) }, []],
  ['another Redis', { redis: { url: new Secret('redis://two'), password: new Secret('one') } }, ['redis']],
  ['another password', { redis: { url: new Secret('redis://one'), password: new Secret('two') } }, ['redis']],
  ['another namespace', { namespace: 'other' }, ['namespace']],
  ['another port', { http: { listen: { host: '127.0.0.1', port: 1 } } }, ['http']],
  [
    'probes as well',
    { namespace: 'other', http: { ...config().http, probes: { host: '0.0.0.0', port: 1 } } },
    ['namespace', 'http'],
  ],
])('for %s the keys that need a restart are named', (_what, changes, keys) => {
  expect(needsRestart(config(), config(changes))).toEqual(keys);
});
