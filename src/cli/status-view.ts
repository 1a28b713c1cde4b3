import { CONDITIONS } from '../core/condition.ts';
import { formatDuration } from '../core/duration.ts';
import { heldWords } from '../core/feasibility-words.ts';
import { formatMoment } from '../core/moment.ts';
import type { ProcessInfo } from '../store/fleet.ts';
import type { CredentialStatus, HostStatus, Status } from './fleet-status.ts';
import { CONDITION_STYLES, type Column, paint, renderTable } from './table.ts';

/** The overview for people. */
export function renderStatus(status: Status, colour: boolean): string {
  return [
    renderProcesses(status, colour),
    renderHosts(status, colour),
    renderCredentials(status, colour),
    renderTargets(status, colour),
    renderOutages(status, colour),
    renderRemarks(status).join('\n'),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function renderProcesses({ processes, configuration, now }: Status, colour: boolean): string {
  if (processes.length === 0)
    return paint(
      'No daemon lives: nothing is refreshed until one is started (evertoken start).',
      'red',
      colour,
    );
  const columns: Column<ProcessInfo>[] = [
    { title: 'PROCESS', cell: ({ host, pid }) => `${host}:${pid}` },
    { title: 'ROLE', cell: ({ role }) => role },
    { title: 'VERSION', cell: ({ version }) => version },
    { title: 'CONFIG', cell: ({ configHash }) => configHash.slice(0, 8) },
    { title: 'UP', align: 'right', cell: ({ startedAt }) => formatDuration(Math.max(0, now - startedAt)) },
  ];
  const agreement = configuration.sameAsHere
    ? ''
    : configuration.processesAgree
      ? `\nThe processes agree on a configuration that is not the one at hand (${configuration.hash.slice(0, 8)}).`
      : `\nThe processes have different configurations, so nothing is removed until they agree; the one at hand is ${configuration.hash.slice(0, 8)}.`;
  return renderTable(columns, processes.toSorted(byStart), { colour }) + agreement;
}

const byStart = (a: ProcessInfo, b: ProcessInfo): number => a.startedAt - b.startedAt;

function renderHosts({ hosts, queueWaiting, now }: Status, colour: boolean): string {
  if (hosts.length === 0) return '';
  const columns: Column<HostStatus>[] = [
    { title: 'HOST', cell: ({ host }) => host },
    { title: 'MANAGED', align: 'right', cell: ({ managed }) => `${managed}` },
    { title: 'DUE', align: 'right', cell: ({ due }) => `${due}` },
    { title: 'READY', align: 'right', cell: ({ ready }) => `${ready}` },
    {
      title: 'GATE',
      cell: ({ gate }) => gateText(gate, now),
      style: ({ gate }) =>
        gate.closedUntil > now ? 'red' : gate.probing || gate.lowered !== undefined ? 'yellow' : 'green',
    },
  ];
  return `${renderTable(columns, hosts, { colour })}\nIn the queue for a worker: ${queueWaiting}`;
}

function gateText({ closedUntil, why, probing, lowered }: HostStatus['gate'], now: number): string {
  if (closedUntil > now) return `closed until ${formatMoment(closedUntil, now)}: ${why}`;
  if (probing) return `probing: ${why}`;
  return lowered === undefined ? 'open' : `open at ${lowered}`;
}

/** Only where a server has found fault with one: most of the time there is nothing to see. */
function renderCredentials({ credentials, now }: Status, colour: boolean): string {
  const troubled = credentials.filter(({ standing }) => standing === 'refused' || standing === 'suspect');
  if (troubled.length === 0) return '';
  const columns: Column<CredentialStatus>[] = [
    { title: 'CLIENT', cell: ({ client }) => client },
    { title: 'CREDENTIAL', cell: ({ fingerprint }) => fingerprint },
    {
      title: 'STANDING',
      cell: ({ standing, code }) => `${standing}: ${code}`,
      style: ({ standing }) => (standing === 'refused' ? 'red' : 'yellow'),
    },
    { title: 'SINCE', cell: ({ since }) => formatMoment(since, now) },
    {
      title: 'TRIED AGAIN',
      cell: ({ probeAt }) => (probeAt === undefined ? '' : formatMoment(Math.max(probeAt, now), now)),
    },
  ];
  return renderTable(columns, troubled, { colour });
}

function renderTargets({ targets }: Status, colour: boolean): string {
  if (targets.total === 0) return 'No target is managed.';
  const counts = CONDITIONS.filter((condition) => targets.byCondition[condition] > 0).map((condition) =>
    paint(`${targets.byCondition[condition]} ${condition}`, CONDITION_STYLES[condition], colour),
  );
  const life =
    targets.shortestLifeLeftMs === undefined
      ? ''
      : `; the shortest life left is ${formatDuration(targets.shortestLifeLeftMs)}`;
  return `Targets: ${targets.total}: ${counts.join(', ')}\nTokens that live: ${targets.withToken}${life}`;
}

/** A line for each client. */
const renderOutages = ({ outages }: Status, colour: boolean): string =>
  outages
    .map((outage) => {
      const held = `${outage.client} ${heldWords(outage)}`;
      return outage.obstacle === undefined ? held : paint(`${held}: ${outage.why}`, 'yellow', colour);
    })
    .join('\n');

function renderRemarks({ pauses, tenantOverrides, awaitingRemoval, now }: Status): string[] {
  const { added, removed } = tenantOverrides;
  return [
    ...pauses.map(({ select, until, by }) => `Paused: ${select} until ${formatMoment(until, now)}, by ${by}`),
    ...(added + removed === 0 ? [] : [`Tenants by operators: ${added} added, ${removed} removed`]),
    ...Object.entries(awaitingRemoval).map(
      ([client, count]) =>
        `No longer named by the configuration at hand, but managed: ${count} of client ${client} (confirm with: evertoken remove ${client} --absent)`,
    ),
  ];
}
