/**
 * What BullMQ alone can do: a worker that does nothing, with the concurrency, the options and the connections of
 * the daemon's, fed by its own process as the daemon is, through the same queue with the same deduplication.
 */
import { Worker } from 'bullmq';
import { Secret } from '../../src/core/secret.ts';
import { REFRESH_QUEUE, RefreshQueue } from '../../src/queue/refresh-queue.ts';
import { connectRedis } from '../../src/store/connection.ts';

const CONCURRENCY = 128;
/** As the dispatcher bounds them. */
const MOST_WAITING = 2000;
const MOST_AT_ONCE = 1000;
const PAUSE_MS = 10;

const [url = '', prefix = '', targets = '0'] = process.argv.slice(2);
const address = { url: new Secret(url) };
const queue = new RefreshQueue(connectRedis(address, 'commands', 'bench'), prefix);
const blocking = connectRedis(address, 'blocking', 'bench');

let done = 0;
const nothing = async (): Promise<void> => {
  done += 1;
};
const worker = new Worker(REFRESH_QUEUE, nothing, {
  connection: blocking,
  prefix,
  concurrency: CONCURRENCY,
  lockDuration: 10_000,
  stalledInterval: 5000,
  maxStalledCount: 0,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 100 },
});

let feeding: Promise<void> | undefined;
let isFed = false;
let next = 0;

/** Other targets than those that wait: more of them than can wait. */
function nextTargets(count: number): string[] {
  return Array.from({ length: count }, () => `bench0/tenant-${next++ % Number(targets)}/graph`);
}

async function feed(): Promise<void> {
  while (isFed) {
    const room = MOST_WAITING - (await queue.waiting());
    if (room > 0) await queue.add(nextTargets(Math.min(room, MOST_AT_ONCE)));
    else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

const ORDERS: Readonly<Record<string, () => Promise<void>>> = {
  start: async () => {
    isFed = true;
    feeding = feed();
  },
  stop: async () => {
    isFed = false;
    await feeding;
    await queue.drain();
  },
  count: async () => {},
};

process.on('message', (order: string) => {
  const carriedOut = ORDERS[order]?.() ?? Promise.resolve();
  carriedOut.then(() => {
    const { user, system } = process.cpuUsage();
    process.send?.({ done, cpuMs: (user + system) / 1000 });
  }, fail);
});
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));

function fail(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exit(1);
}

await worker.waitUntilReady();
process.send?.({ done, cpuMs: 0 });
