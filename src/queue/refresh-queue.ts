import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { isTarget, type TargetId } from '../core/target.ts';
import { overrideRetention } from './retention.ts';

/** The queue of what should run now. FIFO and short: the due index, not the queue, knows what is to be done. */
export const REFRESH_QUEUE = 'refresh';

interface RefreshJob {
  readonly target: TargetId;
}

/** The index is the one owner of retries: a job runs once, also when its worker was killed. */
const JOB_OPTIONS = { attempts: 1, removeOnComplete: true, removeOnFail: { count: 100 } } as const;

/** A killed worker's jobs are found within two intervals; nothing waits for that, since claims end by themselves. */
const LOCK_MS = 10_000;
const STALLED_INTERVAL_MS = 5000;
/** How many of the queue's events Redis keeps, about. */
const MOST_EVENTS = 1000;

/** Puts claimed targets into the queue. */
export class RefreshQueue {
  readonly #connection: Redis;
  readonly #prefix: string;
  #queue: Queue<RefreshJob> | undefined;
  /** BullMQ has begun with this connection; from then on it survives whatever Redis does. */
  #hasBegun = false;
  #onError: (error: Error) => void = () => {};

  /** Nothing is sent before the first call. */
  constructor(connection: Redis, prefix: string) {
    this.#connection = connection;
    this.#prefix = prefix;
  }

  /** A target that is waiting already is not added again. */
  async add(targets: readonly TargetId[]): Promise<void> {
    await this.#with((queue) =>
      queue.addBulk(
        targets.map((target) => ({
          name: REFRESH_QUEUE,
          data: { target },
          opts: { deduplication: { id: target } },
        })),
      ),
    );
  }

  async waiting(): Promise<number> {
    return await this.#with((queue) => queue.getWaitingCount());
  }

  /** Takes all waiting work out of the queue: a fleet that ends gives its claims back. */
  async drain(): Promise<TargetId[]> {
    const jobs = await this.#with(async (queue) => {
      const waiting = await queue.getJobs(['waiting']);
      await queue.drain();
      return waiting;
    });
    return jobs
      .map((job): unknown => job.data?.target)
      .filter((target) => typeof target === 'string' && isTarget(target)) as TargetId[];
  }

  onError(listener: (error: Error) => void): void {
    this.#onError = listener;
  }

  async close(): Promise<void> {
    await this.#queue?.close();
  }

  /**
   * BullMQ begins once with a connection, and where that fails, since Redis is not there yet, it never tries again: so the
   * queue is made anew until it has once worked.
   */
  async #with<Result>(use: (queue: Queue<RefreshJob>) => Promise<Result>): Promise<Result> {
    this.#queue ??= this.#open();
    const queue = this.#queue;
    try {
      const result = await use(queue);
      this.#hasBegun = true;
      return result;
    } catch (error) {
      if (!this.#hasBegun && this.#queue === queue) {
        this.#queue = undefined;
        // It may wait for a Redis that does not come.
        queue.close().catch(() => {});
      }
      throw error;
    }
  }

  #open(): Queue<RefreshJob> {
    const queue = new Queue<RefreshJob>(REFRESH_QUEUE, {
      connection: this.#connection,
      prefix: this.#prefix,
      streams: { events: { maxLen: MOST_EVENTS } },
      defaultJobOptions: JOB_OPTIONS,
    });
    // Without a listener BullMQ prints the error, and with it the command that failed: a password may be in it.
    queue.on('error', (error) => this.#onError(error));
    return queue;
  }
}

export interface RefreshWorkerOptions {
  readonly connection: Redis;
  readonly prefix: string;
  /** Jobs that this process runs at once. */
  readonly slots: number;
}

/**
 * Runs the queue's jobs. `refresh` takes the job's deduplication key away first, so that deduplication covers waiting
 * only: a target that comes due while it is refreshed gets a new job. It throws for trouble with Redis alone.
 */
export function startRefreshWorker(
  refresh: (target: TargetId, jobId: string) => Promise<void>,
  { connection, prefix, slots }: RefreshWorkerOptions,
): Worker<RefreshJob> {
  const processor = async (job: Job<RefreshJob>): Promise<void> => {
    overrideRetention(job);
    const target: unknown = job.data?.target;
    if (typeof target !== 'string' || !isTarget(target)) {
      throw new UnrecoverableError('expected data { target: client/tenant/resource }');
    }
    // Whatever attempts a job of others brings: the index is the one owner of retries.
    if ((job.opts.attempts ?? 1) > 1) throw new UnrecoverableError('expected attempts: 1');
    await refresh(target, job.id ?? '');
  };
  return new Worker(REFRESH_QUEUE, processor, {
    connection,
    prefix,
    concurrency: slots,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_INTERVAL_MS,
    maxStalledCount: 0,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 100 },
  });
}
