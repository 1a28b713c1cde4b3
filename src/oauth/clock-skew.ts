/** An answer's Date header names the second in which it was written; the middle of that second is the best guess. */
const HALF_A_SECOND_MS = 500;
/** Less is within what a header of whole seconds and a slow answer can tell. */
const SMALLEST_MS = 2000;
/** So much more than before is a clock that was set, not a slow answer. */
const STEP_MS = 30_000;
const KEPT_SAMPLES = 5;
const MOST_SERVERS = 1000;

/** One measurement: the server's clock minus ours, when its answer was written. Times are epoch ms. */
export function measureSkewMs(dateHeader: number, sentAt: number, answeredAt: number): number {
  return dateHeader + HALF_A_SECOND_MS - (sentAt + answeredAt) / 2;
}

/** How far the clocks of servers are from ours, in ms: server minus local. Remembers the last servers it heard of. */
export class ClockSkews {
  readonly #samples = new Map<string, readonly number[]>();

  record(server: string, skewMs: number): void {
    const samples = this.#samples.get(server) ?? [];
    const isStep = samples.length > 0 && Math.abs(skewMs - median(samples)) > STEP_MS;
    this.#samples.delete(server);
    this.#samples.set(server, isStep ? [skewMs] : [...samples, skewMs].slice(-KEPT_SAMPLES));
    if (this.#samples.size > MOST_SERVERS) this.#samples.delete(this.#samples.keys().next().value as string);
  }

  /** The median of the last measurements, so that one slow answer does not count; undefined before the first. */
  of(server: string): number | undefined {
    const samples = this.#samples.get(server);
    if (samples === undefined) return undefined;
    const skewMs = Math.round(median(samples));
    return Math.abs(skewMs) < SMALLEST_MS ? 0 : skewMs;
  }
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}
