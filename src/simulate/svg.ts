import { formatDuration } from '../core/duration.ts';
import type { Run } from './run.ts';
import { type Column, columnsOf } from './series.ts';
import { summarise } from './summary.ts';
import { STYLE } from './svg-style.ts';
import { headLine } from './text.ts';

const WIDTH = 960;
const LEFT = 64;
const RIGHT = 20;
const TOP = 92;
const PANEL_HEIGHT = 130;
const PANEL_GAP = 46;
const PLOT = WIDTH - LEFT - RIGHT;
const PANELS = 3;
const BOTTOM = TOP + PANELS * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP;
const HEIGHT = BOTTOM + 44;
const COLUMNS = 440;
/** Width of a character of an outage's name. */
const LABEL_CHARACTER = 6.4;

/** A point of a line: the time in the run, ms, and a value. */
type Point = readonly [number, number];

interface Panel {
  readonly title: string;
  /** The value at the upper edge. */
  readonly most: number;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
  readonly shapes: (y: (value: number) => number) => string;
  readonly legend: readonly { readonly name: string; readonly style: string }[];
}

/** A run as one SVG file: three panels over one time axis, outages shaded. The same run gives the same text. */
export function renderSvg(run: Run): string {
  const panels = [callsPanel(run), freshPanel(run), lifePanel(run)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title">`,
    `<title id="title">${escaped(headLine(run))}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${WIDTH}" height="${HEIGHT}"/>`,
    `<text class="title" x="${LEFT}" y="32">evertoken simulate</text>`,
    ...wrapped(headLine(run), 128).map(
      (line, i) => `<text class="sub" x="${LEFT}" y="${50 + 15 * i}">${escaped(line)}</text>`,
    ),
    ...outageBands(run),
    ...panels.flatMap((panel, i) => renderPanel(panel, TOP + i * (PANEL_HEIGHT + PANEL_GAP))),
    ...timeAxis(run.scenario.forMs),
    '</svg>',
    '',
  ].join('\n');
}

function callsPanel(run: Run): Panel {
  const { scenario, recorder } = run;
  const x = xOf(scenario.forMs);
  const columns = columnsOf(recorder.calls, scenario.forMs, COLUMNS);
  const most = niceTop(Math.max(scenario.perHost, ...columns.map((column) => column.most)));
  const { peakPerSecond, failedCalls } = summarise(run);
  return {
    title: 'requests a second',
    most,
    ticks: ticksTo(most, (value) => `${value}`),
    shapes: (y) => {
      const steps = (pick: 'most' | 'mean'): Point[] =>
        columns.flatMap((column): Point[] => [
          [column.fromMs, column[pick]],
          [column.toMs, column[pick]],
        ]);
      return [
        `<path class="peak" d="${area(steps('most'), x, y)}"/>`,
        `<path class="calls" d="${area(steps('mean'), x, y)}"/>`,
        ...columns.filter(({ failed }) => failed > 0).map((column) => failedBar(column, x, y)),
        `<line class="limit" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${y(scenario.perHost)}" y2="${y(scenario.perHost)}"/>`,
      ].join('');
    },
    legend: [
      { name: 'mean', style: 'calls' },
      { name: `most in a second (${peakPerSecond})`, style: 'peak' },
      { name: `failed (${failedCalls} in all)`, style: 'failed' },
      { name: 'limit', style: 'limit' },
    ],
  };
}

/** Few failures among many calls show all the same. */
function failedBar(
  { fromMs, toMs, failed }: Column,
  x: (at: number) => number,
  y: (value: number) => number,
): string {
  const top = Math.min(y(failed), y(0) - 3);
  return `<rect class="failed" x="${x(fromMs)}" y="${round(top)}" width="${round(x(toMs) - x(fromMs))}" height="${round(y(0) - top)}"/>`;
}

function freshPanel({ scenario, recorder, targets }: Run): Panel {
  const x = xOf(scenario.forMs);
  const share = (pick: 'fresh' | 'live'): Point[] =>
    recorder.samples.map((sample) => [sample.at, sample[pick] / targets.length]);
  return {
    title: 'share of the targets',
    most: 1,
    ticks: [0, 0.5, 1].map((value) => ({ value, text: `${value * 100} %` })),
    shapes: (y) =>
      `<path class="live" d="${area(share('live'), x, y)}"/><path class="fresh" d="${area(share('fresh'), x, y)}"/>`,
    legend: [
      { name: 'fresh: not yet to be refreshed', style: 'fresh' },
      { name: 'due: the token lives', style: 'live' },
    ],
  };
}

function lifePanel(run: Run): Panel {
  const { scenario, recorder } = run;
  const x = xOf(scenario.forMs);
  const points = recorder.samples.flatMap(({ at, shortestLifeMs }): Point[] =>
    shortestLifeMs === undefined ? [] : [[at, shortestLifeMs]],
  );
  const most = niceTimeTop(Math.max(1000, ...points.map(([, value]) => value)));
  const { expiredTargets } = summarise(run);
  return {
    title: 'shortest life left',
    most,
    ticks: [0, 0.5, 1].map((part) => ({
      value: part * most,
      text: part === 0 ? '0' : formatDuration(part * most),
    })),
    shapes: (y) => `<path class="life" d="${line(points, x, y)}"/>`,
    legend: [
      {
        name:
          expiredTargets === 0
            ? 'of any token; none has ended'
            : `of any token; those of ${expiredTargets} targets have ended`,
        style: 'life',
      },
    ],
  };
}

function renderPanel({ title, most, ticks, shapes, legend }: Panel, top: number): string[] {
  const y = (value: number): number => round(top + PANEL_HEIGHT * (1 - Math.min(1, value / most)));
  let legendX = LEFT + PLOT;
  const entries = legend.toReversed().map(({ name, style }) => {
    legendX -= 7 * name.length + 26;
    return `${keyOf(style, legendX, top - 13)}<text class="legend" x="${legendX + 17}" y="${top - 9}">${escaped(name)}</text>`;
  });
  return [
    `<text class="panel" x="${LEFT}" y="${top - 9}">${escaped(title)}</text>`,
    ...entries,
    ...ticks.map(
      ({ value, text }) =>
        `<line class="grid" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${y(value)}" y2="${y(value)}"/><text class="tick" text-anchor="end" x="${LEFT - 8}" y="${y(value) + 4}">${escaped(text)}</text>`,
    ),
    shapes(y),
  ];
}

/** What the legend shows beside a name: a line for what is a line. */
function keyOf(style: string, x: number, y: number): string {
  return style === 'limit' || style === 'life'
    ? `<line class="${style}" x1="${x - 2}" x2="${x + 13}" y1="${y}" y2="${y}"/>`
    : `<rect class="${style}" x="${x}" y="${y - 4}" width="12" height="8"/>`;
}

/** A name that finds no room beside those before it is left to the tooltip. */
function outageBands({ scenario: { outages, forMs } }: Run): string[] {
  const x = xOf(forMs);
  let freeFrom = LEFT;
  return outages.map(({ fromMs, lengthMs, kind }) => {
    const [from, to] = [x(fromMs), x(Math.min(forMs, fromMs + lengthMs))];
    const label = `outage (${kind}), ${formatDuration(lengthMs)}`;
    const half = (LABEL_CHARACTER * label.length) / 2;
    const middle = round(Math.max(LEFT + half, Math.min(LEFT + PLOT - half, (from + to) / 2)));
    const hasRoom = middle - half >= freeFrom;
    if (hasRoom) freeFrom = middle + half + LABEL_CHARACTER;
    const name = `<text class="outage-name" text-anchor="middle" x="${middle}" y="${BOTTOM + 34}">${escaped(label)}</text>`;
    return `<rect class="outage" x="${from}" y="${TOP}" width="${round(Math.max(1, to - from))}" height="${BOTTOM - TOP}"><title>${escaped(label)}</title></rect>${hasRoom ? name : ''}`;
  });
}

function timeAxis(forMs: number): string[] {
  const x = xOf(forMs);
  const everyMs = niceStepMs(forMs / 9);
  const ticks: string[] = [];
  for (let at = 0; at <= forMs; at += everyMs)
    ticks.push(
      `<line class="axis" x1="${x(at)}" x2="${x(at)}" y1="${BOTTOM}" y2="${BOTTOM + 5}"/><text class="tick" text-anchor="middle" x="${x(at)}" y="${BOTTOM + 18}">${at === 0 ? '0' : formatDuration(at)}</text>`,
    );
  return [`<line class="axis" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${BOTTOM}" y2="${BOTTOM}"/>`, ...ticks];
}

const xOf =
  (forMs: number) =>
  (at: number): number =>
    round(LEFT + (PLOT * Math.min(at, forMs)) / forMs);

function line(points: readonly Point[], x: (at: number) => number, y: (value: number) => number): string {
  return points.map(([at, value], i) => `${i === 0 ? 'M' : 'L'}${x(at)} ${y(value)}`).join('');
}

function area(points: readonly Point[], x: (at: number) => number, y: (value: number) => number): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return '';
  return `${line(points, x, y)}L${x(last[0])} ${y(0)}L${x(first[0])} ${y(0)}Z`;
}

const STEPS_MS = [1, 2, 5, 10, 15, 30]
  .flatMap((step) => [1000, 60_000].map((unit) => step * unit))
  .concat([1, 2, 3, 4, 6, 12, 24, 48, 96, 168].map((hours) => hours * 3_600_000))
  .sort((a, b) => a - b);

const niceStepMs = (least: number): number =>
  STEPS_MS.find((step) => step >= least) ?? (STEPS_MS.at(-1) as number);

/** The upper edge of a time axis: even when it is halved. */
const niceTimeTop = (value: number): number => 2 * niceStepMs(value / 2);

/** The upper edge of an axis: 1, 2, 4, 5 or 8 times a power of ten. */
function niceTop(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 8, 10].find((times) => times * unit >= value * 1.02) ?? 20) * unit;
}

function ticksTo(most: number, text: (value: number) => string): Panel['ticks'] {
  return [0, 0.5, 1].map((part) => ({ value: part * most, text: text(round(part * most)) }));
}

function wrapped(text: string, most: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) as string;
    if (last.length + word.length < most) lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

const round = (value: number): number => Math.round(value * 10) / 10;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
