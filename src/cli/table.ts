import { styleText } from 'node:util';
import type { Condition } from '../core/condition.ts';

export type Style = 'red' | 'yellow' | 'green' | 'dim';

/** The colour of a condition, wherever one is shown. */
export const CONDITION_STYLES: Readonly<Record<Condition, Style>> = {
  fresh: 'green',
  due: 'yellow',
  failing: 'red',
  expired: 'red',
  'never issued': 'yellow',
  dormant: 'dim',
};

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  readonly cell: (row: Row) => string;
  readonly style?: (row: Row) => Style | undefined;
}

const GAP = '  ';

/** Rows in aligned columns under their titles. Cells are one line each; without colours it is plain text. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: { readonly colour: boolean },
): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)));
  const widths = columns.map(({ title }, i) =>
    cells.reduce((width, line) => Math.max(width, line[i]?.length ?? 0), title.length),
  );
  const pad = (text: string, i: number): string =>
    columns[i]?.align === 'right' ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0);
  const header = columns
    .map(({ title }, i) => pad(title, i))
    .join(GAP)
    .trimEnd();
  const lines = cells.map((line, at) =>
    line
      .map((text, i) => paint(pad(text, i), styleOf(columns[i], rows[at]), options.colour))
      .join(GAP)
      .trimEnd(),
  );
  return [paint(header, 'dim', options.colour), ...lines].join('\n');
}

function styleOf<Row>(column: Column<Row> | undefined, row: Row | undefined): Style | undefined {
  return row === undefined ? undefined : column?.style?.(row);
}

/** A text in a style, or as it is. */
export function paint(text: string, style: Style | undefined, colour: boolean): string {
  return style !== undefined && colour ? styleText(style, text, { validateStream: false }) : text;
}
