import type { Behaviour } from './behaviour.ts';

/** Settings that others take the place of; with `forMs` they go back after that time. */
export interface Change {
  readonly settings: Partial<Behaviour>;
  readonly forMs?: number | undefined;
}

/** How the server behaves: what was set for good, with what was set for a while on top, the newest last. */
export class Changes {
  /** Changes in place. */
  readonly current: Readonly<Behaviour>;
  readonly #lasting: Behaviour;
  readonly #passing = new Map<Partial<Behaviour>, NodeJS.Timeout>();

  constructor(behaviour: Behaviour) {
    this.#lasting = { ...behaviour };
    this.current = { ...behaviour };
  }

  /** A lasting change also ends what was set for a while for the same. `onEnd`: when a passing one has ended. */
  apply({ settings, forMs }: Change, onEnd?: () => void): void {
    if (forMs === undefined) {
      Object.assign(this.#lasting, settings);
      for (const passing of this.#passing.keys())
        for (const key of Object.keys(settings)) Reflect.deleteProperty(passing, key);
    } else {
      const passing = { ...settings };
      const end = (): void => {
        this.#passing.delete(passing);
        this.#renew();
        onEnd?.();
      };
      this.#passing.set(passing, setTimeout(end, forMs).unref());
    }
    this.#renew();
  }

  /** Nothing goes back any more. */
  close(): void {
    for (const timer of this.#passing.values()) clearTimeout(timer);
  }

  #renew(): void {
    Object.assign(this.current, this.#lasting, ...this.#passing.keys());
  }
}
