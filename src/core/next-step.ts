import type { KnownTarget, Standing } from './condition.ts';
import type { Decision, Wait } from './decide.ts';
import type { Gate } from './gate.ts';
import { formatMoment } from './moment.ts';
import { describeLowered } from './pace.ts';

/** What happens next about a target. */
export interface NextStep {
  /** Epoch ms; undefined where nothing is planned. */
  readonly at: number | undefined;
  readonly what: string;
}

/** What happens next about a target, for a decision about it. */
export function nextStep(input: KnownTarget, decision: Decision | undefined): NextStep {
  const { standing, pausedUntil, policy, now } = input;
  if (standing === undefined) return { at: undefined, what: explainUnmanaged(policy !== undefined) };
  if (pausedUntil !== undefined && pausedUntil > now)
    return {
      at: pausedUntil,
      what: `An operator has paused it: nothing happens before ${formatMoment(pausedUntil, now)}${endsBefore(input, pausedUntil)}. To end that sooner: evertoken resume, with the select of the pause.`,
    };
  if (decision === undefined) {
    const at = Math.max(standing.dueAt, now);
    return {
      at,
      what: `Neither the configuration at hand nor an operator names it: it is about to be removed, waits for a removal to be confirmed, or belongs to a daemon with another configuration. It is looked at next ${formatMoment(at, now)}.`,
    };
  }
  return decision.act === 'wait'
    ? afterWait(input, standing, decision)
    : beforeRefresh(input, standing, decision.reason);
}

function endsBefore({ state, now }: KnownTarget, pausedUntil: number): string {
  return state.expiresAt > now && state.expiresAt < pausedUntil ? ', and its token ends before that' : '';
}

function explainUnmanaged(isConfigured: boolean): string {
  return isConfigured
    ? 'The configuration at hand names it, but no daemon has begun to manage it: start one with this configuration.'
    : 'The configuration at hand does not name it either: see whether its client, tenant and resource are written as there. A tenant that is missing, or that an operator has removed, comes with: evertoken add';
}

function afterWait(input: KnownTarget, { dueAt }: Standing, decision: Wait): NextStep {
  const { id, state, now } = input;
  const at = Math.max(decision.until.to, dueAt, closedUntil(input));
  const moment = formatMoment(at, now);
  switch (decision.reason) {
    case 'fresh': {
      const planned = Math.max(now, dueAt, decision.until.from, closedUntil(input));
      return { at: planned, what: `It is to be refreshed ${formatMoment(planned, now)}.` };
    }
    case 'unread':
      return {
        at,
        what: `Since ${decision.why}, it is not refreshed now, but looked at once more ${moment}. Unless somebody has read it by then, it becomes dormant.`,
      };
    case 'dormant':
      return {
        at: undefined,
        what: `It is left alone until somebody asks: a consumer by the stream of requests, or an operator with evertoken refresh ${id}`,
      };
    case 'in progress':
      return {
        at: state.leaseUntil,
        what: `An attempt is running, which ends ${formatMoment(state.leaseUntil, now)} at the latest.`,
      };
    case 'backoff':
      return {
        at,
        what:
          state.failure?.kind === 'throttled'
            ? `The server asked to wait: it is tried again ${moment}, and no order makes that sooner.`
            : `It is tried again ${moment}. To try at once, after mending it: evertoken refresh ${id} --force`,
      };
    case 'credential':
      return {
        at,
        what: `It waits without a call, since ${decision.why}. After mending it: configure the new credential, which is noticed by itself, or evertoken refresh ${id} --force, which brings that try forward.`,
      };
    case 'identical limit':
      return {
        at,
        what: `As many identical requests were sent as limits.identical allows, so that the server does not take them for a loop. The next is sent ${moment}; nobody has to do anything.`,
      };
  }
}

function beforeRefresh(input: KnownTarget, { dueAt, ready }: Standing, reason: string): NextStep {
  const { hostGate, tenantGate, limits, now, policy } = input;
  const host = policy?.host ?? 'its host';
  const closed = closedUntil(input);
  if (closed > now) return { at: closed, what: explainClosed(input, closed) };
  if (hostGate.probing)
    return {
      at: now,
      what: `${host} was down (${hostGate.why}). One request at a time tries whether it is back; after the first answer this target has its turn.`,
    };
  if (ready)
    return {
      at: now,
      what: `It waits for its turn at ${host}: the earliest expiry goes first, at the rate of limits.perHost${explainLowered(hostGate, limits?.perHost, now)}.`,
    };
  if (dueAt <= now) return { at: now, what: 'It is taken up now, with the next step of any scheduler.' };
  if (reason === 'due') return { at: dueAt, what: `It is to be refreshed ${formatMoment(dueAt, now)}.` };
  return {
    at: dueAt,
    what: `It was handed to a worker, or is held back for a moment by limits.perTenant${explainLowered(tenantGate, limits?.perTenant, now)}; it is looked at again ${formatMoment(dueAt, now)} at the latest.`,
  };
}

function explainLowered({ pace }: Gate, limit: number | undefined, now: number): string {
  const lowered = limit === undefined ? undefined : describeLowered(pace, limit, now);
  return lowered === undefined ? '' : `, which the server has made us lower for now (${lowered})`;
}

/** Until when the gates hold its requests back; past or 0: they do not. */
export const closedUntil = ({ hostGate, tenantGate }: KnownTarget): number =>
  Math.max(hostGate.closedUntil, tenantGate.closedUntil);

/** Which gate is closed, until when and why. */
export function explainClosed({ hostGate, tenantGate, id, policy, now }: KnownTarget, until: number): string {
  const host = policy?.host ?? 'its host';
  const isHost = hostGate.closedUntil >= tenantGate.closedUntil;
  const scope = isHost ? `${host} for everyone` : `${id.slice(0, id.lastIndexOf('/'))} at ${host}`;
  const why = (isHost ? hostGate : tenantGate).why || 'closed';
  return `Requests to ${scope} are held back until ${formatMoment(until, now)}: ${why}. They go on by themselves.`;
}
