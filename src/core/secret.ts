const HIDDEN = '[secret]';

/** What Node's `util.inspect` and `console.log` call; the registered symbol keeps this file free of imports. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/**
 * A value that must not be seen: a client secret, an access token, a password. Whatever prints it (a template,
 * JSON, `console.log`, a logger, an error) gets `[secret]`; only `reveal()` gives the value, and its callers
 * are the places to review: the request that is sent, the token key that is written, `evertoken get`.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [INSPECT](): string {
    return HIDDEN;
  }
}
