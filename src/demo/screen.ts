import type { WriteStream } from 'node:tty';
import { paint, progressLine, tableLines, type View } from './table.ts';

/** Where a run is watched. */
export interface Screen {
  /** How often `show` is worth calling. */
  readonly everyMs: number;
  /** Prints a line that stays. */
  say(line: string): void;
  show(view: View): void;
  /** Leaves the last table standing, and the terminal as it was. */
  close(): void;
}

/** A table that is redrawn in place where the output is a terminal, else a line now and then. */
export function screenFor(
  output: NodeJS.WriteStream,
  env: Readonly<Record<string, string | undefined>>,
): Screen {
  const isTerminal = output.isTTY && env.TERM !== 'dumb';
  return isTerminal ? terminalScreen(output, (env.NO_COLOR ?? '') === '') : lineScreen(output);
}

/** Prints everything as lines. */
export function lineScreen(output: Pick<NodeJS.WritableStream, 'write'>): Screen {
  const say = (line: string): void => {
    output.write(`${line}\n`);
  };
  return { everyMs: 1000, say, show: (view) => say(progressLine(view)), close() {} };
}

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_TO_END_OF_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const up = (rows: number): string => (rows > 0 ? `\x1b[${rows}A\r` : '\r');

type Terminal = Pick<WriteStream, 'write' | 'columns' | 'rows'>;

/** Redraws in one write, line over line, so that nothing flickers. */
export function terminalScreen(output: Terminal, isColored: boolean): Screen {
  let widths: number[] = [];
  const restore = (): void => {
    output.write(SHOW_CURSOR);
  };
  return {
    everyMs: 250,
    say(line) {
      output.write(`${line}\n`);
    },
    show(view) {
      // The last column stays empty: some terminals break the line after it.
      const columns = Math.max(1, (output.columns || 80) - 1);
      const spans = tableLines(view, columns).slice(0, Math.max(1, (output.rows || 24) - 1));
      const lines = spans.map((line) => paint(line, columns, isColored));
      if (widths.length === 0) process.once('exit', restore);
      const start = widths.length === 0 ? HIDE_CURSOR : up(rowsOf(widths, output.columns || 80));
      output.write(
        `${start}${lines.map((line) => `${line}${CLEAR_TO_END_OF_LINE}\n`).join('')}${CLEAR_BELOW}`,
      );
      widths = spans.map((line) => paint(line, columns, false).length);
    },
    close() {
      if (widths.length === 0) return;
      process.off('exit', restore);
      restore();
      widths = [];
    },
  };
}

/** How many rows the last table takes now: a terminal that was made narrower has wrapped its lines. */
function rowsOf(widths: readonly number[], columns: number): number {
  return widths.reduce((rows, width) => rows + Math.max(1, Math.ceil(width / columns)), 0);
}
