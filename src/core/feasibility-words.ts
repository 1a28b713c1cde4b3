import { formatDuration, rateText, settingDuration } from './duration.ts';
import { type ClientPlan, type HostPlan, type Life, USABLE_SHARE } from './feasibility.ts';
import { PLAN_AT_MOST, ROUNDING_MS } from './plan.ts';

const MINUTE_MS = 60_000;
/** Up to this a duration is easier to compare in minutes. */
const IN_MINUTES_MS = 120 * MINUTE_MS;
/** From this on the seconds of what is held are noise. */
const WHOLE_MINUTES_FROM_MS = 5 * MINUTE_MS;

/** `holds 7 of 20 min`, or `holds 2m 30s of 20m` where minutes are too coarse. What is held is never rounded up. */
export function heldWords({
  holdsMs,
  outageTargetMs,
}: Pick<ClientPlan, 'holdsMs' | 'outageTargetMs'>): string {
  const held =
    holdsMs >= outageTargetMs
      ? outageTargetMs
      : floorTo(holdsMs < WHOLE_MINUTES_FROM_MS ? 1000 : MINUTE_MS, holdsMs);
  const isInMinutes =
    held % MINUTE_MS === 0 && outageTargetMs % MINUTE_MS === 0 && outageTargetMs <= IN_MINUTES_MS;
  return isInMinutes
    ? `holds ${held / MINUTE_MS} of ${outageTargetMs / MINUTE_MS} min`
    : `holds ${held === 0 ? '0s' : formatDuration(held)} of ${formatDuration(outageTargetMs)}`;
}

/** Why a client does not hold its target; empty where it does. */
export function whyNotHeld(plan: ClientPlan, { host, limitPerSecond, neededPerSecond }: HostPlan): string {
  const longestMs = longestTargetMs(plan);
  const most = `can hold ${longestMs === 0 ? 'less than a second' : `at most ${formatDuration(longestMs)}`}`;
  switch (plan.obstacle) {
    case undefined:
      return '';
    case 'life':
      return `${tokens(plan.life)} ${most}`;
    case 'identical limit': {
      const allowed = `limits.identical lets a plan ask once in ${formatDuration(plan.identicalCycleMs)} (one request is kept for operators)`;
      return runsOut(plan)
        ? `${allowed}, which is too seldom for ${tokens(plan.life)}: they run out`
        : `${allowed}, so ${tokens(plan.life)} ${most}`;
    }
    case 'tenant limit':
      return `each tenant needs ${tooMuchToPlan('perTenant', plan.tenantNeededPerSecond, plan.tenantLimitPerSecond)}`;
    case 'host limit':
      return `the targets of ${host} need ${tooMuchToPlan('perHost', neededPerSecond, limitPerSecond)}`;
  }
}

function whatToDo(plan: ClientPlan, { neededPerSecond }: HostPlan): string {
  switch (plan.obstacle) {
    case undefined:
      return '';
    case 'life':
      return anyOf(...shorterTarget(plan), LIVE_LONGER);
    case 'identical limit':
      return anyOf('raise limits.identical if the server allows it', ...shorterTarget(plan), LIVE_LONGER);
    case 'tenant limit':
      return anyOf(raise('perTenant', plan.tenantNeededPerSecond), SHORTER_TARGET, LIVE_LONGER);
    case 'host limit':
      return anyOf(raise('perHost', neededPerSecond), SHORTER_TARGET, LIVE_LONGER);
  }
}

const LIVE_LONGER = 'have tokens live longer';
const SHORTER_TARGET = 'set a shorter refresh.outageTarget';

/** What the lives and the identical limit allow, as a setting; nothing where none would help. */
function shorterTarget(plan: ClientPlan): string[] {
  const longestMs = longestTargetMs(plan);
  return longestMs === 0 || runsOut(plan)
    ? []
    : [`set refresh.outageTarget to ${settingDuration(longestMs)} or less`];
}

const raise = (limit: string, neededPerSecond: number): string =>
  `raise limits.${limit} to ${wholeRateText(neededPerSecond)} if the server allows it`;

/** `a`, `a, or b`, `a, b, or c`. */
const anyOf = (...ways: readonly string[]): string =>
  [...ways.slice(0, -2), ways.slice(-2).join(', or ')].join(', ');

/** What does not hold, and what to do; `what` stays the same while only figures of the reason change. */
export interface FeasibilityProblem {
  readonly host: string;
  /** Undefined: it is the host's. */
  readonly client: string | undefined;
  readonly what: string;
  readonly why: string;
  readonly todo: string;
}

const problemText = ({ host, client, what, why, todo }: FeasibilityProblem): string =>
  `${client === undefined ? host : `client ${client}`} ${what}: ${why}; ${todo}`;

/** The same in words, a line for each. */
export const feasibilityProblems = (plan: HostPlan): string[] =>
  findFeasibilityProblems(plan).map(problemText);

/** What does not hold on one host; nothing where all is well. */
export function findFeasibilityProblems(plan: HostPlan): FeasibilityProblem[] {
  const { host, fits, clients } = plan;
  const ofHost = fits ? [] : [{ host, client: undefined, ...tooMuchOfHost(plan) }];
  const ofClients = clients.flatMap((one): FeasibilityProblem[] => {
    const { client, tenantFits, obstacle } = one;
    if (!tenantFits) return [{ host, client, ...tooMuchOfTenant(one) }];
    // Where the host itself is asked for too much, its problem is theirs.
    if (obstacle === undefined || (!fits && obstacle === 'host limit')) return [];
    return [{ host, client, what: heldWords(one), why: whyNotHeld(one, plan), todo: whatToDo(one, plan) }];
  });
  return [...ofHost, ...ofClients];
}

function tooMuch(
  limit: 'perHost' | 'perTenant',
  requestsPerSecond: number,
  limitPerSecond: number,
  neededPerSecond: number,
): Pick<FeasibilityProblem, 'what' | 'why' | 'todo'> {
  const effect =
    requestsPerSecond > limitPerSecond
      ? 'tokens expire while they wait'
      : 'too little is left for retries, orders and catching up';
  return {
    what: `asks for more than ${USABLE_SHARE * 100} % of limits.${limit}`,
    why: `${rateText(requestsPerSecond)} of ${rateText(limitPerSecond)}, even as late as refresh.latest allows, so ${effect}`,
    todo: anyOf(raise(limit, neededPerSecond), LIVE_LONGER),
  };
}

const tooMuchOfHost = (plan: HostPlan): ReturnType<typeof tooMuch> =>
  tooMuch('perHost', plan.requestsPerSecond, plan.limitPerSecond, plan.neededPerSecond);

const tooMuchOfTenant = (plan: ClientPlan): ReturnType<typeof tooMuch> =>
  tooMuch('perTenant', plan.tenantRequestsPerSecond, plan.tenantLimitPerSecond, plan.tenantNeededPerSecond);

/** `1.2/s, more than the 1.1/s that plans may use (80 % of limits.perHost, 1.3/s)`. */
function tooMuchToPlan(limit: string, neededPerSecond: number, limitPerSecond: number): string {
  const [needed, usable] = [
    rateText(USABLE_SHARE * neededPerSecond),
    rateText(USABLE_SHARE * limitPerSecond),
  ];
  const more = needed === usable ? 'a little more' : `${needed}, more`;
  return `${more} than the ${usable} that plans may use (${USABLE_SHARE * 100} % of limits.${limit}, ${rateText(limitPerSecond)})`;
}

const tokens = ({ shortestMs, longestMs }: Life): string =>
  shortestMs === longestMs
    ? `tokens that live ${formatDuration(shortestMs)}`
    : `the shortest-lived tokens (${formatDuration(shortestMs)})`;

/** Whether a plan cannot ask again before the tokens end, whatever the target. */
const runsOut = ({ identicalCycleMs, life }: ClientPlan): boolean =>
  identicalCycleMs > PLAN_AT_MOST * life.shortestMs;

/** In whole seconds. As a setting it has to hold, so it is not rounded up, but for what calculating is off by. */
const longestTargetMs = (plan: ClientPlan): number => floorTo(1000, plan.longestTargetMs + ROUNDING_MS);

/** `1h`, or `1h to 1h 30m, 1h 15m on average`. */
export function lifeText({ shortestMs, meanMs, longestMs }: Life): string {
  if (formatDuration(shortestMs) === formatDuration(longestMs)) return formatDuration(meanMs);
  return `${formatDuration(shortestMs)} to ${formatDuration(longestMs)}, ${formatDuration(meanMs)} on average`;
}

/** In a unit in which it is a whole number, as the configuration takes it; rounded up. */
function wholeRateText(countPerSecond: number): string {
  if (countPerSecond >= 1) return `${Math.ceil(countPerSecond)}/s`;
  return countPerSecond >= 1 / 60
    ? `${Math.ceil(60 * countPerSecond)}/m`
    : `${Math.ceil(3600 * countPerSecond)}/h`;
}

const floorTo = (unitMs: number, ms: number): number => Math.floor(ms / unitMs) * unitMs;
