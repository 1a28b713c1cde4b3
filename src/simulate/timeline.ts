import { formatDuration } from '../core/duration.ts';
import type { Run } from './run.ts';
import { columnsOf } from './series.ts';

const LABEL_WIDTH = 9;
const BLOCKS = ' ▁▂▃▄▅▆▇█';
const EIGHTHS = BLOCKS.length - 1;

/** Requests a second, the share of fresh tokens and the shortest life over time, drawn with characters. */
export function timeline(run: Run, columns: number): string {
  const { scenario, recorder, targets } = run;
  const width = Math.max(20, Math.min(120, columns - LABEL_WIDTH - 2));
  const calls = columnsOf(recorder.calls, scenario.forMs, width);
  const at = (column: number): number => (column * scenario.forMs) / calls.length;
  const samples = calls.map((_, column) => {
    const end = at(column + 1);
    const own = recorder.samples.filter((sample) => sample.at >= at(column) && sample.at < end);
    return own.length > 0 ? own : recorder.samples.slice(0, 1);
  });
  const fresh = samples.map((own) => Math.min(...own.map((sample) => sample.fresh)) / targets.length);
  const life = samples.map((own) => Math.min(...own.map(({ shortestLifeMs }) => shortestLifeMs ?? 0)));
  const [mostCalls, mostLife] = [Math.max(1, ...calls.map(({ most }) => most)), Math.max(1, ...life)];
  return [
    'requests a second, the most in each column',
    ...chart(
      calls.map(({ most }) => most / mostCalls),
      6,
      `${mostCalls}`,
    ),
    ...outageLine(run, calls.length),
    'share of the targets with a fresh token',
    ...chart(fresh, 3, '100 %'),
    'shortest life left',
    ...chart(
      life.map((ms) => ms / mostLife),
      3,
      formatDuration(mostLife).split(' ')[0] as string,
    ),
    axis(scenario.forMs, calls.length),
  ].join('\n');
}

/** Shares of 0 to 1 as columns of so many lines. What is not nothing shows. */
function chart(shares: readonly number[], lines: number, top: string): string[] {
  const heights = shares.map((share) => (share > 0 ? Math.max(1, Math.round(share * lines * EIGHTHS)) : 0));
  return Array.from({ length: lines }, (_, i) => {
    const below = (lines - 1 - i) * EIGHTHS;
    const line = heights.map((height) => BLOCKS[Math.min(EIGHTHS, Math.max(0, height - below))]).join('');
    const label = i === 0 ? top : i === lines - 1 ? '0' : '';
    return `${label.padStart(LABEL_WIDTH)} │${line}`.trimEnd();
  });
}

function outageLine({ scenario: { outages, forMs } }: Run, columns: number): string[] {
  if (outages.length === 0) return [];
  const cells = Array.from({ length: columns }, (_, column) => {
    const [from, to] = [(column * forMs) / columns, ((column + 1) * forMs) / columns];
    return outages.some((outage) => outage.fromMs < to && outage.fromMs + outage.lengthMs > from) ? '▒' : ' ';
  });
  return [`${'outage'.padStart(LABEL_WIDTH)}  ${cells.join('')}`.trimEnd()];
}

/** The time at some columns. */
function axis(forMs: number, columns: number): string {
  const every = Math.max(10, Math.floor(columns / 6));
  let line = '';
  for (let column = 0; column < columns; column += every) {
    const moment = column === 0 ? '0' : formatDuration((column * forMs) / columns);
    line = line.padEnd(column) + moment;
  }
  return `${' '.repeat(LABEL_WIDTH)}  ${line}`;
}
