import { expect, test } from 'vitest';
import { Metrics } from '../../src/observe/metrics.ts';

const FIGURES = {
  hosts: [{ host: 'idp.example', managed: 7, due: 1, ready: 2, dormant: 6, closedSeconds: 3, rate: 21.5 }],
  processes: 4,
  queueWaiting: 5,
  credentials: [
    { client: 'billing', fingerprint: 'aaaaaaaa', refused: true },
    { client: 'billing', fingerprint: 'bbbbbbbb', refused: false },
  ],
};

const FLEET =
  /^evertoken_(targets|targets_due|targets_ready|targets_dormant|gate_closed_seconds|gate_rate|credential_refused|processes|queue_waiting)\b/;

const samples = (exposition: string): string[] => exposition.split('\n').filter((line) => FLEET.test(line));

test("the fleet's figures are those of the scrape", async () => {
  expect(samples(await new Metrics().expose(FIGURES))).toEqual([
    'evertoken_targets{host="idp.example"} 7',
    'evertoken_targets_due{host="idp.example"} 1',
    'evertoken_targets_ready{host="idp.example"} 2',
    'evertoken_targets_dormant{host="idp.example"} 6',
    'evertoken_gate_closed_seconds{host="idp.example"} 3',
    'evertoken_gate_rate{host="idp.example"} 21.5',
    'evertoken_credential_refused{client="billing",fingerprint="aaaaaaaa"} 1',
    'evertoken_credential_refused{client="billing",fingerprint="bbbbbbbb"} 0',
    'evertoken_processes 4',
    'evertoken_queue_waiting 5',
  ]);
});

test("where the fleet's figures are not known, neither the last ones nor zeros are shown", async () => {
  const metrics = new Metrics();
  expect(samples(await metrics.expose(undefined))).toEqual([]);
  await metrics.expose(FIGURES);
  const blind = await metrics.expose(undefined);
  expect(samples(blind)).toEqual([]);
  expect(blind).toContain('evertoken_redis_up 0');
  expect(samples(await metrics.expose(FIGURES))).toHaveLength(10);
});

test('of a host that this process does not know the rate is not shown', async () => {
  const hosts = FIGURES.hosts.map((host) => ({ ...host, rate: undefined }));
  expect(await new Metrics().expose({ ...FIGURES, hosts })).not.toMatch(/^evertoken_gate_rate\{/m);
});
