import type { Parts } from '../src/compose/parts.ts';
import { reportRefresh } from '../src/compose/report.ts';
import { EvertokenError } from '../src/core/errors.ts';
import { startRefreshWorker } from '../src/queue/refresh-queue.ts';
import type { Service } from './service.ts';

/** Refreshes the targets whose jobs come out of the queue. */
export function startRefreshing(parts: Parts, slots: number): Service {
  const { keys, log, metrics, member, refreshTarget, lifetimes } = parts;
  const connection = parts.openBlocking('refresh');
  const usable = (): number => usableSlots(slots, member.catalogue.hosts().size);
  const worker = startRefreshWorker(
    async (id, jobId) => {
      const run = refreshTarget.run(id, jobId);
      const report = await run.catch((error: unknown) => {
        // Redis has failed in the middle. The claim's end offers the target again; a token is in memory until then.
        member.noteUnsaved();
        log.warn({ target: id, error }, 'refresh interrupted');
        // What a failed job keeps in Redis has to be free of what the error may hold.
        throw new EvertokenError('REDIS_UNREACHABLE', 'Redis failed during the refresh; see the log');
      });
      const target = member.catalogue.get(id);
      if (target !== undefined && report.lifeMs !== undefined)
        lifetimes.note(target.client.name, report.lifeMs);
      reportRefresh(report, target, log, metrics);
    },
    { connection, prefix: keys.queuePrefix, slots: usable() },
  );
  member.onChange(() => {
    worker.concurrency = usable();
  });
  worker.on('error', (error) => log.debug({ error }, 'refresh queue'));
  return { stop: (force) => worker.close(force), disconnect: () => connection.disconnect() };
}

/** One host holds at most half of the slots, so with one host the other half could only give jobs back. */
function usableSlots(slots: number, hosts: number): number {
  return Math.max(1, Math.min(slots, Math.floor(slots / 2) * hosts));
}
