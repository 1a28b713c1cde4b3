import { expect } from 'vitest';
import type { PrivateRedis } from '../../src/demo/private-redis.ts';
import {
  type Fleet,
  fleet,
  type IdentityProvider,
  mostIdentical,
  OIDC_TARGETS,
  startOidcProvider,
} from '../support/fleet.ts';
import type { TestProcess } from '../support/process.ts';
import { Reader } from '../support/reader.ts';
import { ownRedis } from '../support/redis.ts';

export const LIFETIME_MS = 20_000;
/** Long enough that there is always something in flight. */
const DELAY_MS = 500;
export const IDENTICAL = { count: 5, windowMs: 20_000 };

export interface Running {
  readonly redis: PrivateRedis;
  readonly idp: IdentityProvider;
  readonly daemons: Fleet;
  readonly first: TestProcess;
  readonly second: TestProcess;
  readonly reader: Reader;
}

/** Two daemons that keep 300 tokens of 20 s fresh at a slow endpoint, a Redis with a file, and a reader of every key. */
export async function startRunning(): Promise<Running> {
  const redis = await ownRedis({ persistent: true });
  const idp = await startOidcProvider(LIFETIME_MS / 1000, DELAY_MS);
  const daemons = fleet({ redisUrl: redis.url, idpUrl: idp.url });
  const reader = new Reader(redis.url, daemons.namespace, OIDC_TARGETS);
  reader.start();
  const [first, second] = await Promise.all([daemons.start(), daemons.start()]);
  await reader.everyKey(20_000);
  // Into the second cycle: the refreshes are spread, and some are in flight at any moment.
  await reader.readFor(LIFETIME_MS / 2);
  reader.reset();
  return { redis, idp, daemons, first, second, reader };
}

/** No reader has missed a token or seen an older or dead one, and the server has seen no more than is allowed. */
export async function expectUnharmed({ reader, idp }: Running): Promise<void> {
  const { missed, wentBack, expired, present } = reader.seen;
  expect({ missed, wentBack, expired, present }).toEqual({
    missed: [],
    wentBack: [],
    expired: [],
    present: 300,
  });
  expect(mostIdentical(await idp.requests(), IDENTICAL.windowMs)).toBeLessThanOrEqual(IDENTICAL.count);
}
