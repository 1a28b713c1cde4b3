import { expect, test } from 'vitest';
import { fleet, tenants } from '../support/fleet.ts';
import { Reader } from '../support/reader.ts';
import { sharedRedis } from '../support/redis.ts';
import { PLAIN_503, startScriptedIdp } from '../support/scripted-idp.ts';

/** Long beside the second for which a gate closes, and the seconds in which it opens slowly. */
const LIFETIME_SECONDS = 40;
const TENANTS = 100;
const TROUBLED = 30;

test('tenants that get nothing but error pages take no token from the others', {
  timeout: 120_000,
}, async () => {
  const idp = await startScriptedIdp(LIFETIME_SECONDS);
  const { url, namespace } = sharedRedis();
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: '',
    limits: '{ perHost: 20/s, perTenant: 10/s, identical: 5/40s }',
    clients: `
  one:
    clientId: one
    tokenEndpoint: ${idp.url}/{tenant}/token
    credentials: [ { secret: { env: DEMO_SECRET } } ]
    tenants: [${tenants('one', TENANTS).join(', ')}]
    resources: { api: scope }
    expectLifetime: ${LIFETIME_SECONDS}s`,
  });
  const running = await Promise.all([daemons.start(), daemons.start()]);
  const troubled = new Set(tenants('one', TROUBLED));
  const healthy = tenants('one', TENANTS).filter((tenant) => !troubled.has(tenant));
  const all = new Reader(
    url,
    namespace,
    tenants('one', TENANTS).map((tenant) => `one/${tenant}/api`),
  );
  all.start();
  await all.everyKey(30_000);
  const reader = new Reader(
    url,
    namespace,
    healthy.map((tenant) => `one/${tenant}/api`),
  );
  reader.start();
  await reader.everyKey(5000);
  reader.reset();

  idp.react(({ tenant }) => (troubled.has(tenant) ? PLAIN_503 : 'token'));
  await reader.readFor(1.5 * LIFETIME_SECONDS * 1000);

  expect(reader.seen).toMatchObject({ missed: [], expired: [], present: TENANTS - TROUBLED });
  for (const daemon of running) expect((await daemon.stop()).code).toBe(0);
});
