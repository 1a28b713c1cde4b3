import { rateText } from '../core/duration.ts';
import { type ClientPlan, type HostPlan, type Life, planHost } from '../core/feasibility.ts';
import { feasibilityProblems } from '../core/feasibility-words.ts';
import { type Scenario, targetCount } from './scenario.ts';
import { HOST } from './targets.ts';

/** What the daemons make of the outage target, by the same arithmetic as theirs. All clients are alike, and so one. */
export function planOf(scenario: Scenario): HostPlan {
  const tenants = scenario.clients * scenario.tenants;
  return planHost({
    host: HOST,
    limitPerSecond: scenario.perHost,
    clients: [
      {
        ...{ client: 'simulated', tenants, resources: targetCount(scenario) / tenants },
        ...{ life: lifeOf(scenario), isSeen: true },
        outageTargetMs: scenario.outageTargetMs,
        latestShare: scenario.latestShare,
        identical: scenario.identical,
        perTenant: { count: Math.round(scenario.perTenant * 1000), windowMs: 1_000_000 },
      },
    ],
  });
}

/** What windows are made from in place of the outage target. */
export const plannedOutageMs = (plan: HostPlan): number => (plan.clients[0] as ClientPlan).plannedOutageMs;

/** The longest outage, up to the target, that every token outlives. */
export const heldMs = (plan: HostPlan): number => (plan.clients[0] as ClientPlan).holdsMs;

/** What `evertoken check` would say, and what it cannot know: that the server takes less than what is planned. */
export function problemsOf({ idpPerSecond }: Scenario, plan: HostPlan): string[] {
  const { requestsPerSecond } = plan;
  const isTooMuch = idpPerSecond < Math.min(plan.limitPerSecond, requestsPerSecond);
  return [
    ...feasibilityProblems(plan),
    ...(isTooMuch
      ? [
          `the server takes ${rateText(idpPerSecond)}, and ${rateText(requestsPerSecond)} are planned: tokens expire`,
        ]
      : []),
  ];
}

/** As tokens come: of groups, those that live shorter come more often. */
function lifeOf({ lifetimes }: Pick<Scenario, 'lifetimes'>): Life {
  const tokensPerMs = lifetimes.reduce(
    (sum, { targets, minMs, maxMs }) => sum + (2 * targets) / (minMs + maxMs),
    0,
  );
  return {
    shortestMs: Math.min(...lifetimes.map(({ minMs }) => minMs)),
    meanMs: targetCount({ lifetimes }) / tokensPerMs,
    longestMs: Math.max(...lifetimes.map(({ maxMs }) => maxMs)),
  };
}
