import { Queue, QueueEvents } from 'bullmq';
import { onTestFinished } from 'vitest';

/** What became of an order. */
export interface OrderResult {
  readonly matched: number;
  readonly accepted: number;
  readonly refused: number;
  readonly reasons: Record<string, number>;
  readonly order: number;
  readonly until: number;
}

export type Operator = (name: string, data: object, options?: object) => Promise<OrderResult>;

/** The operators' queue as any BullMQ client sees it; rejects with the reason of a refusal. */
export function operator(url: string, namespace: string): Operator {
  const options = { connection: { url }, prefix: `{${namespace}}` };
  const queue = new Queue('commands', options);
  // From the first event on: one that comes before the reading has begun would be missed.
  const events = new QueueEvents('commands', { ...options, lastEventId: '0' });
  // One listener for each order that is waited for.
  queue.setMaxListeners(100);
  onTestFinished(async () => {
    await events.close();
    await queue.close();
  });
  return async (name, data, jobOptions = {}) => {
    await events.waitUntilReady();
    const job = await queue.add(name, data, jobOptions);
    return (await job.waitUntilFinished(events, 20_000)) as OrderResult;
  };
}
