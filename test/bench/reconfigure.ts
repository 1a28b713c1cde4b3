import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { DEMO_CLIENT } from '../../src/mock-idp/options.ts';
import { type BenchOptions, type Figure, percentile } from './report.ts';
import { guids } from './samples.ts';
import { type Daemon, Stage } from './stage.ts';

/** Targets with short tokens, whose refreshes go on all the time. */
const RUNNING = 1000;
const LIFETIME_S = 10;
/** The pace at which what is new may be acquired: a limit such as a real server has. */
const NEW_PER_SECOND = 100;

/** What was seen of the running refreshes in a while. */
interface Seen {
  /** From the begin of an attempt to its token, ms. */
  readonly latencies: number[];
  /** From one token of a target to its next, ms. */
  readonly gaps: number[];
}

/** A daemon whose 1,000 targets are refreshed all the time, and whose configuration grows to 100,000 meanwhile. */
export async function measureReconfiguring({ quick, profile }: BenchOptions): Promise<readonly Figure[]> {
  await using stage = new Stage();
  const { url } = await stage.redis();
  const [running, added] = [await stage.mockIdp(), await stage.mockIdp()];
  await running.setLifetime(`${LIFETIME_S}s`);
  await added.setLifetime('24h');
  const daemon = await stage.daemon({ redisUrl: url, idpUrls: [running.url], targets: RUNNING, profile });
  while ((await running.stats()).issued < RUNNING) await sleep(100);
  const redis = new Redis(url);
  stage.defer(() => redis.disconnect());
  const watcher = await Watcher.start(url);
  stage.defer(() => watcher.stop());

  const newTargets = (quick ? 20_000 : 100_000) - RUNNING;
  const managed = (): Promise<number> => redis.zcard(`{evertoken}:due:${new URL(added.url).host}`);
  const tenants = new TenantsFile(stage.folder);
  const first = guids(1);
  tenants.swap(first);
  addClient(stage.folder, added.url);
  while ((await managed()) < 1) await sleep(20);
  await sleep(LIFETIME_S * 1000);

  const before = await watch(daemon, watcher, () => sleep(quick ? 5000 : LIFETIME_S * 1000));
  const changed = await watch(daemon, watcher, async () => {
    tenants.swap([...first, ...guids(newTargets - 1)]);
    const startedAt = performance.now();
    while ((await managed()) < newTargets) await sleep(20);
    const managedMs = performance.now() - startedAt;
    // What was late because of it comes in within a life.
    await sleep(LIFETIME_S * 1000);
    return managedMs;
  });
  return figures(newTargets + RUNNING, before, changed);
}

interface Watched<Result> {
  readonly result: Result;
  readonly seen: Seen;
  readonly stallMs: number;
}

async function watch<Result>(
  daemon: Daemon,
  watcher: Watcher,
  during: () => Promise<Result>,
): Promise<Watched<Result>> {
  await daemon.child.ask<number>('stall');
  watcher.reset();
  const result = await during();
  return { result, seen: watcher.seen, stallMs: await daemon.child.ask<number>('stall') };
}

/** Hears of every token of the running targets. A generation is the Redis time at which its attempt began. */
class Watcher {
  readonly #redis: Redis;
  readonly #generations = new Map<string, number>();
  #seen: Seen = { latencies: [], gaps: [] };

  private constructor(redis: Redis) {
    this.#redis = redis;
  }

  static async start(url: string): Promise<Watcher> {
    const watcher = new Watcher(new Redis(url));
    watcher.#redis.on('message', (_channel, message: string) => watcher.#hear(message));
    await watcher.#redis.subscribe('evertoken:refreshed');
    return watcher;
  }

  get seen(): Seen {
    return this.#seen;
  }

  reset(): void {
    this.#seen = { latencies: [], gaps: [] };
  }

  #hear(message: string): void {
    const [target = '', text] = message.split(' ');
    if (target.startsWith('added/')) return;
    const generation = Number(text);
    const earlier = this.#generations.get(target);
    this.#generations.set(target, generation);
    this.#seen.latencies.push(Date.now() - generation);
    if (earlier !== undefined) this.#seen.gaps.push(generation - earlier);
  }

  stop(): void {
    this.#redis.disconnect();
  }
}

/** A list of tenants that is replaced as a whole, as careful programs do. */
class TenantsFile {
  readonly #file: string;

  constructor(folder: string) {
    this.#file = join(folder, 'tenants.txt');
  }

  swap(tenants: readonly string[]): void {
    writeFileSync(`${this.#file}.new`, tenants.join('\n'));
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function addClient(folder: string, url: string): void {
  const file = join(folder, 'evertoken.yaml');
  const added = `  added:
    clientId: ${DEMO_CLIENT.clientId}
    tokenEndpoint: ${url}/{tenant}/oauth2/v2.0/token
    credentials: [{ secret: { env: BENCH_SECRET } }]
    tenants: { file: tenants.txt }
    resources: { graph: https://graph.microsoft.com/.default }
    limits: { perHost: ${NEW_PER_SECOND}/s }
`;
  writeFileSync(`${file}.new`, readFileSync(file, 'utf8') + added);
  renameSync(`${file}.new`, file);
}

function figures(targets: number, before: Watched<unknown>, changed: Watched<number>): Figure[] {
  const slow = (seen: Seen): number => percentile(seen.latencies, 0.99);
  const longest = (seen: Seen): number => seen.gaps.reduce((most, gap) => Math.max(most, gap), 0) / 1000;
  const expired = ({ gaps }: Seen): number => gaps.filter((gap) => gap > LIFETIME_S * 1000).length;
  const more = targets.toLocaleString('en-US');
  return [
    { what: `until ${more} targets are managed`, value: changed.result / 1000, unit: 's', aim: 'seconds' },
    { what: 'longest stall of the event loop, before', value: before.stallMs, unit: 'ms' },
    { what: '… during the change', value: changed.stallMs, unit: 'ms', aim: 'about 100' },
    { what: 'a running refresh, 99 of 100, before', value: slow(before.seen), unit: 'ms' },
    { what: '… during the change', value: slow(changed.seen), unit: 'ms' },
    { what: '… as a ratio', value: slow(changed.seen) / slow(before.seen), unit: '' },
    { what: `longest between two tokens of ${LIFETIME_S} s, before`, value: longest(before.seen), unit: 's' },
    { what: '… during the change', value: longest(changed.seen), unit: 's', aim: `under ${LIFETIME_S}` },
    {
      what: 'tokens that had ended when the next one came',
      value: expired(changed.seen),
      unit: '',
      aim: '0',
    },
    { what: 'running refreshes, before', value: before.seen.latencies.length, unit: '' },
    { what: '… during the change', value: changed.seen.latencies.length, unit: '' },
  ];
}
