import type { HostPlan } from '../core/feasibility.ts';
import { Clock } from './clock.ts';
import { Daemon } from './daemon.ts';
import { FleetIndex } from './fleet-index.ts';
import { JobQueue } from './job-queue.ts';
import { plannedOutageMs, planOf } from './planned.ts';
import { seededDraw } from './random.ts';
import { Recorder, type SeenRequest } from './recorder.ts';
import { type Draw, longestLifeMs, type Scenario } from './scenario.ts';
import { SimulatedServer } from './server.ts';
import { createTargets, type SimulatedTarget } from './targets.ts';
import { startWarm } from './warm-start.ts';

/** What a run leaves: what was counted, and the targets as they are at its end. */
export interface Run {
  readonly scenario: Scenario;
  /** Which outage the daemons can hold, and what they plan with. */
  readonly plan: HostPlan;
  readonly recorder: Recorder;
  readonly targets: readonly SimulatedTarget[];
  /** The moment of the virtual clock from which the times of the scenario count. */
  readonly start: number;
}

export interface RunOptions {
  /** Told of every request as the server sees it. */
  readonly onRequest?: (seen: SeenRequest) => void;
}

/** How the targets are is looked at so often in a run. */
const SAMPLES = 480;
const SHORTEST_SAMPLE_MS = 1000;

/** Runs a scenario: the same one gives the same run. */
export function simulate(scenario: Scenario, { onRequest }: RunOptions = {}): Run {
  const { forMs, seed, perHost, perTenant, outages } = scenario;
  const draw = seededDraw(seed);
  // 0 means never: so no token may have been issued then.
  const start = longestLifeMs(scenario) + (scenario.issuedWithinMs ?? 0) + 1000;
  const end = start + forMs;
  const plan = planOf(scenario);
  const targets = createTargets(scenario, plannedOutageMs(plan), draw);
  const fleet = new FleetIndex({
    ...{ targets: targets.length, scopeOf: (target) => (targets[target] as SimulatedTarget).scope },
    scopes: scenario.clients * scenario.tenants,
    ...{ perHost, perTenant, start, end: end + longestLifeMs(scenario) },
  });
  const clock = new Clock(start);
  const server = new SimulatedServer(scenario, start);
  const recorder = new Recorder({ targets, start, forMs, onRequest });
  enlist(targets, fleet, recorder, scenario, start, draw);
  const queue = new JobQueue(clock, targets.length);
  const parts = { clock, targets, fleet, server, recorder, queue, perHost, perTenant, draw };
  const daemons = Array.from({ length: scenario.daemons }, (_, number) => new Daemon(number, parts));
  queue.workers = daemons.map(({ worker }) => worker);
  for (const { daemon, atMs, downMs } of scenario.crashes) {
    clock.after(atMs, () => daemons[daemon - 1]?.kill());
    clock.after(atMs + downMs, () => daemons[daemon - 1]?.start());
  }
  for (const { fromMs, lengthMs } of outages)
    if (fromMs + lengthMs <= forMs) clock.after(fromMs + lengthMs, () => recorder.outageEnded(clock.now));
  takeSamples(clock, recorder, forMs);
  for (const daemon of daemons) daemon.start();
  clock.runUntil(end);
  recorder.end(end);
  return { scenario, plan, recorder, targets, start };
}

function enlist(
  targets: readonly SimulatedTarget[],
  { due }: FleetIndex,
  recorder: Recorder,
  scenario: Scenario,
  now: number,
  draw: Draw,
): void {
  for (const target of targets) {
    const hasToken = scenario.start === 'warm' && !target.fails;
    const dueAt = hasToken ? startWarm(target, due, scenario, now, draw) : now;
    due.set(target.index, dueAt);
    recorder.planned(target, dueAt);
  }
}

function takeSamples(clock: Clock, recorder: Recorder, forMs: number): void {
  const everyMs = Math.max(SHORTEST_SAMPLE_MS, Math.ceil(forMs / SAMPLES));
  const take = (): void => {
    recorder.sample(clock.now);
    clock.after(everyMs, take);
  };
  take();
}
