import type { Granted } from './answers.ts';

export interface Issued {
  readonly token: string;
  readonly expiresIn: number;
}

/** The tokens that were given, for a server that gives each again until it ends. */
export class IssuedTokens {
  readonly #byGrant = new Map<string, { readonly token: string; readonly endsAt: number }>();

  /** The token that was given for the same, with the rest of its life, or a new one. `now`: epoch seconds. */
  again({ tenant, clientId, scope, audience }: Granted, now: number, issue: () => Issued): Issued {
    const key = JSON.stringify([tenant, clientId, scope, audience]);
    const known = this.#byGrant.get(key);
    if (known !== undefined && known.endsAt > now)
      return { token: known.token, expiresIn: known.endsAt - now };
    const issued = issue();
    this.#byGrant.set(key, { token: issued.token, endsAt: now + issued.expiresIn });
    return issued;
  }
}
