import { formatDuration } from '../core/duration.ts';
import type { AwaitedOutcome } from './awaited.ts';

const CLEAR_LINE = '\r\u001b[2K';

/** Where progress is shown. */
interface Stream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Shows how far an order is: one live line on a terminal, else a line for each target. */
export class Progress {
  readonly #total: number;
  readonly #stream: Stream | undefined;
  #refreshed = 0;
  #failed = 0;

  /** Without a stream nothing is shown. */
  constructor(total: number, stream: Stream | undefined) {
    this.#total = total;
    this.#stream = stream;
    if (stream?.isTTY === true) this.#redraw();
  }

  show(outcome: AwaitedOutcome): void {
    if (outcome.outcome === 'refreshed') this.#refreshed++;
    else this.#failed++;
    if (this.#stream === undefined) return;
    if (this.#stream.isTTY === true) this.#redraw();
    else this.#stream.write(`${describeOutcome(outcome)}\n`);
  }

  /** Clears the live line: what follows says it all. */
  end(): void {
    if (this.#stream?.isTTY === true) this.#stream.write(CLEAR_LINE);
  }

  #redraw(): void {
    const waiting = this.#total - this.#refreshed - this.#failed;
    const failed = this.#failed === 0 ? '' : `, ${this.#failed} failed`;
    this.#stream?.write(
      `${CLEAR_LINE}${this.#refreshed} of ${this.#total} refreshed${failed}, ${waiting} waiting`,
    );
  }
}

/** One target's end in one line. */
function describeOutcome(outcome: AwaitedOutcome): string {
  return outcome.outcome === 'refreshed'
    ? `${outcome.target} refreshed, generation ${outcome.generation}`
    : `${outcome.target} failed: ${outcome.failure.code}`;
}

/** `lives for 59m`. */
export function describeLife(expiresAt: number, now: number): string {
  return `lives for ${formatDuration(Math.max(0, expiresAt - now))}`;
}
