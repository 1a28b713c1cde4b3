import { type Gate, type GateEvent, OPEN_GATE, reduceGate } from '../core/gate.ts';

/** The gates of all tenants. Most are open and have never been anything else: those cost nothing. */
export class TenantGates {
  readonly #gates = new Map<number, Gate>();
  readonly #nextAt: Float64Array;

  constructor(scopes: number) {
    this.#nextAt = new Float64Array(scopes);
  }

  get(scope: number): Gate {
    return this.#gates.get(scope) ?? OPEN_GATE;
  }

  report(scope: number, event: GateEvent, now: number): void {
    const gate = this.get(scope);
    const after = reduceGate(gate, event, now);
    if (after !== gate) this.#gates.set(scope, after);
  }

  /** For tests: a gate as it is to be. */
  set(scope: number, gate: Gate): void {
    this.#gates.set(scope, gate);
  }

  /** The tenant's next turn on its pace; 0: it has had none. */
  nextAt(scope: number): number {
    return this.#nextAt[scope] as number;
  }

  setNextAt(scope: number, at: number): void {
    this.#nextAt[scope] = at;
  }
}
