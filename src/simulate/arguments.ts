import { parseDurationMs, parseRate, type Rate } from '../core/duration.ts';
import { EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import {
  type Crash,
  type LifetimeGroup,
  OUTAGE_KINDS,
  type Outage,
  type TenantThrottle,
} from './scenario.ts';

/** How the options of a simulation are written. All of these throw `USAGE`. */

/** What a simulation may ask of the machine's memory. */
export const MOST_TARGETS = 500_000;
const LONGEST_MS = 31 * 86_400_000;
const SHORTEST_LIFE_MS = 10_000;
const MOST_PER_SECOND = 10_000;
const DOWN_MS = 30_000;

/** A group of targets; `targets` undefined: all. */
export type LifetimeArgument = Omit<LifetimeGroup, 'targets'> & { readonly targets: number | undefined };

/** Reads `1h`, `60m..90m`, and with numbers of targets `5m:2000,24h:18000`. */
export function parseLifetimes(text: string): LifetimeArgument[] {
  const groups = text.split(',').map((group): LifetimeArgument => {
    const [range = '', targets, ...rest] = group.split(':');
    const [from = '', to = from, ...more] = range.split('..');
    const [minMs, maxMs] = [lifeMs(from), lifeMs(to)];
    if (minMs === undefined || maxMs === undefined || maxMs < minMs || rest.length > 0 || more.length > 0)
      throw usage(
        'a lifetime from 10s to 31d, such as 1h, 60m..90m, or with numbers of targets 5m:2000,24h:18000',
        text,
      );
    return { minMs, maxMs, targets: targets === undefined ? undefined : parseCount(targets, MOST_TARGETS) };
  });
  if (groups.length > 1 && groups.some(({ targets }) => targets === undefined))
    throw usage('how many targets have each lifetime, such as 5m:2000,24h:18000', text);
  return groups;
}

/** Tokens say their life in whole seconds. */
function lifeMs(text: string): number | undefined {
  const ms = parseDurationMs(text);
  const isPossible = ms !== undefined && ms >= SHORTEST_LIFE_MS && ms <= LONGEST_MS && ms % 1000 === 0;
  return isPossible ? ms : undefined;
}

/** Reads `25m@2h`, or `25m@2h:hangs`. */
export function parseOutage(text: string): Outage {
  const [when = '', kind = 'refuses', ...rest] = text.split(':');
  const found = OUTAGE_KINDS.find((known) => known === kind);
  const [lengthMs, fromMs] = parseSpan(when);
  if (found === undefined || lengthMs === undefined || fromMs === undefined || rest.length > 0)
    throw usage(
      `an outage as length@start, such as 25m@2h, and :${OUTAGE_KINDS.join(' or :')} after it`,
      text,
    );
  return { fromMs, lengthMs, kind: found };
}

/** Reads `2h` (daemon 1, for 30 s), `1@2h` and `1@2h+5m`. */
export function parseCrash(text: string): Crash {
  const match = /^(?:(\d+)@)?([^+@]+)(?:\+(.+))?$/.exec(text);
  const atMs = momentMs(match?.[2] ?? '');
  const downMs = match?.[3] === undefined ? DOWN_MS : parseDurationMs(match[3]);
  const daemon = Number(match?.[1] ?? 1);
  if (atMs === undefined || downMs === undefined || daemon < 1)
    throw usage('when a daemon is killed, such as 2h, 1@2h for the first, or 1@2h+5m for five minutes', text);
  return { daemon, atMs, downMs };
}

/** Reads `1h@2h`. */
export function parseTenantThrottle(text: string): TenantThrottle {
  const [lengthMs, fromMs] = parseSpan(text);
  if (lengthMs === undefined || fromMs === undefined || lengthMs < 1000 || lengthMs > 3_600_000)
    throw usage('a Retry-After from 1s to 1h, and when it is given, such as 1h@2h', text);
  return { fromMs, lengthMs };
}

function parseSpan(text: string): [number | undefined, number | undefined] {
  const [length = '', start = '', ...rest] = text.split('@');
  return rest.length > 0 ? [undefined, undefined] : [parseDurationMs(length), momentMs(start)];
}

const momentMs = (text: string): number | undefined =>
  /^0(?:ms|s|m|h|d)?$/.test(text) ? 0 : parseDurationMs(text);

/** Reads the length of a run. */
export function parseRunMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 1000 || ms > LONGEST_MS)
    throw usage('a duration from 1s to 31d, such as 8h', text);
  return ms;
}

/** Reads a duration. */
export function parseSpanMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms > LONGEST_MS) throw usage('a duration of at most 31d, such as 25m', text);
  return ms;
}

/** Reads a duration, which may be `0`. */
export function parseLatencyMs(text: string): number {
  const ms = momentMs(text);
  if (ms === undefined || ms > 60_000) throw usage('a duration of at most 60s, such as 100ms', text);
  return ms;
}

/** Reads what a refusal asks to wait; `none`: it does not say. */
export function parseRetryAfterMs(text: string): number | 'none' {
  if (text === 'none') return text;
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 1000 || ms > 3_600_000)
    throw usage('a Retry-After from 1s to 1h, or none', text);
  return ms;
}

/** Reads requests a second: `30`, `0.5`, `30/s` or `300/1m`. */
export function parsePerSecond(text: string): number {
  const rate = parseRate(text);
  const perSecond =
    rate === undefined
      ? Number(/^\d+(?:\.\d+)?$/.test(text) ? text : Number.NaN)
      : (1000 * rate.count) / rate.windowMs;
  // Below, and a bucket in thousandths of a request would never fill.
  if (!(perSecond >= 0.001 && perSecond <= MOST_PER_SECOND))
    throw usage(`requests a second from 0.001 to ${MOST_PER_SECOND}, such as 30`, text);
  return perSecond;
}

/** Reads `5/5m`. */
export function parseIdentical(text: string): Rate {
  const rate = parseRate(text);
  if (rate === undefined || rate.windowMs > 86_400_000)
    throw usage('a rate within at most 24h, such as 5/5m', text);
  return rate;
}

/** Reads a whole number from `least` to `most`. */
export function parseCount(text: string, most: number, least = 1): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= least && count <= most)) throw usage(`a whole number from ${least} to ${most}`, text);
  return count;
}

/** Reads a share from 0.5 to 0.95. */
export function parseShare(text: string): number {
  const share = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(share >= 0.5 && share <= 0.95)) throw usage('a share of the life from 0.5 to 0.95', text);
  return share;
}

export function usage(expected: string, got: string): EvertokenError {
  return new EvertokenError('USAGE', `expected ${expected}, but got "${printable(got)}"`);
}
