import { expect, test } from 'vitest';
import { fleet, mostIdentical, OIDC_TARGETS, startOidcProvider } from '../support/fleet.ts';
import { Reader } from '../support/reader.ts';
import { ownRedis } from '../support/redis.ts';

const LIFETIME_SECONDS = 20;

test('two daemons keep 300 tokens of an authorization server that others wrote fresh for every reader', {
  timeout: 90_000,
}, async () => {
  const redis = await ownRedis();
  const idp = await startOidcProvider(LIFETIME_SECONDS);
  const daemons = fleet({ redisUrl: redis.url, idpUrl: idp.url });
  const reader = new Reader(redis.url, daemons.namespace, OIDC_TARGETS);
  reader.start();
  const started = await Promise.all([daemons.start(), daemons.start()]);
  await reader.everyKey(20_000);
  reader.reset();

  await reader.readFor(1.5 * LIFETIME_SECONDS * 1000);

  const { missed, wentBack, expired, leastLifeLeft, present, sweeps } = reader.seen;
  expect({ missed, wentBack, expired, present }).toEqual({
    missed: [],
    wentBack: [],
    expired: [],
    present: 300,
  });
  expect(sweeps).toBeGreaterThan(100);
  expect(leastLifeLeft).toBeGreaterThan(0.2);
  const requests = await idp.requests();
  expect(requests.every(({ status }) => status === 200 || status === 0)).toBe(true);
  expect(mostIdentical(requests, 20_000)).toBeLessThanOrEqual(5);
  // Both take part: neither is a stand-by.
  for (const daemon of started) expect(daemon.stdout).toContain('"outcome":"refreshed"');
  for (const daemon of started) expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});
