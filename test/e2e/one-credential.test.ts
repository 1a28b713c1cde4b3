import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fleet, mockClient, startMockIdp, tenants } from '../support/fleet.ts';
import { Reader } from '../support/reader.ts';
import { sharedRedis } from '../support/redis.ts';

test('a daemon whose credential is refused leaves the targets to the one that has a good one', {
  timeout: 60_000,
}, async () => {
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', '10s');
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-one-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [good, bad] = [join(folder, 'good'), join(folder, 'bad')];
  writeFileSync(good, 'demo-secret');
  writeFileSync(bad, 'of-last-year');
  const withSecret = (file: string) =>
    fleet({
      ...{ redisUrl: url, namespace, idpUrl: idp.url, refresh: '{ outageTarget: 1s }' },
      clients: mockClient(idp.url, 40).replace(/secret: \{[^}]*\}/, `secret: { file: ${file} }`),
      limits: '{ perHost: 50/s, perTenant: 5/s, identical: 20/20s }',
      env: { EVERTOKEN_LOG_LEVEL: 'debug' },
    });
  const reader = new Reader(
    url,
    namespace,
    tenants('t', 40).map((tenant) => `demo/${tenant}/graph`),
  );
  reader.start();
  const one = await withSecret(good).start();
  await reader.everyKey(20_000);
  const other = await withSecret(bad).start();
  reader.reset();
  await reader.readFor(15_000);

  expect(reader.seen).toMatchObject({ missed: [], expired: [] });
  const refused = (await idp.requests()).filter(({ status }) => status !== 200);
  expect(refused.length).toBeLessThanOrEqual(4);
  expect(other.stdout).toContain('another process has a credential that works');
  for (const daemon of [one, other]) expect((await daemon.stop()).code).toBe(0);
});
