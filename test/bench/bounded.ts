import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Churn } from './churn.ts';
import { type BenchOptions, type Figure, median } from './report.ts';
import { usedMemory } from './server-stats.ts';
import { Stage } from './stage.ts';

const EARLY = 10;
/** At three or four events for each job, more than BullMQ keeps of them. */
const MORE_THAN_EVENTS = 4000;

interface Look {
  readonly keys: number;
  readonly bytes: number;
}

/** What Redis holds after ten cycles of targets that come and go, and after a thousand. */
export async function measureBoundedness({ quick }: BenchOptions): Promise<readonly Figure[]> {
  await using stage = new Stage();
  const { url } = await stage.redis();
  const redis = new Redis(url);
  stage.defer(() => redis.disconnect());
  const churn = await Churn.start(url, 'evertoken', MORE_THAN_EVENTS);
  stage.defer(() => churn.stop());

  const late = quick ? 200 : 1000;
  for (let i = 0; i < EARLY; i++) await churn.cycle();
  const early = await look(churn, redis);
  const startedAt = performance.now();
  for (let i = EARLY; i < late; i++) await churn.cycle();
  const cycleMs = (performance.now() - startedAt) / (late - EARLY);
  const after = await look(churn, redis);
  return [
    {
      what: `keys after ${late} cycles, beyond those after ${EARLY}`,
      value: after.keys - early.keys,
      unit: '',
      aim: '0',
    },
    {
      what: `memory after ${late} cycles, beyond that after ${EARLY}`,
      value: 100 * (after.bytes / early.bytes - 1),
      unit: '%',
      aim: 'the same',
    },
    { what: `keys after ${EARLY} cycles`, value: early.keys, unit: '' },
    { what: `memory after ${EARLY} cycles`, value: early.bytes / 1024, unit: 'KiB' },
    { what: 'a cycle', value: cycleMs, unit: 'ms' },
  ];
}

async function look(churn: Churn, redis: Redis): Promise<Look> {
  const samples: number[] = [];
  for (let i = 0; i < 5; i++) {
    // Passing keys and the buffers of connections go.
    await sleep(500);
    samples.push(await usedMemory(redis));
  }
  const kinds = await churn.keys();
  return { keys: Object.values(kinds).reduce((sum, count) => sum + count, 0), bytes: median(samples) };
}
