import { type Granted, issuerOf } from './answers.ts';
import type { Behaviour } from './behaviour.ts';
import { type Issued, IssuedTokens } from './issued-tokens.ts';
import type { Lifetime, Mode } from './options.ts';
import type { Reply } from './reply.ts';
import type { TokenSigner } from './tokens.ts';
import { SPOILED, type TokenAnswer } from './wrong-answers.ts';

export interface GrantsParts {
  readonly behaviour: Behaviour;
  readonly signer: TokenSigner;
  readonly url: () => string;
  readonly random: () => number;
}

/** Answers with tokens, as the behaviour wants them. */
export class Grants {
  readonly #parts: GrantsParts;
  readonly #issued = new IssuedTokens();

  constructor(parts: GrantsParts) {
    this.#parts = parts;
  }

  /** `now`: epoch seconds of the server's clock. */
  grant(granted: Granted, now: number, mode: Mode, credential: string | undefined): Reply {
    const { sameToken, refreshIn } = this.#parts.behaviour;
    const issue = (): Issued => this.#issue(granted, now);
    const { token, expiresIn } = sameToken ? this.#issued.again(granted, now, issue) : issue();
    const answer: TokenAnswer = {
      token_type: 'Bearer',
      expires_in: expiresIn,
      ext_expires_in: expiresIn,
      refresh_in: refreshIn === undefined ? undefined : Math.floor(refreshIn * expiresIn),
      access_token: token,
    };
    const spoiled = SPOILED[mode];
    if (spoiled === undefined)
      return { status: 200, credential, body: JSON.stringify(answer), isIssued: true };
    const { write, isIssued } = spoiled;
    return { status: 200, credential, body: write(answer), error: mode, isIssued };
  }

  /** An expired token ended at least a whole life ago, whatever `expires_in` says of it. */
  #issue(granted: Granted, now: number): Issued {
    const { signer, behaviour, url, random } = this.#parts;
    const expiresIn = draw(behaviour.lifetime, random());
    const issuedAt = behaviour.expiredTokens ? now - 2 * expiresIn : now;
    return { token: signer.issue(granted, issuerOf(url(), granted.tenant), issuedAt, expiresIn), expiresIn };
  }
}

function draw({ minSeconds, maxSeconds }: Lifetime, drawn: number): number {
  return minSeconds + Math.floor(drawn * (maxSeconds - minSeconds + 1));
}
