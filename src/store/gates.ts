import type { Redis } from 'ioredis';
import { type Gate, type GateEvent, type GateScope, reduceGate } from '../core/gate.ts';
import type { Pace } from '../core/pace.ts';
import type { Keys } from './keys.ts';
import { Script } from './script.ts';

const CHANGE = new Script('gate');

/** A gate that nobody has used or changed for so long is as good as new. */
const FORGET_MS = 86_400_000;
/** Retry-After is at most an hour. What is closed for longer was closed by a clock that has gone back since. */
export const LONGEST_CLOSED_MS = 3_660_000;
/** A change that is further ahead than this was made by such a clock. */
const FUTURE_MS = 60_000;

export const GATE_FIELDS = [
  'rev',
  'closedUntil',
  'why',
  'probing',
  'closures',
  'suspect',
  'suspectAt',
  'suspects',
  'suspectSeq',
  'seq',
  'changedAt',
  'rate',
  'rateAt',
  'refused',
  'untested',
] as const;

/** The gates of the fleet. What an attempt tells is reduced by `core/gate` and written if nobody was faster. */
export class Gates {
  readonly #redis: Redis;
  readonly #keys: Keys;

  constructor(redis: Redis, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  async read(scope: GateScope): Promise<Gate> {
    return decodeGate(await this.#redis.hmget(this.#key(scope), ...GATE_FIELDS)).gate;
  }

  /** Applies an event. Gives the gate before and after it. */
  async report(scope: GateScope, event: GateEvent, now: number): Promise<{ before: Gate; after: Gate }> {
    const key = this.#key(scope);
    for (;;) {
      const { revision, gate: stored } = decodeGate(await this.#redis.hmget(key, ...GATE_FIELDS));
      const gate = asOf(now, stored);
      const after = reduceGate(gate, event, now);
      if (after === gate) return { before: gate, after };
      const forgetMs = FORGET_MS + Math.max(0, after.closedUntil - now);
      const [changed] = await CHANGE.run(this.#redis, [key], [revision, forgetMs, ...encodeGate(after)]);
      if (changed === 1) return { before: gate, after };
    }
  }

  #key(scope: GateScope): string {
    return 'host' in scope ? this.#keys.hostGate(scope.host) : this.#keys.tenantGate(scope.tenantScope);
  }
}

export function decodeGate(values: readonly (string | null)[]): { revision: string; gate: Gate } {
  const [
    revision,
    closedUntil,
    why,
    probing,
    closures,
    suspect,
    suspectAt,
    suspects,
    suspectSeq,
    seq,
    ...rest
  ] = values;
  const [changedAt, ...pace] = rest;
  return {
    revision: revision ?? '0',
    gate: {
      pace: decodePace(pace),
      closedUntil: Number(closedUntil) || 0,
      why: why ?? '',
      probing: probing === '1',
      closures: Number(closures) || 0,
      suspect: suspect ?? '',
      suspectAt: Number(suspectAt) || 0,
      suspects: Number(suspects) || 0,
      suspectClaims: Number(suspectSeq) || 0,
      claims: Number(seq) || 0,
      changedAt: Number(changedAt) || 0,
    },
  };
}

function decodePace([rate, rateAt, refused, untested]: readonly (string | null | undefined)[]): Pace {
  return {
    rate: Math.max(0, Number(rate) || 0),
    rateAt: Number(rateAt) || 0,
    refused: Math.max(0, Number(refused) || 0),
    untested: untested === '1',
  };
}

/**
 * A gate without the moments that cannot be, since they are of a clock that has gone back. A rate grows from when it was
 * lowered or from the end of a closure. One that would begin later begins now: lowered it stays, but not for longer.
 */
export function asOf(now: number, gate: Gate): Gate {
  const closedUntil = gate.closedUntil > now + LONGEST_CLOSED_MS ? 0 : gate.closedUntil;
  const changedAt = gate.changedAt > now + FUTURE_MS ? 0 : gate.changedAt;
  const suspectAt = gate.suspectAt > now + FUTURE_MS ? 0 : gate.suspectAt;
  const pace = { ...gate.pace, rateAt: Math.min(gate.pace.rateAt, Math.max(now, closedUntil)) };
  return { ...gate, pace, closedUntil, changedAt, suspectAt };
}

/** Whatever a report changes, the probe that was out has come back. */
function encodeGate({ pace, ...gate }: Gate): (string | number)[] {
  return [
    ...['closedUntil', gate.closedUntil, 'why', gate.why, 'probing', gate.probing ? 1 : 0],
    ...['closures', gate.closures, 'suspect', gate.suspect, 'suspectAt', gate.suspectAt],
    ...['suspects', gate.suspects, 'suspectSeq', gate.suspectClaims],
    ...['changedAt', gate.changedAt, 'probeUntil', 0, 'rate', pace.rate, 'rateAt', pace.rateAt],
    ...['refused', pace.refused, 'untested', pace.untested ? 1 : 0],
  ];
}
