/** The bounds of any wait that a server asks for. */
const RETRY_AFTER_MIN_MS = 1000;
const RETRY_AFTER_MAX_MS = 3_600_000;

/**
 * Reads Retry-After (RFC 9110 section 10.2.3): seconds, or an HTTP date against `now` (epoch milliseconds).
 * Gives milliseconds within [1 s, 1 h] whatever number or date is in it; undefined when it is neither.
 */
export function parseRetryAfterMs(value: string, now: number): number | undefined {
  const text = value.trim();
  const waitMs = /^[+-]?\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : parseHttpDate(text) - now;
  return Number.isNaN(waitMs)
    ? undefined
    : Math.min(RETRY_AFTER_MAX_MS, Math.max(RETRY_AFTER_MIN_MS, Math.round(waitMs)));
}

/** The three forms of RFC 9110 section 5.6.7, as epoch milliseconds; NaN for anything else. */
export function parseHttpDate(text: string): number {
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [ \w:-]{10,30}$/.test(text)) return Number.NaN;
  // asctime dates name no zone; Date.parse would take them for local time.
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
}
