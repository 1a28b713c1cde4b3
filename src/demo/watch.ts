import { setTimeout as sleep } from 'node:timers/promises';
import { type Consumer, keepReading, startConsumer } from './consumer.ts';
import { askMockIdp, NO_TRAFFIC, nextTraffic, type Traffic } from './request-rate.ts';
import type { Screen } from './screen.ts';
import { type DemoOptions, targetIds } from './setting.ts';
import type { Stage } from './stage.ts';
import type { View } from './table.ts';
import { type Counts, Tally } from './tally.ts';

const SWEEP_EVERY_MS = 250;
const LOOK_EVERY_MS = 1000;

/** Reads all tokens over and over, counts, and shows what it counted. */
export class Watch {
  readonly #options: DemoOptions;
  readonly #screen: Screen;
  readonly #tally: Tally;
  readonly #over = new AbortController();
  #traffic = NO_TRAFFIC;
  #startedAt = performance.now();
  #lookedAt = 0;
  #finish = async (): Promise<void> => {};

  constructor(options: DemoOptions, screen: Screen) {
    this.#options = options;
    this.#screen = screen;
    this.#tally = new Tally(options.tenants * options.resources);
  }

  get counts(): Counts {
    return this.#tally.counts;
  }

  get traffic(): Traffic {
    return this.#traffic;
  }

  get isWarm(): boolean {
    return this.counts.warmUpMs !== undefined;
  }

  /** Since the daemon was started. */
  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** Resolves at a moment, which keeps no process alive. */
  async until(elapsedMs: number): Promise<void> {
    await sleep(Math.max(0, elapsedMs - this.elapsedMs), undefined, { ref: false });
  }

  /** Resolves when `end` is called. */
  async begin(stage: Stage): Promise<void> {
    this.#startedAt = this.#lookedAt = stage.daemonStartedAt;
    const consumer = startConsumer(stage.redis.url, targetIds(this.#options));
    const showing = setInterval(() => this.#show(), this.#screen.everyMs);
    const loops = Promise.all([this.#keepReading(consumer), this.#keepLooking(stage)]);
    this.#finish = async () => {
      this.#over.abort();
      // What made them fail is the business of whoever awaits `begin`.
      await loops.catch(() => {});
      clearInterval(showing);
      consumer.close();
      await this.#look(stage);
      this.#show();
    };
    await loops;
  }

  /** Ends the reading, with a last look at everything. To be called while all parts still run. */
  end(): Promise<void> {
    return this.#finish();
  }

  #keepReading(consumer: Consumer): Promise<void> {
    return keepReading(consumer, SWEEP_EVERY_MS, this.#over.signal, (sweep) => {
      this.#tally.note(sweep, this.elapsedMs);
    });
  }

  async #keepLooking(stage: Stage): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await this.#look(stage);
      stage.daemon.trimLog();
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #look({ mockIdpUrl }: Stage): Promise<void> {
    const counted = await askMockIdp(mockIdpUrl);
    if (counted === undefined) return;
    const now = performance.now();
    this.#traffic = nextTraffic(this.#traffic, counted, now - this.#lookedAt);
    this.#lookedAt = now;
  }

  #show(): void {
    const { counts, traffic, elapsedMs } = this;
    const view: View = { counts, traffic, elapsedMs, forMs: this.#options.forMs };
    this.#screen.show(view);
  }
}
