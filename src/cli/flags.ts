import { userInfo } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { parseDurationMs } from '../core/duration.ts';

/** What every command understands. */
export interface CommonFlags {
  readonly config?: string;
  readonly json?: boolean;
}

/** What every command understands that means several targets. */
export interface SelectFlags extends CommonFlags {
  readonly all?: boolean;
}

export interface OrderFlags extends CommonFlags {
  readonly by?: string;
}

/** Who gives an order, for the record. */
export function orderedBy(flags: OrderFlags): string {
  return flags.by ?? (process.env.USER || operatingSystemUser());
}

function operatingSystemUser(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container the user may have no name.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

/** Reads a duration from the command line; commander reports what it throws, with the option's name. */
export function durationArgument(text: string): number {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined) throw new InvalidArgumentError('expected a duration such as 90s, 30m or 1h.');
  return durationMs;
}

/** Reads a moment to come. */
export function momentArgument(text: string): number {
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new InvalidArgumentError('expected a moment in ISO 8601, such as 2026-11-22T18:00Z.');
  return at;
}
