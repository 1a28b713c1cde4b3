/**
 * The guard of the identical request. It is the last thing asked before anything is sent, so nothing that makes
 * jobs can get around it; a request is counted before it is sent, so no crash can hide one.
 */

/** The entries of a log that still count at `now`. */
export function withinWindow(log: readonly number[], windowMs: number, now: number): number[] {
  return log.filter((at) => at > now - windowMs);
}

/** When the next identical request may be sent: `now` or earlier if at once. */
export function nextAllowedAt(log: readonly number[], count: number, windowMs: number, now: number): number {
  const recent = withinWindow(log, windowMs, now);
  const blocking = recent[recent.length - count];
  return blocking === undefined ? now : blocking + windowMs;
}

/** Of the life that was left at the last try, the share after which the last request of a plan is no longer kept. */
const KEPT_FOR_LAST = 0.8;

/**
 * Until when a plan keeps the last of the `count` requests that it has in a window, while tries fail and the token lives:
 * until little is left of its life, or until another one is allowed. Otherwise some tries at the beginning of a trouble
 * would use all of them up, and the token would end before the next one is allowed, though the trouble is over.
 */
export function lastKeptUntil(
  log: readonly number[],
  count: number,
  windowMs: number,
  expiresAt: number,
  now: number,
): number {
  const recent = withinWindow(log, windowMs, now);
  const [first, last] = [recent[0], recent.at(-1)];
  if (first === undefined || last === undefined || recent.length !== count - 1) return now;
  return Math.min(last + KEPT_FOR_LAST * (expiresAt - last), first + windowMs);
}

/**
 * Requests that are dated later than `now` are of a clock that has gone back since: they count from now on, and as many as
 * they are. Oldest first.
 */
export function redated(log: readonly number[], now: number): number[] {
  return log.map((at, i) => Math.min(at, now - (log.length - 1 - i)));
}

/** Two views of one log as one: what was sent, whoever remembers it. Oldest first. */
export function mergeLogs(one: readonly number[], other: readonly number[]): number[] {
  return [...new Set([...one, ...other])].sort((a, b) => a - b);
}
