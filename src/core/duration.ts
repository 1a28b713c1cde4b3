const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** Reads `250ms`, `30s`, `20m`, `1.5h` or `3d`. Gives whole milliseconds, or undefined for any other text. */
export function parseDurationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (!match) return undefined;
  const ms = Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]);
  return ms > 0 && Number.isSafeInteger(ms) ? ms : undefined;
}

/** `count` in any span of `windowMs`. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** Reads `50/s`, `5/5m` or `300/1h`. Gives undefined for any other text, and for a count or a window of 0. */
export function parseRate(text: string): Rate | undefined {
  const match = /^(\d+)\/(.+)$/.exec(text);
  if (!match) return undefined;
  const unitOrDuration = match[2] as string;
  const windowMs = parseDurationMs(/^\d/.test(unitOrDuration) ? unitOrDuration : `1${unitOrDuration}`);
  const count = Number(match[1]);
  return windowMs !== undefined && count > 0 && Number.isSafeInteger(count) ? { count, windowMs } : undefined;
}

export const perSecond = ({ count, windowMs }: Rate): number => (1000 * count) / windowMs;

/** Whole units for people: `850ms`, `42s`, `12m 5s`, `3h 20m`, `2d 4h`. */
export function formatDuration(ms: number): string {
  if (ms <= -0.5) return `-${formatDuration(-ms)}`;
  if (ms < 999.5) return `${Math.abs(Math.round(ms))}ms`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s}s`;
  if (s < 3600) return join(Math.floor(s / 60), 'm', s % 60, 's');
  if (s < 86_400) return join(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'm');
  return join(Math.floor(s / 86_400), 'd', Math.floor((s % 86_400) / 3600), 'h');
}

/** As the configuration takes it, one number and one unit: `450s`, `90m`, `1500ms`. Rounded down to whole milliseconds. */
export function settingDuration(ms: number): string {
  const whole = Math.floor(ms);
  const unit = (['d', 'h', 'm', 's'] as const).find((one) => whole > 0 && whole % UNIT_MS[one] === 0) ?? 'ms';
  return `${whole / UNIT_MS[unit]}${unit}`;
}

/** A rate for people: `0.25/s`, `24/s`; below one a minute by the hour, `22/h`. */
export function rateText(countPerSecond: number): string {
  const isSeldom = countPerSecond > 0 && countPerSecond < 1 / 60;
  const count = isSeldom ? 3600 * countPerSecond : countPerSecond;
  return `${count >= 10 ? Math.round(count) : Number(count.toPrecision(2))}/${isSeldom ? 'h' : 's'}`;
}

function join(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit} ${small}${smallUnit}`;
}
