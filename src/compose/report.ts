import type { Target } from '../core/client.ts';
import { advice, codeLabel } from '../core/failure.ts';
import type { Logger } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { MemberEvents } from '../refresh/member.ts';
import type { RefreshReport } from '../refresh/report.ts';

const isoTime = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

/** One line and a few counters for each job; what is logged is chosen here, field by field. */
export function reportRefresh(
  report: RefreshReport,
  target: Target | undefined,
  log: Logger,
  metrics: Metrics,
): void {
  // A job may name anything; only what is configured becomes a label.
  const client = target?.client.name ?? 'unknown';
  metrics.refreshes.inc({ client, outcome: report.outcome, reason: report.reason });
  if (target !== undefined && report.requests > 0) {
    metrics.requests.inc({ host: target.host }, report.requests);
    metrics.duration.observe({ host: target.host }, report.durationMs / 1000);
  }
  if (report.failure !== undefined)
    metrics.failures.inc({ client, kind: report.failure.kind, code: codeLabel(report.failure.code) });
  if (report.outcome === 'refreshed' && report.lifeLeft !== undefined)
    metrics.lifeLeft.observe(report.lifeLeft);
  const line = {
    target: report.target,
    outcome: report.outcome,
    reason: report.reason,
    why: report.why,
    durationMs: Math.round(report.durationMs),
    nextAt: isoTime(report.nextAt),
    ...(report.generation === undefined ? {} : { generation: report.generation }),
    ...(report.expiresAt === undefined ? {} : { expiresAt: isoTime(report.expiresAt) }),
    ...(report.requests === 0 ? {} : { requests: report.requests }),
    ...failureFields(report),
  };
  if (report.outcome === 'failed') log.warn(line, 'token not refreshed');
  else if (report.outcome === 'refreshed') log.info(line, 'token refreshed');
  else log.debug(line, 'job without a refresh');
}

function failureFields({ failure }: RefreshReport): object {
  if (failure === undefined) return {};
  const { owner, what, todo } = advice(failure);
  return {
    failure: {
      kind: failure.kind,
      code: failure.code,
      status: failure.status,
      retryAfterMs: failure.retryAfterMs,
      correlationId: failure.correlationId,
      traceId: failure.traceId,
      what,
      owner,
      todo,
    },
  };
}

/** Logs what a process goes through as a member of the fleet. */
export function memberEvents(log: Logger, metrics: Metrics): MemberEvents {
  let awaitingBefore = '';
  return {
    joined: ({ epoch, lost, enlisted, restored }) => {
      const line = { epoch, restored, ...enlisted };
      if (lost) log.warn(line, 'Redis had lost its state: this process has given back what it remembered');
      else log.info(line, 'joined the fleet');
    },
    restored: (restored) => log.warn({ restored }, 'gave back to Redis what it had missed'),
    removals: ({ removed, awaitingConfirmation }) => {
      for (const target of removed) log.info({ target }, 'no longer configured: removed with its token');
      metrics.awaitingConfirmation.reset();
      for (const [client, count] of awaitingConfirmation) metrics.awaitingConfirmation.set({ client }, count);
      const awaiting = JSON.stringify([...awaitingConfirmation]);
      if (awaitingConfirmation.size > 0 && awaiting !== awaitingBefore) {
        log.warn(
          { clients: Object.fromEntries(awaitingConfirmation) },
          'more than a fifth of the targets of a client are no longer configured: they are kept until confirmed by `evertoken remove CLIENT --absent`',
        );
      }
      awaitingBefore = awaiting;
    },
  };
}
