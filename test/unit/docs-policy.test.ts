import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { configJsonSchema, type JsonSchema } from '../../src/config/schema.ts';
import { backoffMs, THROTTLED_DEFAULT_MS } from '../../src/core/backoff.ts';
import { attemptTiming, CLAIM } from '../../src/core/claim.ts';
import { COOL_DOWN_LONGEST_MS, COOL_DOWN_MS } from '../../src/core/credential-marks.ts';
import { HOST_BURST_MS, QUEUE_SECONDS, TENANT_BURST_MS } from '../../src/core/dispatching.ts';
import { formatDuration } from '../../src/core/duration.ts';
import { USABLE_SHARE } from '../../src/core/feasibility.ts';
import { type Gate, OPEN_GATE, PROBE_LONGEST_MS, reduceGate } from '../../src/core/gate.ts';
import { lastKeptUntil } from '../../src/core/guard.ts';
import { PACE } from '../../src/core/pace.ts';
import {
  LATEST_AT_LEAST,
  LATEST_SHARE_DEFAULT,
  PLAN_AT_MOST,
  plannedRequests,
  recoveryFrom,
  refreshWindow,
  slotWidthMs,
} from '../../src/core/plan.ts';
import { parseRetryAfterMs } from '../../src/core/retry-after.ts';
import { TURNS } from '../../src/core/shares.ts';
import type { FailureKind } from '../../src/core/state.ts';
import { simulateCommand } from '../../src/simulate/command.ts';
import type { Run } from '../../src/simulate/run.ts';
import type { Summary } from '../../src/simulate/summary.ts';
import { renderSvg } from '../../src/simulate/svg.ts';
import { describe as textOf } from '../../src/simulate/text.ts';
import { run } from '../support/simulation.ts';

const root = new URL('../..', import.meta.url).pathname;
const FILE = `${root}docs/policy.md`;
const text = readFileSync(FILE, 'utf8');

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** What `--latency` is where a command does not say. */
const LATENCY_MS = 100;
const IDENTICAL = { count: 5, windowMs: 5 * MINUTE_MS };

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
const number = (value: number): string => value.toLocaleString('en-US');
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** A command of the document, `$ evertoken simulate …`, in a block with what it prints after its timeline. */
const COMMAND = /^\$ evertoken simulate ((?:.*\\\n)*.*)\n[^`]*^```$/gm;

interface Picture extends Run {
  readonly svg: string;
  readonly options: string;
  readonly summary: Summary;
  /** The most requests of one target within the window of the identical limit. */
  readonly mostIdentical: number;
  /** Requests that were sent while a Retry-After of the server held, but for those in flight. */
  readonly inRetryAfter: number;
  /** Targets whose tokens live longest and had one that ended. */
  readonly endedLong: number;
}

function draw(options: string): Picture {
  const svg = /--svg docs\/(pictures\/[a-z-]+\.svg)/.exec(options)?.[1] ?? '';
  const logs = new Map<number, number[]>();
  const closures: { from: number; until: number }[] = [];
  const ended = new Set<number>();
  let [mostIdentical, inRetryAfter] = [0, 0];
  const done = run(options, {
    onRequest: ({ target, at, failure }) => {
      const log = (logs.get(target.index) ?? []).filter((before) => before > at - IDENTICAL.windowMs);
      logs.set(target.index, [...log, at]);
      mostIdentical = Math.max(mostIdentical, log.length + 1);
      const { expiresAt } = target.state;
      if (expiresAt > 0 && expiresAt <= at && target.lifetime.minMs >= HOUR_MS) ended.add(target.index);
      if (closures.some(({ from, until }) => at > from && at < until)) inRetryAfter += 1;
      if (failure?.retryAfterMs !== undefined)
        closures.push({ from: at + LATENCY_MS, until: at + failure.retryAfterMs });
    },
  });
  return { ...done, svg, options, mostIdentical, inRetryAfter, endedLong: ended.size };
}

/** Cells of tables by their row's first cell: what the document says, and what is so. */
type Cells = ReadonlyMap<string, readonly string[]>;

const cellsOf = (line: string): string[] =>
  line.startsWith('| ')
    ? line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
    : [];

function withCells(markdown: string, cells: Cells): string {
  const unused = new Set(cells.keys());
  const lines = markdown.split('\n').map((line) => {
    const [name = '', ...rest] = cellsOf(line);
    const own = cells.get(name);
    if (own === undefined) return line;
    unused.delete(name);
    return `| ${[name, ...own, ...rest.slice(own.length)].join(' | ')} |`;
  });
  expect([...unused]).toEqual([]);
  return lines.join('\n');
}

const windowCells = (lifeMs: number, outageTargetMs: number, latestShare?: number): string[] => {
  const { earliest, latest } = refreshWindow(lifeMs, { outageTargetMs, latestShare, identical: IDENTICAL });
  const middle = (earliest + latest) / 2;
  return [
    `${percent(earliest)} to ${percent(latest)}`,
    `${formatDuration(earliest * lifeMs)} to ${formatDuration(latest * lifeMs)}`,
    `${Number(((24 * HOUR_MS) / (middle * lifeMs)).toPrecision(3))}`,
  ];
};

/** The busiest minute of an hour, requests a second, and how much that is of the run's mean after the first hour. */
function busiestMinute({ recorder }: Run, hour: number): string[] {
  const perMinute = Array.from({ length: 60 }, (_, minute) => {
    const from = hour * 3600 + minute * 60;
    return sum([...recorder.calls.perSecond.subarray(from, from + 60)]) / 60;
  });
  const later = recorder.calls.perSecond.subarray(3600, -1);
  const [most, mean] = [Math.max(...perMinute), sum([...later]) / later.length];
  return [`${most.toFixed(1)}/s`, `× ${(most / mean).toFixed(2)}`];
}

describe('the pictures and figures of docs/policy.md', () => {
  let pictures: Picture[] = [];
  beforeAll(() => {
    pictures = [...text.matchAll(COMMAND)].map(([, options = '']) => draw(options.replaceAll('\\\n', ' ')));
  });

  test('are drawn by the commands that stand beside them', async () => {
    expect(pictures.length).toBeGreaterThan(3);
    for (const picture of pictures) {
      expect(text).toContain(`](${picture.svg})`);
      await expect(renderSvg(picture)).toMatchFileSnapshot(`${root}docs/${picture.svg}`);
    }
  });

  test('are what those commands print now', async () => {
    const [outage, slower, herd, , mix] = pictures as [Picture, Picture, Picture, Picture, Picture];
    const { backlog = 0 } = outage.summary.outages[0] ?? {};
    const closures = slower.summary.throttledCalls;
    const atThirty = pictures
      .filter(({ scenario }) => scenario.perHost === 30)
      .map(({ summary }) => summary.peakPerSecond);
    const cells: Cells = new Map([
      ['1 h, outage target of 20 min', windowCells(HOUR_MS, 20 * MINUTE_MS)],
      ['1 h, outage target of 25 min', windowCells(HOUR_MS, 25 * MINUTE_MS)],
      ['5 min, outage target of 2 min', windowCells(5 * MINUTE_MS, 2 * MINUTE_MS)],
      ['5 min, outage target of 20 min, out of reach', windowCells(5 * MINUTE_MS, 20 * MINUTE_MS)],
      ['24 h, outage target of 20 min', windowCells(24 * HOUR_MS, 20 * MINUTE_MS)],
      ['24 h, the same with `latest: 95%`', windowCells(24 * HOUR_MS, 20 * MINUTE_MS, 0.95)],
      ...[0, 1, 2, 3, 4, 5].map((hour) => [`hour ${hour + 1}`, busiestMinute(herd, hour)] as const),
      [
        'the identical request goes out more often than `limits.identical`',
        [`${Math.max(...pictures.map((one) => one.mostIdentical))} of 5 in any 5 minutes, at most`],
      ],
      [
        'a request goes out within Retry-After',
        [`${sum(pictures.map((one) => one.inRetryAfter))} after ${closures} refusals`],
      ],
      [
        'the fleet asks faster than its limit',
        [`${Math.max(...atThirty)} in the busiest second, where 30/s and a burst of 3 are allowed`],
      ],
      [
        'a server that is down is asked by all that wait',
        [`${outage.summary.failedCalls} requests in 25 minutes, for ${number(backlog ?? 0)} tokens due`],
      ],
      [
        'a token ends in an outage that is held',
        [`${sum([outage, slower].map((one) => one.summary.expiredTargets))} of 40,000`],
      ],
      ['what lives short harms what lives long', [`${mix.endedLong} of 9,000 long-lived tokens ended`]],
      [
        'evertoken, aiming at the 25 minutes',
        [
          number(outage.summary.peakPerSecond),
          number(outage.summary.failedCalls),
          number(outage.summary.expiredTokenMinutes),
        ],
      ],
    ]);
    let next = 0;
    const withFigures = text.replaceAll(COMMAND, (_, options: string) => {
      const printed = textOf(pictures[next++] as Picture, 100).split('\n\n');
      return `$ evertoken simulate ${options}\n  …\n${printed.at(-1)}\n\`\`\``;
    });
    await expect(withCells(withFigures, cells)).toMatchFileSnapshot(FILE);
  });
});

/** The longest time for which something holds, ms. */
function longest(holds: (ms: number) => boolean): number {
  let [yes, no] = [0, 24 * HOUR_MS];
  while (no - yes > 1) {
    const middle = Math.floor((yes + no) / 2);
    if (holds(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

const NOW = 1_800_000_000_000;

function unreachable(gate: Gate, tenant: string, at: number, isAnswered = false, startedAt = at): Gate {
  const event = {
    kind: 'unreachable',
    tenant,
    code: 'timeout',
    ceiling: 50,
    startedAt,
    isAnswered,
  } as const;
  return reduceGate(gate, event, at);
}

/** How many tenants in trouble close a host. */
function suspectsOf(isAnswered: boolean): number {
  let [gate, tenants] = [OPEN_GATE, 0];
  while (!gate.probing) gate = unreachable(gate, `t${tenants++}`, NOW, isAnswered);
  return tenants;
}

const suspected = unreachable(OPEN_GATE, 'one', NOW);

/** The pauses between the probes of a host that stays down, ms. */
function probePauses(): number[] {
  let [gate, at] = [suspected, NOW];
  return Array.from({ length: 30 }, () => {
    gate = unreachable(gate, 'another', at);
    const pauseMs = gate.closedUntil - at;
    at = gate.closedUntil;
    return pauseMs;
  });
}

const backoff = (kind: FailureKind, failures: number, lifeLeftMs: number, drawn = 1): number =>
  backoffMs({ kind, failures, lifeLeftMs, retryAfterMs: undefined }, drawn);

function optionDefault(path: string): string {
  let schema: JsonSchema = configJsonSchema();
  for (const key of path.split('.')) {
    const child = schema.properties?.[key];
    if (typeof child !== 'object') throw new Error(`expected an option ${path}`);
    schema = child;
  }
  return `${schema.default ?? 'never'}`;
}

/** What the table of defaults has to say, found by asking the core. */
function defaults(): [string, string][] {
  const outOfReach = { outageTargetMs: 20 * MINUTE_MS, latestShare: undefined, identical: IDENTICAL };
  const late = { outageTargetMs: SECOND_MS, latestShare: 0.95, identical: IDENTICAL };
  const [wide, early] = [refreshWindow(24 * HOUR_MS, late), refreshWindow(HOUR_MS, outOfReach, 1)];
  const narrow = refreshWindow(HOUR_MS, outOfReach, HOUR_MS);
  const half = refreshWindow(HOUR_MS, { ...outOfReach, outageTargetMs: 29 * MINUTE_MS });
  const [long, short] = [recoveryFrom(24 * HOUR_MS, HOUR_MS), recoveryFrom(10_000, 10_000)];
  const of = (ms: number): string => percent(ms / 10_000);
  const [first = 0, second = 0, ...further] = probePauses();
  const turns = (of: string): number => TURNS.filter((turn) => turn === of).length;
  const kept = lastKeptUntil([NOW, NOW], 3, HOUR_MS, NOW + 10_000, NOW) - NOW;
  const timing = [attemptTiming(NOW + 3000, NOW), attemptTiming(NOW + 20_000, NOW)];
  const parked = [1, 20].map((failures) => formatDuration(backoff('tenant', failures, 0)));
  return [
    ...['refresh.outageTarget', 'refresh.latest', 'refresh.retireUnreadAfter'].map(option),
    ...['limits.perHost', 'limits.perTenant', 'limits.identical'].map(option),
    ["the window's start", `${percent(half.earliest / half.latest)} of its end`],
    ['the widest window', `${percent(wide.latest - wide.earliest)} of the life`],
    ['the narrowest window', `${percent(narrow.latest - narrow.earliest)} of the life`],
    ['the earliest end of a window', percent(LATEST_AT_LEAST)],
    [
      'the end of a window for an outage out of reach',
      percent(refreshWindow(5 * MINUTE_MS, outOfReach).latest),
    ],
    ['the latest start of a window', percent(PLAN_AT_MOST)],
    ['the earliest start by `refresh_in`', percent(early.earliest)],
    [
      'recovery: a request that hangs',
      `${formatDuration(long.requestTimeoutMs)}, at most ${of(short.requestTimeoutMs)} of the life`,
    ],
    [
      'recovery: the pause before the probe',
      `${formatDuration(long.probeMs)}, at most ${of(short.probeMs)} of the outage`,
    ],
    [
      'recovery: slow start',
      `${formatDuration(long.slowStartMs)}, at most ${of(short.slowStartMs)} of the life`,
    ],
    ['what plans may use of a limit', percent(USABLE_SHARE)],
    [
      'a slot of the histogram',
      `1/${(HOUR_MS / slotWidthMs({ from: 0, to: 5 * HOUR_MS })) * 5} of the window, at least ${formatDuration(slotWidthMs({ from: 0, to: 1 }))}`,
    ],
    [
      'ten turns',
      `${turns('live')} live, ${turns('neverIssued')} never issued, ${turns('operator')} operator, ${turns('dead')} dead or failing`,
    ],
    [
      'a burst of the host, of a tenant',
      `${formatDuration(HOST_BURST_MS)}, ${formatDuration(TENANT_BURST_MS)}`,
    ],
    ['work in the queue', `${QUEUE_SECONDS}s at most`],
    [
      'a claim',
      `${formatDuration(CLAIM.queueMs)} + ${percent(CLAIM.shareOfLife)} of the life left, ${formatDuration(CLAIM.shortestMs)} to ${formatDuration(CLAIM.longestMs)}`,
    ],
    [
      'an attempt',
      `${percent((timing[0]?.timeoutMs ?? 0) / 3000)} of the claim, at most ${formatDuration(timing[1]?.timeoutMs ?? 0)}`,
    ],
    ['a rate after a refusal', `× ${PACE.decrease}`],
    ['the floor of a rate', `${percent(PACE.floor)} of the limit`],
    ['slow start', `doubles in ${formatDuration(PACE.doublingMs)}`],
    ['growth', `the limit in ${formatDuration(PACE.ceilingMs)}`],
    [
      'near what was refused',
      `from × ${PACE.nearFrom} to × ${PACE.nearTo} in ${formatDuration(PACE.creepMs)}`,
    ],
    [
      'the pause between probes',
      `${formatDuration(first)}, × ${second / first}, up to ${formatDuration(Math.max(...further))}`,
    ],
    [
      'tenants in trouble that close a host',
      `${suspectsOf(false)}; ${suspectsOf(true)} if the server itself says so`,
    ],
    [
      'how far apart those may be',
      formatDuration(longest((ms) => unreachable(suspected, 'two', NOW + ms).probing)),
    ],
    [
      'news that count',
      `${formatDuration(longest((ms) => unreachable(OPEN_GATE, 'one', NOW + ms, false, NOW) !== OPEN_GATE))} after the request, at most`,
    ],
    ['429 without Retry-After', formatDuration(THROTTLED_DEFAULT_MS)],
    [
      'Retry-After',
      ['0', '999999999'].map((value) => formatDuration(parseRetryAfterMs(value, NOW) ?? 0)).join(' to '),
    ],
    [
      'backoff',
      `drawn up to ${formatDuration(backoff('transient', 1, 24 * HOUR_MS))}, doubling, up to ${formatDuration(backoff('transient', 20, 24 * HOUR_MS))} or 1/${HOUR_MS / 60 / backoff('transient', 20, HOUR_MS / 60)} of the life left`,
    ],
    ['backoff without a live token', `up to ${formatDuration(backoff('transient', 20, 0))}`],
    ['the shortest backoff', formatDuration(backoff('transient', 1, HOUR_MS, 0))],
    [
      'parking',
      `${parked[0]}, doubling, up to ${parked[1]}; ${percent(1 - backoff('tenant', 20, 0, 0) / backoff('tenant', 20, 0))} of it drawn`,
    ],
    [
      'a refused credential is tried again',
      `after ${formatDuration(COOL_DOWN_MS)}, at last after ${formatDuration(COOL_DOWN_LONGEST_MS)}`,
    ],
    [
      'requests kept for orders',
      `${IDENTICAL.count - plannedRequests(IDENTICAL.count)} of \`limits.identical\``,
    ],
    ['the last planned request', `kept for ${percent(kept / 10_000)} of the life left`],
  ];
}

const option = (path: string): [string, string] => [`\`${path}\``, `\`${optionDefault(path)}\``];

describe('docs/policy.md', () => {
  test('has every default, with the value that the code has', () => {
    expect(`${LATEST_SHARE_DEFAULT * 100}%`).toBe(optionDefault('refresh.latest'));
    expect(Math.max(...probePauses())).toBe(PROBE_LONGEST_MS);
    const section = text.split('## Every default')[1]?.split('\n## ')[0] ?? '';
    const rows = section.split('\n').filter((line) => line.startsWith('| '));
    const said = rows.slice(1).map(cellsOf);
    expect(said.map(([what, value]) => [what, value])).toEqual(defaults());
    for (const row of said) expect(row, row[0]).toHaveLength(4);
  });

  test('names every option of simulate, and every figure that its help names', () => {
    const command = simulateCommand();
    let help = '';
    command.configureOutput({ writeOut: (chunk) => (help += chunk) }).outputHelp();
    const figures = [...help.matchAll(/^ {2}([a-z]+[A-Z]\w+|calls|window) {2,}/gm)].map(
      ([, name]) => name ?? '',
    );
    expect(figures.length).toBeGreaterThan(7);
    const names = [...command.options.map(({ long }) => long ?? ''), ...figures];
    const section = text.split('## Try it')[1] ?? '';
    expect(names.filter((name) => !section.includes(`\`${name}\``))).toEqual([]);
  });

  test('is linked from the README, and links to what is there', () => {
    expect(readFileSync(`${root}README.md`, 'utf8')).toContain('(docs/policy.md)');
    const links = [...text.matchAll(/\]\(([\w./-]+)(?:#[\w-]+)?\)/g)].map(([, path = '']) => path);
    expect(links.length).toBeGreaterThan(5);
    expect(links.filter((path) => !existsSync(`${root}docs/${path}`))).toEqual([]);
  });
});
