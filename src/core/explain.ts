import { type Condition, conditionOf, type KnownTarget } from './condition.ts';
import { type Decision, decide } from './decide.ts';
import { formatDuration } from './duration.ts';
import { type Advice, advice, type Owner } from './failure.ts';
import { formatMoment } from './moment.ts';
import { closedUntil, explainClosed, type NextStep, nextStep } from './next-step.ts';
import { hasLiveToken, isWanted, type TargetState } from './state.ts';
import { parseTarget, type TargetId } from './target.ts';

/** What `explain` says, for people and for programs. */
export interface Explanation {
  readonly id: TargetId;
  readonly condition: Condition | 'not managed';
  readonly summary: string;
  /** In plain words, a sentence or two each, in the order to read them. */
  readonly lines: readonly string[];
  readonly next: NextStep;
  /** What the policy says, with its `why`; undefined without a policy. */
  readonly decision: Decision | undefined;
  /** Who can mend the last failure, and how. */
  readonly advice: Advice | undefined;
}

/** Why a token is as it is, what happens next and when, and who can mend what is wrong. */
export function explain(input: KnownTarget): Explanation {
  const { id, state, policy, standing, now } = input;
  const decision = policy === undefined ? undefined : decide(state, policy, now, input.hold, input.idleMs);
  const help = state.failure === undefined ? undefined : advice(state.failure);
  const next = nextStep(input, decision);
  return {
    id,
    condition: standing === undefined ? 'not managed' : conditionOf(state, standing, now),
    summary: `${id} ${summaryOf(input)}`,
    lines: [
      ...tokenLines(input),
      ...failureLines(input, help),
      ...dormantLines(input),
      ...orderLines(state),
      ...gateLines(input, decision),
      next.what,
    ],
    next,
    decision,
    advice: help,
  };
}

function summaryOf(input: KnownTarget): string {
  const { state, standing, pausedUntil, now } = input;
  const live = hasLiveToken(state, now);
  const token = summaryOfToken(input);
  if (standing === undefined) return `is not managed, and ${token}.`;
  if (pausedUntil !== undefined && pausedUntil > now) return `${token}; refreshing it is paused.`;
  if (conditionOf(state, standing, now) === 'dormant')
    return `${token}; it is dormant, since nobody reads it.`;
  if (state.failure !== undefined && state.failures > 0)
    return `${token}${live ? ', but' : '; and'} refreshing it fails with ${state.failure.code}.`;
  return conditionOf(state, standing, now) === 'fresh' && input.tokenThere
    ? `${token}: all is well.`
    : `${token}; a new one is to be fetched.`;
}

function summaryOfToken({ state, tokenThere, now }: KnownTarget): string {
  if (!hasLiveToken(state, now)) {
    return state.expiresAt === 0
      ? 'has no token and has not had one'
      : `has no token: the last one expired ${formatDuration(now - state.expiresAt)} ago`;
  }
  const left = formatDuration(state.expiresAt - now);
  return tokenThere
    ? `has a token that lives for another ${left}`
    : `has lost its token, which would live for another ${left}`;
}

function tokenLines({ id, state, tokenThere, now }: KnownTarget): string[] {
  const live = hasLiveToken(state, now);
  const lines: string[] = [];
  if (state.issuedAt > 0 && state.expiresAt > 0) {
    const used = Math.round((100 * (now - state.issuedAt)) / (state.expiresAt - state.issuedAt));
    const end = formatMoment(state.expiresAt, now);
    const rest = live ? `, ends ${end} and has used ${used} % of its life` : ` and ended ${end}`;
    lines.push(
      `Its token, generation ${state.generation}, was issued ${formatMoment(state.issuedAt, now)}${rest}.`,
    );
  }
  if (live && !tokenThere)
    lines.push(
      `The token key is gone although the token should live: somebody has deleted it. To have another: evertoken refresh ${id} --force`,
    );
  if (!live && tokenThere)
    lines.push('A token key is there that its state knows nothing of: consumers can use it until it ends.');
  return lines;
}

const OWNERS: Readonly<Record<Exclude<Owner, "tenant's admin">, string>> = {
  us: 'whoever writes the configuration of evertoken',
  operator: 'whoever looks after the registration of the application, its credentials and the network',
  server: 'whoever runs the authorization server',
};

function failureLines({ id, state }: KnownTarget, help: Advice | undefined): string[] {
  const { failure, failures } = state;
  if (failure === undefined || help === undefined) return [];
  const attempts =
    failures > 1 ? `The last ${failures} attempts failed, the latest` : 'The last attempt failed';
  const owner =
    help.owner === "tenant's admin"
      ? `an administrator of the tenant ${parseTarget(id).tenant}`
      : OWNERS[help.owner];
  return [
    `${attempts} with ${failure.code} (${failure.kind}): ${help.what}.`,
    `Who can mend it: ${owner}. What to do: ${help.todo}.`,
    ...(failure.correlationId === undefined
      ? []
      : [`The server's support can look that request up: correlation id ${failure.correlationId}.`]),
  ];
}

function dormantLines({ state, now }: KnownTarget): string[] {
  if (state.dormantSince === 0) return [];
  const unread =
    state.readAt > 0 ? ` Its token was last known to be read ${formatMoment(state.readAt, now)}.` : '';
  return [`It has been dormant since ${formatMoment(state.dormantSince, now)}.${unread}`];
}

function orderLines(state: TargetState): string[] {
  return isWanted(state) ? [`A new token is wanted: ${state.wantedBy || 'nobody said why'}.`] : [];
}

/** A closed gate that is not already what happens next. */
function gateLines(input: KnownTarget, decision: Decision | undefined): string[] {
  const until = closedUntil(input);
  const isNext = decision?.act === 'refresh' && input.standing !== undefined;
  return until > input.now && !isNext ? [explainClosed(input, until)] : [];
}
