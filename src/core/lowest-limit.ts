import { perSecond, type Rate } from './duration.ts';

/** What a process says of itself that matters here: host -> requests a second. An older one says nothing. */
export interface SaysLimits {
  readonly limits?: Readonly<Record<string, number>> | undefined;
}

/**
 * What the fleet may ask of a host: the lowest limit of any live process, so that two that differ neither add up nor
 * take turns. `own`: the limit at hand. Undefined where nobody has one.
 */
export function lowestLimit(
  host: string,
  own: Rate | undefined,
  processes: readonly SaysLimits[],
): Rate | undefined {
  const said = processes.map(({ limits }) => limits?.[host]).filter(isLimit);
  const lowest = Math.min(...said);
  if (lowest === Number.POSITIVE_INFINITY || (own !== undefined && perSecond(own) <= lowest)) return own;
  return { count: lowest, windowMs: 1000 };
}

/** What a newer process may say in another way must not become a limit. */
const isLimit = (said: unknown): said is number =>
  typeof said === 'number' && Number.isFinite(said) && said > 0;
