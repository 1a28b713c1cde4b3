import { formatDuration } from '../core/duration.ts';
import { heldWords } from '../core/feasibility-words.ts';
import { plannedOutageMs, problemsOf } from './planned.ts';
import type { Run } from './run.ts';
import type { LifetimeGroup } from './scenario.ts';
import { type OutageSummary, type Summary, summarise } from './summary.ts';
import { timeline } from './timeline.ts';
import { windowsOf } from './windows.ts';

/** What a run has shown, for people: what was asked, a timeline, and the figures. */
export function describe(run: Run, columns: number): string {
  const summary = summarise(run);
  return [headLine(run), ...windowLines(run), '', timeline(run, columns), '', ...figures(summary)].join('\n');
}

/** `20,000 targets in 2,000 tenants, tokens of 1h, 2 daemons, at most 30 requests a second` */
export function headLine({ scenario, targets }: Run): string {
  const { clients, tenants, daemons, perHost, idpPerSecond, forMs, start } = scenario;
  const scopes = `${plural(tenants, 'tenant')}${clients > 1 ? ` of ${plural(clients, 'client')}` : ''}`;
  const lives = scenario.lifetimes.map(lifeText).join(' and ');
  const limit = perHost === idpPerSecond ? '' : `, of which the server takes ${rate(idpPerSecond)}`;
  return `${plural(targets.length, 'target')} in ${scopes}, tokens of ${lives}, ${plural(daemons, 'daemon')}, at most ${rate(perHost)}${limit}; ${formatDuration(forMs)} from a ${start} start`;
}

function windowLines({ scenario, plan }: Run): string[] {
  const windows = windowsOf(scenario, plannedOutageMs(plan)).map(({ lifetime, earliest, latest }) => {
    const of = scenario.lifetimes.length > 1 ? `Tokens of ${lifeText(lifetime)} are` : 'A token is';
    const whose = scenario.lifetimes.length > 1 ? 'their lives' : 'its life';
    return `${of} refreshed between ${percent(earliest)} and ${percent(latest)} of ${whose}`;
  });
  const problems = problemsOf(scenario, plan);
  return [
    ...windows,
    ...(problems.length > 0 ? problems : plan.clients.map((held) => `The fleet ${heldWords(held)}`)),
  ];
}

function figures(summary: Summary): string[] {
  const { calls, failedCalls, throttledCalls, lostCalls, meanPerSecond, peakPerSecond } = summary;
  const row = (label: string, value: string): string => `  ${label.padEnd(20)}${value}`;
  const failed = [
    `${number(throttledCalls)} of them throttled`,
    ...(lostCalls > 0 ? [`${number(lostCalls)} lost with a daemon`] : []),
  ].join(', ');
  return [
    row(
      'calls',
      `${number(calls)}, ${rate(meanPerSecond)} on average, ${number(peakPerSecond)} at most in a second`,
    ),
    row('failed calls', `${number(failedCalls)}, ${failed}`),
    row('expired tokens', expiredText(summary)),
    row('shortest life left', shortestText(summary)),
    ...summary.outages.map((outage) => row('outage', outageText(outage))),
  ];
}

function expiredText({ expiredTokenMinutes, expiredTargets }: Summary): string {
  if (expiredTargets === 0) return 'none';
  return `${plural(expiredTargets, 'target')} without a live token, for ${number(expiredTokenMinutes)} minutes together`;
}

function shortestText({ shortestLifeSeconds }: Summary): string {
  if (shortestLifeSeconds === null) return 'there was no token';
  return shortestLifeSeconds === 0 ? '0: a token ended before the next one came' : ago(shortestLifeSeconds);
}

function outageText({ startSeconds, lengthSeconds, kind, backlog, recoverySeconds }: OutageSummary): string {
  const when = startSeconds === 0 ? 'at the beginning' : `after ${ago(startSeconds)}`;
  const what = `${ago(lengthSeconds)} ${when} (${kind})`;
  if (backlog === null) return `${what}: the run ended before it did`;
  const recovered =
    recoverySeconds === null
      ? 'not all of them were refreshed before the run ended'
      : `all refreshed ${ago(recoverySeconds)} after its end`;
  return `${what}: ${plural(backlog, 'target')} due at its end, ${recovered}`;
}

const lifeText = ({ minMs, maxMs }: LifetimeGroup): string =>
  minMs === maxMs ? formatDuration(minMs) : `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
const ago = (seconds: number): string => formatDuration(seconds * 1000);
const percent = (share: number): string => `${Math.round(share * 100)} %`;
const rate = (perSecond: number): string => `${Number(perSecond.toPrecision(3))}/s`;
const plural = (count: number, what: string): string => `${number(count)} ${what}${count === 1 ? '' : 's'}`;
const number = (value: number): string => value.toLocaleString('en-US');
