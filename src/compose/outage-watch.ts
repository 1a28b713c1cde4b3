import type { Rate } from '../core/duration.ts';
import type { HostPlan, Life } from '../core/feasibility.ts';
import { type FeasibilityProblem, findFeasibilityProblems } from '../core/feasibility-words.ts';
import type { Logger } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Lifetimes } from '../refresh/lifetimes.ts';
import type { CataloguePort, ClockPort } from '../refresh/ports.ts';
import type { HealthState } from './health.ts';

export interface OutageWatchDependencies {
  readonly lifetimes: Pick<Lifetimes, 'exchange'>;
  readonly clock: ClockPort;
  /** Of the targets in effect. */
  readonly catalogue: () => Pick<CataloguePort, 'replan'>;
  /** What the fleet may ask of a host. */
  readonly perHost: (host: string) => Rate | undefined;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
}

/** Plans by how long tokens are seen to live, and says where an outage target is not held. */
export class OutageWatch {
  readonly #deps: OutageWatchDependencies;
  #lives: ReadonlyMap<string, Life> = new Map();
  /** What was last said, by whom it is about. */
  #said: ReadonlyMap<string, FeasibilityProblem> = new Map();

  constructor(deps: OutageWatchDependencies) {
    this.#deps = deps;
  }

  /** Exchanges with the fleet what tokens were seen, and plans by it. */
  async look(): Promise<void> {
    const { lifetimes, clock } = this.#deps;
    this.#lives = await lifetimes.exchange(await clock.now());
    this.replan();
  }

  /** Plans by what is known, as when the targets have changed. */
  replan(): void {
    const { catalogue, perHost, health } = this.#deps;
    const plans = catalogue().replan(this.#lives, perHost);
    this.#measure(plans);
    const problems = plans.flatMap(findFeasibilityProblems);
    health.set('outage-target-not-held', problems.length > 0);
    this.#say(new Map(problems.map((problem) => [problem.client ?? `host ${problem.host}`, problem])));
  }

  #measure(plans: readonly HostPlan[]): void {
    const { outageTarget, outageHeld } = this.#deps.metrics;
    outageTarget.reset();
    outageHeld.reset();
    for (const { client, outageTargetMs, holdsMs } of plans.flatMap(({ clients }) => clients)) {
      outageTarget.set({ client }, outageTargetMs / 1000);
      outageHeld.set({ client }, holdsMs / 1000);
    }
  }

  #say(problems: ReadonlyMap<string, FeasibilityProblem>): void {
    const { log } = this.#deps;
    for (const [about, problem] of problems)
      if (this.#said.get(about)?.what !== problem.what)
        log.warn(
          { code: 'OUTAGE_TARGET_NOT_HELD', ...problem },
          'an outage target is not held: the best window that can be kept is used',
        );
    for (const [about, { host, client }] of this.#said)
      if (!problems.has(about)) log.info({ host, client }, 'the outage targets are held again');
    this.#said = problems;
  }
}
