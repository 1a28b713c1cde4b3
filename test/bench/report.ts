import { availableParallelism, loadavg } from 'node:os';

/** One measured number. `aim` is what it is held against, in words: a report asserts nothing. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly aim?: string;
}

/** What one part of the benchmark has found. */
export interface Findings {
  readonly part: string;
  readonly figures: readonly Figure[];
}

export interface BenchOptions {
  /** Smaller and shorter: to see that it runs, and a first idea. */
  readonly quick: boolean;
  /** A folder that takes CPU profiles of the daemon. */
  readonly profile: string | undefined;
}

/** Measures one thing. */
export type Part = (options: BenchOptions) => Promise<readonly Figure[]>;

/** Where the figures come from, without naming the machine. */
export function surroundings(): Readonly<Record<string, string | number>> {
  return {
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    cores: availableParallelism(),
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}

export function asTable({ part, figures }: Findings): string {
  const rows = figures.map(({ what, value, unit, aim = '' }) => [what, `${format(value)} ${unit}`, aim]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map(([what = '', value = '', aim = '']) =>
    `  ${what.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}  ${aim}`.trimEnd(),
  );
  return [part, ...lines].join('\n');
}

function format(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)] ?? Number.NaN, sorted[Math.ceil(place)] ?? Number.NaN];
  return low + (high - low) * (place - Math.floor(place));
}

/** How far the samples lie apart, as a share of their median: the noise of the machine. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}
