import type { CallRate } from './call-rate.ts';

/** The calls of a piece of the run, a second: one column of a picture. */
export interface Column {
  readonly fromMs: number;
  readonly toMs: number;
  /** The most in any of its seconds. */
  readonly most: number;
  readonly mean: number;
  /** Those that failed, on average. */
  readonly failed: number;
}

/** A run in at most `most` columns of whole seconds. */
export function columnsOf(calls: CallRate, forMs: number, most: number): Column[] {
  const seconds = Math.ceil(forMs / 1000);
  const wide = Math.max(1, Math.ceil(seconds / most));
  const columns: Column[] = [];
  for (let from = 0; from < seconds; from += wide) {
    const to = Math.min(seconds, from + wide);
    const own = calls.perSecond.subarray(from, to);
    const failed = calls.failedPerSecond.subarray(from, to);
    columns.push({
      fromMs: from * 1000,
      toMs: to * 1000,
      most: own.reduce((highest, value) => Math.max(highest, value), 0),
      mean: sum(own) / own.length,
      failed: sum(failed) / failed.length,
    });
  }
  return columns;
}

const sum = (values: Uint32Array): number => values.reduce((total, value) => total + value, 0);
