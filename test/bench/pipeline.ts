import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type BenchOptions, type Figure, median, spread } from './report.ts';
import { serverCpuMs } from './server-stats.ts';
import { type Asked, type Daemon, type MockIdpProcess, Stage } from './stage.ts';

const TARGETS = 5000;
/** Shorter than a round of all targets takes: what is refreshed is due again before the round ends. */
const SATURATING_LIFETIME = '2s';
const RESTING_LIFETIME = '24h';

/** Processor ms are of one core each. */
interface Sample {
  readonly perSecond: number;
  readonly otherJobsPerSecond: number;
  readonly requestsPerSecond: number;
  readonly redisMs: number;
  readonly processMs: number;
  readonly idpMs: number;
}

interface Counted {
  readonly done: number;
  readonly otherJobs: number;
  readonly requests: number;
  readonly processMs: number;
  readonly idpMs: number;
}

interface Line {
  readonly name: string;
  start(): Promise<unknown>;
  /** Resolves when nothing is under way. */
  rest(): Promise<unknown>;
  /** Jobs that did what they are for, and others; requests; processor ms of its own process and of mock-idp's. */
  count(): Promise<Counted>;
}

/** Refreshes a second through the whole line, against BullMQ jobs a second that do nothing, turn by turn. */
export async function measurePipeline({ quick, profile }: BenchOptions): Promise<readonly Figure[]> {
  await using stage = new Stage();
  const server = await stage.redis();
  const redis = new Redis(server.url);
  stage.defer(() => redis.disconnect());
  const idp = await stage.mockIdp();
  await idp.setLifetime(RESTING_LIFETIME);
  const baseline = await stage.helper('./idle-worker-process.ts', [server.url, '{baseline}', `${TARGETS}`]);
  const daemon = await stage.daemon({ redisUrl: server.url, idpUrls: [idp.url], targets: TARGETS, profile });
  const commands = new Queue('commands', { connection: { url: server.url }, prefix: '{evertoken}' });
  stage.defer(() => commands.close());

  const lines = [evertokenLine(daemon, idp, commands), emptyLine(baseline)] as const;
  const samples = new Map<string, Sample[]>(lines.map(({ name }) => [name, []]));
  await lines[0].rest();
  // The first round warms up both lines and is not counted.
  for (let round = 0; round <= (quick ? 2 : 5); round++) {
    for (const line of lines) {
      const sample = await measure(line, redis, quick ? 2000 : 4000);
      if (round > 0) samples.get(line.name)?.push(sample);
    }
  }
  return figures(samples.get('evertoken') ?? [], samples.get('nothing') ?? []);
}

const WARM_UP_MS = 1500;

async function measure(line: Line, redis: Redis, forMs: number): Promise<Sample> {
  await line.start();
  await sleep(WARM_UP_MS);
  const look = async () => ({
    ...(await line.count()),
    redisMs: await serverCpuMs(redis),
    at: performance.now(),
  });
  const before = await look();
  await sleep(forMs);
  const after = await look();
  await line.rest();
  const seconds = (after.at - before.at) / 1000;
  return {
    perSecond: (after.done - before.done) / seconds,
    otherJobsPerSecond: (after.otherJobs - before.otherJobs) / seconds,
    requestsPerSecond: (after.requests - before.requests) / seconds,
    redisMs: (after.redisMs - before.redisMs) / seconds,
    processMs: (after.processMs - before.processMs) / seconds,
    idpMs: (after.idpMs - before.idpMs) / seconds,
  };
}

/** The daemon, kept busy by tokens that do not last and put to rest by ones that do. */
function evertokenLine({ child, metrics }: Daemon, idp: MockIdpProcess, commands: Queue): Line {
  const count = async () => {
    const exposition = await metrics();
    const { requests, cpuMs } = await idp.stats();
    const all = outcomes(exposition);
    const done = all.get('refreshed') ?? 0;
    return {
      done,
      otherJobs: [...all.values()].reduce((sum, count) => sum + count, 0) - done,
      requests,
      processMs: await child.ask<number>('cpu'),
      idpMs: cpuMs,
    };
  };
  const rest = async (): Promise<void> => {
    await idp.setLifetime(RESTING_LIFETIME);
    for (let before = -1, now = 0; before !== now || now < TARGETS; ) {
      await sleep(1000);
      before = now;
      now = (await idp.stats()).requests;
    }
  };
  const start = async (): Promise<void> => {
    await idp.setLifetime(SATURATING_LIFETIME);
    await commands.add('refresh', { select: '*', all: true, force: true, by: 'bench' });
  };
  return { name: 'evertoken', start, rest, count };
}

/** How many jobs the daemon has ended, by outcome. */
function outcomes(exposition: string): Map<string, number> {
  const counts = new Map<string, number>();
  const lines = exposition.matchAll(/^evertoken_refreshes_total\{[^}]*outcome="([^"]+)"[^}]*\} (\d+)/gm);
  for (const [, outcome = '', count] of lines)
    counts.set(outcome, (counts.get(outcome) ?? 0) + Number(count));
  return counts;
}

function emptyLine(child: Asked): Line {
  const count = async () => {
    const { done, cpuMs } = await child.ask<{ done: number; cpuMs: number }>('count');
    return { done, otherJobs: 0, requests: 0, processMs: cpuMs, idpMs: 0 };
  };
  return { name: 'nothing', start: () => child.ask('start'), rest: () => child.ask('stop'), count };
}

function figures(ours: readonly Sample[], nothing: readonly Sample[]): Figure[] {
  const middle = (samples: readonly Sample[], of: keyof Sample): number =>
    median(samples.map((sample) => sample[of]));
  const ratios = ours.map(({ perSecond }, i) => perSecond / (nothing[i]?.perSecond ?? Number.NaN));
  const perSecond = middle(ours, 'perSecond');
  const each = (of: keyof Sample): number => (1000 * middle(ours, of)) / perSecond;
  return [
    {
      what: 'ratio, median of the rounds',
      value: median(ratios),
      unit: '',
      aim: 'at least 0.35, better 0.5',
    },
    { what: 'spread of the ratio over the rounds', value: 100 * spread(ratios), unit: '%' },
    { what: 'refreshes', value: perSecond, unit: '/s' },
    { what: 'requests for each refresh', value: middle(ours, 'requestsPerSecond') / perSecond, unit: '' },
    { what: 'jobs without a refresh', value: middle(ours, 'otherJobsPerSecond'), unit: '/s' },
    { what: 'BullMQ jobs that do nothing', value: middle(nothing, 'perSecond'), unit: '/s' },
    { what: 'processor time for a refresh: daemon', value: each('processMs'), unit: 'µs' },
    { what: '… Redis', value: each('redisMs'), unit: 'µs' },
    { what: '… mock-idp', value: each('idpMs'), unit: 'µs' },
    { what: "mock-idp's share of one core", value: middle(ours, 'idpMs') / 10, unit: '%' },
    {
      what: 'processor time for a job that does nothing: its process',
      value: (1000 * middle(nothing, 'processMs')) / middle(nothing, 'perSecond'),
      unit: 'µs',
    },
    {
      what: '… Redis',
      value: (1000 * middle(nothing, 'redisMs')) / middle(nothing, 'perSecond'),
      unit: 'µs',
    },
  ];
}
