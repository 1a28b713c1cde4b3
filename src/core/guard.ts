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

/** Two views of one log as one: what was sent, whoever remembers it. Oldest first. */
export function mergeLogs(one: readonly number[], other: readonly number[]): number[] {
  return [...new Set([...one, ...other])].sort((a, b) => a - b);
}
