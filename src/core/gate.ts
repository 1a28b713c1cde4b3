import { THROTTLED_DEFAULT_MS } from './backoff.ts';
import { FULL_PACE, lowered, type Pace, slowStart, withoutPassed } from './pace.ts';

/**
 * Whether, and how fast, requests of one scope (a host; a client + tenant) may be sent now: one value in Redis,
 * shared by the fleet, and a reducer over what attempts report.
 */
export interface Gate {
  readonly pace: Pace;
  /** Nothing is claimed before. Retry-After and "down" are both this. */
  readonly closedUntil: number;
  /** Why it is closed or under suspicion, in words; empty when it is neither. */
  readonly why: string;
  /** The host was down: one probe at a time until something proves it alive. */
  readonly probing: boolean;
  /** Closures in a row without a proof of life. */
  readonly closures: number;
  /** Who was in trouble last; another one within `SUSPICION_MS` adds to the suspicion, or closes the host for all. */
  readonly suspect: string;
  readonly suspectAt: number;
  /** How many have been in trouble one after the other, with no answer of another kind between. */
  readonly suspects: number;
  /** What `claims` was then. */
  readonly suspectClaims: number;
  /** How many requests have been given so far; counted by whoever claims, and by nobody else. */
  readonly claims: number;
  /** Redis time of the last change that closed or opened it. */
  readonly changedAt: number;
}

/** A gate is named by its scope: a host, or a client + tenant. */
export type GateScope = { readonly host: string } | { readonly tenantScope: string };

export const OPEN_GATE: Gate = {
  pace: FULL_PACE,
  closedUntil: 0,
  why: '',
  probing: false,
  closures: 0,
  suspect: '',
  suspectAt: 0,
  suspects: 0,
  suspectClaims: 0,
  claims: 0,
  changedAt: 0,
};

/** What every event has. `startedAt`: Redis time at which the request was sent. `ceiling`: the limit, requests a second. */
interface Told {
  readonly startedAt: number;
  readonly ceiling: number;
}

/** What one request tells about a scope. */
export type GateEvent = Told &
  (
    | {
        readonly kind: 'answered';
        /** The answer was a token, not a refusal. */
        readonly issued: boolean;
      }
    | {
        readonly kind: 'unreachable';
        readonly tenant: string;
        readonly code: string;
        /** Something said that there is trouble (a 5xx), and so is there; it may mean one tenant alone. */
        readonly isAnswered: boolean;
      }
    | {
        readonly kind: 'throttled';
        readonly tenant: string;
        readonly retryAfterMs: number | undefined;
        /** The evidence reaches this scope itself; otherwise one tenant of it, and a second one escalates. */
        readonly wholeScope: boolean;
      }
  );

type Of<Kind extends GateEvent['kind']> = Extract<GateEvent, { kind: Kind }>;

/** What happens to two tenants within this time is the host's trouble. */
const SUSPICION_MS = 10_000;
const SUSPECTS = 2;
/** Two throttled tenants among more requests than this are chance: each is held by its own gate. */
const SUSPICION_CLAIMS = 20;
/** Who says that there is trouble may mean the directory of a tenant; so often in a row it means the host. */
const SUSPECTS_ANSWERED = 10;
/** What reports later than this (stopped and resumed, say) tells nothing about now. */
const LATE_MS = 60_000;
const PROBE_BASE_MS = 1000;
/** Each pause between probes is so much longer than the one before: the last is a share of the outage, not all of it. */
const PROBE_GROWTH = 1.4;
export const PROBE_LONGEST_MS = 15_000;

/** The gate after an event; the same object when nothing changes. */
export function reduceGate(gate: Gate, event: GateEvent, now: number): Gate {
  if (event.startedAt + LATE_MS < now) return gate;
  switch (event.kind) {
    case 'answered':
      return reduceAnswered(gate, event, now);
    case 'unreachable':
      return reduceUnreachable(gate, event, now);
    case 'throttled':
      return reduceThrottled(gate, event, now);
  }
}

/** Whether an answer would change the gate: the only ones that are worth a write. `issued`: it was a token. */
export function awaitsAnswer(gate: Gate, issued: boolean): boolean {
  return gate.probing || isSuspectedDown(gate) || (issued && gate.pace.untested);
}

/** An answer clears the suspicion of being down, not that of throttling: a throttled tenant answers as well. */
function isSuspectedDown(gate: Gate): boolean {
  return gate.suspect.startsWith('down ');
}

function reduceAnswered(gate: Gate, { startedAt, issued, ceiling }: Of<'answered'>, now: number): Gate {
  // Only what was sent after the closure proves anything about the time after it, and nothing shortens Retry-After.
  if (!awaitsAnswer(gate, issued) || startedAt < Math.max(gate.changedAt, gate.closedUntil)) return gate;
  const begun = gate.probing ? slowStart(gate.pace, ceiling, now) : gate.pace;
  const pace = issued ? { ...begun, untested: false } : begun;
  if (gate.probing) return { ...OPEN_GATE, pace, claims: gate.claims, changedAt: now };
  return isSuspectedDown(gate) ? { ...gate, ...UNSUSPECTED, pace } : { ...gate, pace };
}

function reduceUnreachable(gate: Gate, event: Of<'unreachable'>, now: number): Gate {
  // Sent before the last change: a fellow of the requests that closed it.
  if (event.startedAt < gate.changedAt) return gate;
  const suspicion = suspectAlso(gate, `down ${event.tenant}`, now);
  const enough = event.isAnswered ? SUSPECTS_ANSWERED : SUSPECTS;
  if (!gate.probing && suspicion.suspects < enough) return { ...gate, ...suspicion };
  const pauseMs = Math.min(PROBE_LONGEST_MS, PROBE_BASE_MS * PROBE_GROWTH ** Math.min(20, gate.closures));
  return {
    ...gate,
    pace: gate.probing ? gate.pace : withoutPassed(gate.pace, event.ceiling, now),
    closedUntil: Math.max(gate.closedUntil, Math.round(now + pauseMs)),
    why: `down: ${event.code}`,
    probing: true,
    closures: gate.closures + 1,
    ...UNSUSPECTED,
    changedAt: now,
  };
}

function reduceThrottled(gate: Gate, event: Of<'throttled'>, now: number): Gate {
  // Sent before it closed, or while it was closed: a fellow of the request that closed it, and one event with it.
  const isFellow = event.startedAt < Math.max(gate.changedAt, gate.closedUntil);
  const suspicion = suspectAlso(gate, `throttled ${event.tenant}`, now);
  if (!event.wholeScope && suspicion.suspects < SUSPECTS) return isFellow ? gate : { ...gate, ...suspicion };
  const retryAfterMs = event.retryAfterMs ?? THROTTLED_DEFAULT_MS;
  // What was asked of a tenant is obeyed for the tenant; that it is the host's trouble too is only concluded from it.
  const closedMs = event.wholeScope ? retryAfterMs : Math.min(retryAfterMs, THROTTLED_DEFAULT_MS);
  const closedUntil = Math.max(gate.closedUntil, now + closedMs);
  if (isFellow) return closedUntil === gate.closedUntil ? gate : prolonged(gate, closedUntil);
  const pace = lowered(gate.pace, event.ceiling, closedUntil, now);
  return { ...gate, pace, closedUntil, why: 'throttled', ...UNSUSPECTED, changedAt: now };
}

/** Closed for longer; a rate that waits for the end of the closure waits longer as well. */
function prolonged(gate: Gate, closedUntil: number): Gate {
  const pace =
    gate.pace.rate === 0 ? gate.pace : { ...gate.pace, rateAt: Math.max(gate.pace.rateAt, closedUntil) };
  return { ...gate, pace, closedUntil, why: 'throttled' };
}

type Suspicion = Pick<Gate, 'suspect' | 'suspectAt' | 'suspects' | 'suspectClaims'>;

const UNSUSPECTED: Suspicion = { suspect: '', suspectAt: 0, suspects: 0, suspectClaims: 0 };

/** The suspicion with one more in trouble: it adds to one of the same kind that is fresh, else it is the first. */
function suspectAlso(gate: Gate, suspect: string, now: number): Suspicion {
  const [kind] = suspect.split(' ');
  const [earlierKind] = gate.suspect.split(' ');
  const isNear = kind === 'down' || gate.claims - gate.suspectClaims <= SUSPICION_CLAIMS;
  const isFresh = kind === earlierKind && isNear && now - gate.suspectAt <= SUSPICION_MS;
  const suspects = isFresh ? Math.max(1, gate.suspects) + (suspect === gate.suspect ? 0 : 1) : 1;
  return { suspect, suspectAt: now, suspects, suspectClaims: gate.claims };
}
