import type { AfterOutage } from '../core/after-outage.ts';
import { formatDuration, rateText } from '../core/duration.ts';
import { type ClientPlan, type HostPlan, USABLE_SHARE } from '../core/feasibility.ts';
import { heldWords, lifeText } from '../core/feasibility-words.ts';
import { type Column, renderTable } from './table.ts';

/** What each client asks for, and what it holds. */
export function renderClientPlans(plans: readonly HostPlan[], colour: boolean): string {
  const rows = plans.flatMap(({ host, clients }) => clients.map((client) => ({ ...client, host })));
  return renderTable(CLIENT_COLUMNS, rows, { colour });
}

const CLIENT_COLUMNS: readonly Column<ClientPlan & { readonly host: string }>[] = [
  { title: 'CLIENT', cell: ({ client }) => client },
  { title: 'HOST', cell: ({ host }) => host },
  { title: 'TENANTS', align: 'right', cell: ({ tenants }) => `${tenants}` },
  { title: 'RESOURCES', align: 'right', cell: ({ resources }) => `${resources}` },
  { title: 'TARGETS', align: 'right', cell: ({ targets }) => `${targets}` },
  {
    title: 'LIFETIME',
    cell: ({ life, isSeen }) => `${lifeText(life)} (${isSeen ? 'seen' : 'expected'})`,
  },
  {
    title: 'REFRESHED AFTER',
    cell: ({ window, life }) =>
      [window.earliest, window.latest].map((share) => formatDuration(share * life.meanMs)).join(' to '),
  },
  {
    title: 'OUTAGE',
    cell: heldWords,
    style: ({ obstacle }) => (obstacle === undefined ? 'green' : 'red'),
  },
];

/** The arithmetic of one host, as lines. */
export function renderHostPlan(plan: HostPlan): string {
  const { host, targets, requestsPerSecond, usablePerSecond, limitPerSecond, afterOutage } = plan;
  return [
    `${host}, ${plural(targets, 'target')}`,
    `  asked for      ${rateText(requestsPerSecond)}, of ${rateText(usablePerSecond)} that plans may use (${USABLE_SHARE * 100} % of limits.perHost, ${rateText(limitPerSecond)})`,
    ...(afterOutage === undefined
      ? ['  outage         none is held by all clients']
      : outageLines(afterOutage, limitPerSecond)),
  ].join('\n');
}

function outageLines(
  { outageMs, recovery, behind, caughtUpMs, late }: AfterOutage,
  limitPerSecond: number,
): string[] {
  const { requestTimeoutMs, probeMs, slowStartMs } = recovery;
  const withoutRequestsMs = outageMs + requestTimeoutMs + probeMs + slowStartMs;
  return [
    `  without tokens ${formatDuration(withoutRequestsMs)} = outage ${formatDuration(outageMs)} + request time-out ${formatDuration(requestTimeoutMs)} + probe ${formatDuration(probeMs)} + slow start ${formatDuration(slowStartMs)}`,
    `  then behind    ${plural(behind, 'target')}, caught up within ${formatDuration(caughtUpMs)} at ${rateText(limitPerSecond)}`,
    `  late           ${late === 0 ? 'none: until each has its turn, its token lives' : `${plural(late, 'token')} before their turn`}`,
  ];
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
