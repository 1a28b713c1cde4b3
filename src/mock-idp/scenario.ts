import { parse } from 'yaml';
import { EvertokenError } from '../core/errors.ts';
import type { Change } from './changes.ts';
import { parseChange } from './control.ts';
import { parseSpanMs } from './options.ts';

/** A change at its time. */
export interface Step {
  /** Its place in the file, from 0. */
  readonly index: number;
  /** As it is written, and in ms since the server listens. */
  readonly at: string;
  readonly atMs: number;
  readonly change: Change;
}

/**
 * Reads a scenario, JSON or YAML: a list of objects with `at`, a time since the server listens, and what `POST
 * /control` takes. Gives the steps in the order of their times. Throws `USAGE` with the index of the wrong step.
 */
export function parseScenario(text: string): readonly Step[] {
  const list = parseList(text);
  return list.map(parseStep).sort((a, b) => a.atMs - b.atMs);
}

function parseList(text: string): readonly unknown[] {
  let list: unknown;
  try {
    list = parse(text, { logLevel: 'error' });
  } catch {
    // A parser's message shows a part of the text, which may hold secrets.
  }
  if (Array.isArray(list)) return list;
  throw new EvertokenError('USAGE', 'expected a scenario: a list of steps in JSON or YAML');
}

function parseStep(value: unknown, index: number): Step {
  try {
    if (typeof value !== 'object' || value === null || !('at' in value) || typeof value.at !== 'string')
      throw new EvertokenError('USAGE', 'expected an object with "at", such as {"at":"30s","mode":"hang"}');
    const { at, ...change } = value;
    return { index, at, atMs: parseSpanMs(at), change: parseChange(change) };
  } catch (error) {
    if (!(error instanceof EvertokenError)) throw error;
    throw new EvertokenError(error.code, `step ${index} of the scenario: ${error.message}`);
  }
}

/** Does each step in its time. Gives what ends it. */
export function playScenario(steps: readonly Step[], apply: (step: Step) => void): () => void {
  const timers = steps.map((step) => setTimeout(() => apply(step), step.atMs).unref());
  return () => {
    for (const timer of timers) clearTimeout(timer);
  };
}
