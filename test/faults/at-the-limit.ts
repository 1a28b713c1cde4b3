import { expect } from 'vitest';
import type { PrivateRedis } from '../../src/demo/private-redis.ts';
import { Keys } from '../../src/store/keys.ts';
import {
  type Fleet,
  fleet,
  type IdentityProvider,
  type LoggedRequest,
  mockClient,
  mostIdentical,
  startMockIdp,
  tenants,
} from '../support/fleet.ts';
import type { TestProcess } from '../support/process.ts';
import { Reader } from '../support/reader.ts';
import { connect, ownRedis } from '../support/redis.ts';

const TARGETS = 2000;
export const LIFETIME_MS = 60_000;
/** What the server takes a second, and what evertoken is told it may send: more. */
const SERVER_RATE = 140;
const LIMIT = 160;
const OUTAGE_MS = 20_000;
/** A request that was on its way when the answer came that closed the gate. */
const IN_FLIGHT_MS = 500;
const RETRY_AFTER_MS = 1000;
const IDENTICAL = { count: 5, windowMs: LIFETIME_MS };

/** Two daemons with more to do than the server gives at once. */
export interface AtTheLimit {
  readonly redis: PrivateRedis;
  readonly idp: IdentityProvider;
  readonly daemons: Fleet;
  readonly running: [TestProcess, TestProcess];
  readonly reader: Reader;
}

/** 2,000 tokens of 60 s at a server that takes less than the limit, refuses more and looks out for loops. */
export async function startAtTheLimit(): Promise<AtTheLimit> {
  const redis = await ownRedis({ persistent: false });
  const idp = await startMockIdp(
    ...['--lifetime', `${LIFETIME_MS / 1000}s`, '--signing', 'premade'],
    ...['--rate', `${SERVER_RATE}/s`, '--retry-after', `${RETRY_AFTER_MS}ms`],
    ...['--loop', `${IDENTICAL.count + 1}/${IDENTICAL.windowMs / 1000}s`],
  );
  const daemons = fleet({
    redisUrl: redis.url,
    idpUrl: idp.url,
    clients: `${mockClient(idp.url, TARGETS)}\n    expectLifetime: ${LIFETIME_MS / 1000}s`,
    limits: `{ perHost: ${LIMIT}/s, perTenant: 10/s, identical: ${IDENTICAL.count}/${IDENTICAL.windowMs / 1000}s }`,
    refresh: `{ outageTarget: ${OUTAGE_MS / 1000}s }`,
  });
  const targets = tenants('t', TARGETS).map((tenant) => `demo/${tenant}/graph`);
  const reader = new Reader(redis.url, daemons.namespace, targets);
  reader.start();
  const running = await Promise.all([daemons.start(), daemons.start()]);
  await reader.everyKey((2 * TARGETS * 1000) / SERVER_RATE + 10_000);
  // The second cycle is spread over its window; the first was issued at one go.
  await reader.readFor(LIFETIME_MS / 2);
  reader.reset();
  return { redis, idp, daemons, running, reader };
}

/** How a fleet has come out of an outage. */
export interface Recovery {
  /** Targets that were due when the endpoint came back. */
  readonly backlog: number;
  /** From the first token after it until the last of those had one, ms. */
  readonly tookMs: number;
  /** What it may take: 1.2 × backlog / rate, ms. */
  readonly mayTakeMs: number;
}

/** Takes the endpoint away for as long as the tokens can hold, and watches the way back. `meanwhile`: told when it is back. */
export async function surviveOutage(
  { redis, idp, daemons, reader }: Pick<AtTheLimit, 'redis' | 'idp' | 'daemons' | 'reader'>,
  meanwhile: () => Promise<void>,
): Promise<Recovery> {
  const client = connect(redis.url);
  const keys = new Keys(daemons.namespace);
  const host = new URL(idp.url).host;
  await idp.control({ mode: 'unavailable' });
  await reader.readFor(OUTAGE_MS);
  const waiting = await client.zrange(keys.ready(host), '0', '-1');
  const backAt = Date.now();
  await idp.control({ mode: 'ok' });
  await meanwhile();
  const mayTakeMs = (1.2 * 1000 * waiting.length) / SERVER_RATE;
  const due = new Set(waiting.map((target) => target.split('/')[1] as string));
  const issuedAfter = async (): Promise<LoggedRequest[]> =>
    (await idp.requests()).filter(({ at, status }) => at >= backAt && status === 200);
  let issued = await issuedAfter();
  for (const end = backAt + 4 * mayTakeMs; Date.now() < end; issued = await issuedAfter()) {
    const through = new Set(issued.map(({ tenant }) => tenant));
    if ([...due].every((tenant) => through.has(tenant))) break;
    await reader.readFor(500);
  }
  const firstOf = (tenant: string): number =>
    issued.find((request) => request.tenant === tenant)?.at ?? Infinity;
  const last = Math.max(...[...due].map(firstOf));
  return { backlog: waiting.length, tookMs: last - (issued[0] as LoggedRequest).at, mayTakeMs };
}

/** What must hold whatever has happened: no token missed, and a server that was asked as it likes. */
export async function expectWellBehaved({ idp, reader }: Pick<AtTheLimit, 'idp' | 'reader'>): Promise<void> {
  const { missed, wentBack, expired, present } = reader.seen;
  expect({ missed, wentBack, expired, present }).toEqual({
    missed: [],
    wentBack: [],
    expired: [],
    present: TARGETS,
  });
  const requests = await idp.requests();
  expect(mostIdentical(requests, IDENTICAL.windowMs)).toBeLessThanOrEqual(IDENTICAL.count);
  expect(sentWhileClosed(requests)).toEqual([]);
  const stats = (await (await fetch(`${idp.url}/control/stats`)).json()) as { violations: object };
  expect(stats.violations).toEqual({});
}

/** Requests that were sent in the time that a 429 had asked to wait, but for those in flight. */
export function sentWhileClosed(requests: readonly LoggedRequest[]): LoggedRequest[] {
  const early: LoggedRequest[] = [];
  let closedAt = Number.NEGATIVE_INFINITY;
  for (const request of requests) {
    const since = request.at - closedAt;
    if (since > IN_FLIGHT_MS && since < RETRY_AFTER_MS) early.push(request);
    if (request.status === 429 && since >= RETRY_AFTER_MS) closedAt = request.at;
  }
  return early;
}
