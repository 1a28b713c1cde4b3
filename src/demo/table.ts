import type { Traffic } from './request-rate.ts';
import type { Counts, TokenLife } from './tally.ts';

/** What there is to see at one moment. */
export interface View {
  readonly counts: Counts;
  readonly traffic: Traffic;
  readonly elapsedMs: number;
  /** Undefined: no end is set. */
  readonly forMs: number | undefined;
}

const STYLES = { plain: '', bold: '1', dim: '2', green: '32', yellow: '33', red: '31' } as const;
type Style = keyof typeof STYLES;

/** A piece of a line in one style. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

const span = (text: string, style: Style = 'plain'): Span => ({ text, style });

const LABEL_WIDTH = 20;
const NUMBER_WIDTH = 9;
const LONGEST_BAR = 40;

/** The table, line by line. Not yet cut to the width; that is only where the bars get theirs from. */
export function tableLines(view: View, columns: number): Span[][] {
  const { counts, traffic } = view;
  const { fresh, expiring, missing, targets } = counts;
  const bar = (count: number): string =>
    '█'.repeat(barLength(count, targets, columns - LABEL_WIDTH - NUMBER_WIDTH - 6));
  const level = (label: string, count: number, style: Style): Span[] => [
    ...row(label, number(count), count > 0 ? style : 'plain'),
    span(`  ${bar(count)}`, style),
  ];
  const requests = `  at most ${number(traffic.peakPerSecond)} in a second, ${number(traffic.requests)} in all, ${number(traffic.failed)} failed`;
  return [
    level('fresh', fresh, 'green'),
    level('expiring', expiring, 'yellow'),
    level('expired or missing', missing, 'red'),
    [],
    [...row('requests a second', number(Math.round(traffic.perSecond))), span(requests, 'dim')],
    [...row('shortest life left', leftOf(counts.shortestNow)), span(seenText(counts.shortestSeen), 'dim')],
    readsRow(counts),
    [...row('elapsed', seconds(view.elapsedMs)), span(endText(view.forMs), 'dim')],
  ];
}

function readsRow(counts: Counts): Span[] {
  if (counts.warmUpMs === undefined) {
    const there = `  warming up: ${number(counts.everThere)} of ${number(counts.targets)} were there`;
    return [...row('reads', number(counts.warmUpReads)), span(there, 'yellow')];
  }
  const missed = span(`  ${number(counts.missed)} missed`, counts.missed > 0 ? 'red' : 'green');
  const since = span(`, since it was warm after ${seconds(counts.warmUpMs)}`, 'dim');
  return [...row('reads', number(counts.reads)), missed, since];
}

function row(label: string, value: string, style: Style = 'bold'): Span[] {
  return [span(`  ${label.padEnd(LABEL_WIDTH)}`), span(value.padStart(NUMBER_WIDTH), style)];
}

function barLength(count: number, of: number, space: number): number {
  const longest = Math.max(0, Math.min(LONGEST_BAR, space));
  // One of ten thousand is not nothing.
  return count === 0 ? 0 : Math.max(Math.min(1, longest), Math.round((count / of) * longest));
}

const leftOf = (life: TokenLife | undefined): string => (life ? seconds(life.leftMs) : '-');

function seenText(life: TokenLife | undefined): string {
  return life ? `  ${lifeText(life)} at the least so far` : '';
}

const endText = (forMs: number | undefined): string =>
  forMs === undefined ? '  Ctrl-C ends it' : `  of ${seconds(forMs)}`;

/** The same in one line, for outputs without a cursor. */
export function progressLine({ counts, traffic, elapsedMs }: View): string {
  const { fresh, expiring, missing, everThere, targets, reads, missed } = counts;
  const isWarm = counts.warmUpMs !== undefined;
  return [
    seconds(elapsedMs).padStart(6),
    `fresh ${fresh}, expiring ${expiring}, missing ${missing}`,
    `${Math.round(traffic.perSecond)} requests/s`,
    `shortest life left ${leftOf(counts.shortestNow)}`,
    isWarm ? `${reads} reads, ${missed} missed` : `warming up: ${everThere} of ${targets} were there`,
  ].join('  ');
}

/** A line cut to the width, with or without escape sequences. */
export function paint(line: readonly Span[], columns: number, isColored: boolean): string {
  let left = columns;
  let painted = '';
  for (const { text, style } of line) {
    const visible = text.slice(0, Math.max(0, left));
    left -= visible.length;
    const code = STYLES[style];
    painted += isColored && code !== '' && visible !== '' ? `\x1b[${code}m${visible}\x1b[0m` : visible;
  }
  return painted;
}

/** `15.3s of 58s` */
export const lifeText = ({ leftMs, wholeMs }: TokenLife): string =>
  `${seconds(leftMs)} of ${Math.round(wholeMs / 1000)}s`;

/** `4.6s` */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;

/** `12,345` */
export const number = (value: number): string => value.toLocaleString('en-US');
