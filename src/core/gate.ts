import { THROTTLED_DEFAULT_MS } from './backoff.ts';

/**
 * Whether requests of one scope (a host; a client + tenant) may be sent now: one value in Redis, shared by the
 * fleet. The rate is kept by the script that claims; this is the rest, a reducer over what attempts report.
 */
export interface Gate {
  /** Nothing is claimed before. Retry-After and "down" are both this. */
  readonly closedUntil: number;
  /** Why it is closed or under suspicion, in words; empty when it is neither. */
  readonly why: string;
  /** The host was down: one probe at a time until something proves it alive. */
  readonly probing: boolean;
  /** Closures in a row without a proof of life. */
  readonly closures: number;
  /** Who was in trouble last; a second one within `SUSPICION_MS` closes the host for all. */
  readonly suspect: string;
  readonly suspectAt: number;
  /** Redis time of the last change that closed or opened it. */
  readonly changedAt: number;
}

/** A gate is named by its scope: a host, or a client + tenant. */
export type GateScope = { readonly host: string } | { readonly tenantScope: string };

export const OPEN_GATE: Gate = {
  closedUntil: 0,
  why: '',
  probing: false,
  closures: 0,
  suspect: '',
  suspectAt: 0,
  changedAt: 0,
};

/** What one request tells about a scope. `startedAt`: Redis time at which it was sent. */
export type GateEvent =
  | { readonly kind: 'answered'; readonly startedAt: number }
  | {
      readonly kind: 'unreachable';
      readonly tenant: string;
      readonly startedAt: number;
      readonly code: string;
    }
  | {
      readonly kind: 'throttled';
      readonly tenant: string;
      readonly startedAt: number;
      readonly retryAfterMs: number | undefined;
      /** The evidence reaches this scope itself; otherwise one tenant of it, and a second one escalates. */
      readonly wholeScope: boolean;
    };

/** Two tenants in trouble within this time are the host's trouble. */
const SUSPICION_MS = 10_000;
/** What reports later than this (stopped and resumed, say) tells nothing about now. */
const LATE_MS = 60_000;
const PROBE_BASE_MS = 1000;
const PROBE_LONGEST_MS = 15_000;

/** The gate after an event; the same object when nothing changes. */
export function reduceGate(gate: Gate, event: GateEvent, now: number): Gate {
  if (event.startedAt + LATE_MS < now) return gate;
  switch (event.kind) {
    case 'answered':
      return reduceAnswered(gate, event.startedAt, now);
    case 'unreachable':
      return reduceUnreachable(gate, event, now);
    case 'throttled':
      return reduceThrottled(gate, event, now);
  }
}

/** Whether a proof of life would change the gate: the only answers that are worth a write. */
export function awaitsAnswer(gate: Gate): boolean {
  return gate.probing || isSuspectedDown(gate);
}

/** An answer clears the suspicion of being down, not that of throttling: a throttled tenant answers as well. */
function isSuspectedDown(gate: Gate): boolean {
  return gate.suspect.startsWith('down ');
}

function reduceAnswered(gate: Gate, startedAt: number, now: number): Gate {
  // Only what was sent after the closure proves anything about the time after it, and nothing shortens Retry-After.
  if (!awaitsAnswer(gate) || startedAt < Math.max(gate.changedAt, gate.closedUntil)) return gate;
  if (!gate.probing) return { ...gate, suspect: '', suspectAt: 0 };
  return { ...OPEN_GATE, changedAt: now };
}

function reduceUnreachable(
  gate: Gate,
  event: Extract<GateEvent, { kind: 'unreachable' }>,
  now: number,
): Gate {
  // Sent before the last change: a fellow of the requests that closed it.
  if (event.startedAt < gate.changedAt) return gate;
  const bySecondTenant = isSecondSuspect(gate, `down ${event.tenant}`, now);
  if (!gate.probing && !bySecondTenant) return { ...gate, suspect: `down ${event.tenant}`, suspectAt: now };
  const pauseMs = Math.min(PROBE_LONGEST_MS, PROBE_BASE_MS * 2 ** Math.min(10, gate.closures));
  return {
    closedUntil: Math.max(gate.closedUntil, now + pauseMs),
    why: `down: ${event.code}`,
    probing: true,
    closures: gate.closures + 1,
    suspect: '',
    suspectAt: 0,
    changedAt: now,
  };
}

function reduceThrottled(gate: Gate, event: Extract<GateEvent, { kind: 'throttled' }>, now: number): Gate {
  const bySecondTenant = isSecondSuspect(gate, `throttled ${event.tenant}`, now);
  if (!event.wholeScope && !bySecondTenant) {
    return { ...gate, suspect: `throttled ${event.tenant}`, suspectAt: now };
  }
  const closedUntil = now + (event.retryAfterMs ?? THROTTLED_DEFAULT_MS);
  if (closedUntil <= gate.closedUntil) return gate;
  return { ...gate, closedUntil, why: 'throttled', suspect: '', suspectAt: 0, changedAt: now };
}

function isSecondSuspect(gate: Gate, suspect: string, now: number): boolean {
  const [kind, tenant] = suspect.split(' ');
  const [earlierKind, earlierTenant] = gate.suspect.split(' ');
  return kind === earlierKind && tenant !== earlierTenant && now - gate.suspectAt <= SUSPICION_MS;
}
