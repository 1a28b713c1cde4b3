import type { Target } from '../core/client.ts';
import { advice, codeLabel, type Problem } from '../core/failure.ts';
import type { Logger } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { MemberEvents } from '../refresh/member.ts';
import type { RefreshReport } from '../refresh/report.ts';
import type { HealthState } from './health.ts';

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
  if (report.repeated === true) metrics.repeatedTokens.inc({ client });
  if (isMixUp(report)) metrics.mixUps.inc({ client });
  const line = {
    target: report.target,
    outcome: report.outcome,
    reason: report.reason,
    why: report.why,
    durationMs: Math.round(report.durationMs),
    nextAt: isoTime(report.nextAt),
    ...(report.generation === undefined ? {} : { generation: report.generation }),
    ...(report.expiresAt === undefined ? {} : { expiresAt: isoTime(report.expiresAt) }),
    ...(report.requests === 0 ? {} : { requests: report.requests, requestId: report.requestId }),
    ...failureFields(report),
  };
  if (isMixUp(report)) log.error(line, 'a token that was mixed up: it was not published');
  else if (report.outcome === 'failed') log.warn(line, 'token not refreshed');
  else if (report.repeated === true) log.warn(line, 'the server gave the same token again');
  else if (report.outcome === 'refreshed') log.info(line, 'token refreshed');
  else log.debug(line, 'job without a refresh');
}

const MIX_UPS: readonly string[] = [
  'token of another tenant',
  'token of another client',
  'token for another audience',
] satisfies Problem[];

const isMixUp = ({ failure }: RefreshReport): boolean =>
  failure !== undefined && MIX_UPS.includes(failure.code);

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

/** More removals at once are told by their number: a line for each would be a flood. */
const MOST_NAMED = 100;

/** Tells what a process goes through as a member of the fleet. */
export function memberEvents(sources: {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
}): MemberEvents {
  const { log } = sources;
  const awaiting = awaitingReport(sources);
  return {
    joined: ({ epoch, lost, enlisted, restored }) => {
      const line = { epoch, restored, ...enlisted };
      if (lost) log.warn(line, 'Redis had lost its state: this process has given back what it remembered');
      else log.info(line, 'joined the fleet');
    },
    restored: (restored) => log.warn({ restored }, 'gave back to Redis what it had missed'),
    kept: (kept) => awaiting({ kept }),
    clockWentBack: ({ lostMs, renewed }) => {
      const lostSeconds = Math.round(lostMs / 1000);
      if (renewed === undefined)
        log.info(
          { lostSeconds },
          'the clock of Redis has gone back: what this process remembers of requests is dated anew, and whoever dispatches wants every token anew',
        );
      else
        log.error(
          { lostSeconds, renewed },
          'the clock of Redis has gone back: every token is wanted anew, since by this clock all seem younger than they are',
        );
    },
    configured: ({ targets, enlisted }) =>
      log.info({ targets, ...enlisted }, 'took over the changed configuration'),
    removals: ({ removed, awaitingConfirmation }) => {
      const named = removed.slice(0, MOST_NAMED);
      for (const target of named) log.info({ target }, 'no longer configured: removed with its token');
      const more = removed.length - named.length;
      if (more > 0)
        log.info({ targets: more }, 'no longer configured: as many more removed with their tokens');
      awaiting({ absent: awaitingConfirmation });
    },
  };
}

type ByClient = ReadonlyMap<string, number>;

/**
 * Tells which removals wait for an operator. `kept`: what this process goes on to refresh although its configuration
 * has dropped it. `absent`: what is managed and in no configuration, as after a restart.
 */
function awaitingReport({
  log,
  metrics,
  health,
}: {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
}): (news: { kept: ByClient } | { absent: ByClient }) => void {
  let current: { readonly kept: ByClient; readonly absent: ByClient } = {
    kept: new Map(),
    absent: new Map(),
  };
  let before = '';
  return (news) => {
    current = { ...current, ...news };
    const counts = new Map(current.kept);
    for (const [client, count] of current.absent) counts.set(client, (counts.get(client) ?? 0) + count);
    metrics.awaitingConfirmation.reset();
    for (const [client, count] of counts) metrics.awaitingConfirmation.set({ client }, count);
    health.set('removal-awaits-confirmation', counts.size > 0);
    const now = JSON.stringify([...counts].sort());
    if (counts.size > 0 && now !== before) {
      log.warn(
        { clients: Object.fromEntries(counts), refreshed: current.kept.size > 0 },
        'more than a fifth of the targets of a client are no longer configured: they are kept until confirmed by `evertoken remove CLIENT --absent`',
      );
    }
    before = now;
  };
}
