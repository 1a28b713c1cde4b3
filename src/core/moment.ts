import { formatDuration } from './duration.ts';

/** `2026-11-22T12:00:00Z (in 5m)`: on the clock, and from now. */
export function formatMoment(at: number, now: number): string {
  return `${new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')} (${formatDistance(at, now)})`;
}

/** `in 5m`, `5m ago`, `now`. */
export function formatDistance(at: number, now: number): string {
  if (Math.abs(at - now) < 500) return 'now';
  return at > now ? `in ${formatDuration(at - now)}` : `${formatDuration(now - at)} ago`;
}
