import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Asked, clientIdOf, type Granted, issuerOf, verify } from './answers.ts';
import type { Behaviour } from './control.ts';
import { type Issued, IssuedTokens } from './issued-tokens.ts';
import type { Lifetime, Mode } from './options.ts';
import type { RecordedRequest, RequestRecord } from './record.ts';
import {
  entraBody,
  inFlavour,
  plainBody,
  type Refused,
  TOO_LARGE,
  UNAVAILABLE,
  WRONG_METHOD,
} from './refusal.ts';
import { SeenAssertions } from './seen-assertions.ts';
import type { TokenSigner } from './tokens.ts';
import { readBody, sendJson } from './wire.ts';

/** Which token endpoint was asked. */
export type Route = Pick<Asked, 'tenant' | 'isEntra' | 'path'>;

export interface TokenEndpointParts {
  /** Read at every request: it changes while the server runs. */
  readonly behaviour: Behaviour;
  readonly record: RequestRecord;
  readonly signer: TokenSigner;
  /** `http://127.0.0.1:<port>` */
  readonly url: () => string;
}

interface Reply {
  readonly status: number;
  readonly json: string;
  readonly credential?: string | undefined;
  readonly error?: number | string | undefined;
}

/** Answers token requests, and records each. */
export class TokenEndpoint {
  readonly #parts: TokenEndpointParts;
  readonly #seen = new SeenAssertions();
  readonly #issued = new IssuedTokens();

  constructor(parts: TokenEndpointParts) {
    this.#parts = parts;
  }

  /** Counts the request first, so that it is seen whatever becomes of it. */
  async handle(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
    const { behaviour } = this.#parts;
    const body = await readBody(request);
    const asked: Asked = {
      ...route,
      contentType: request.headers['content-type'],
      authorization: request.headers.authorization,
      body: new URLSearchParams(body),
    };
    const recorded = this.#record(asked, response);
    if (behaviour.delayMs > 0) await sleep(behaviour.delayMs, undefined, { ref: false });
    if (response.destroyed) return;
    const misbehave = MISBEHAVIOUR[behaviour.mode];
    if (misbehave) return misbehave(request);
    const answered = this.#answer(request, asked, body);
    // Only where it has to be: a turn of the loop for each request would be felt.
    const reply = answered instanceof Promise ? await answered : answered;
    if (response.destroyed) return;
    recorded.credential = reply.credential;
    recorded.error = reply.error;
    this.#parts.record.conclude(recorded, reply.status);
    const { clockSkewSeconds } = behaviour;
    const date = clockSkewSeconds === 0 ? undefined : { date: new Date(this.#now()).toUTCString() };
    sendJson(response, reply.status, reply.json, date);
  }

  #record(asked: Asked, response: ServerResponse): RecordedRequest {
    const { record } = this.#parts;
    const recorded = record.add(Date.now(), asked.tenant, clientIdOf(asked), asked.body.get('scope') ?? '');
    response.once('close', () => {
      if (!response.writableEnded) record.conclude(recorded, 0);
    });
    return recorded;
  }

  /** Epoch ms of the server's clock, which can be wrong on purpose. */
  #now(): number {
    return Date.now() + this.#parts.behaviour.clockSkewSeconds * 1000;
  }

  #answer(request: IncomingMessage, asked: Asked, body: string | undefined): Reply | Promise<Reply> {
    const { behaviour, url } = this.#parts;
    if (behaviour.mode === 'unavailable') return this.#refuse(request, UNAVAILABLE);
    if (request.method !== 'POST') return this.#refuse(request, WRONG_METHOD);
    if (body === undefined) return this.#refuse(request, TOO_LARGE);
    const { clients, flavour } = behaviour;
    const verdict = verify(asked, { clients, flavour, url: url(), now: this.#now(), seen: this.#seen });
    const reply = ({ credential, result }: Awaited<typeof verdict>): Reply =>
      'error' in result ? this.#refuse(request, result, credential) : this.#grant(result, credential);
    return verdict instanceof Promise ? verdict.then(reply) : reply(verdict);
  }

  #grant(granted: Granted, credential: string | undefined): Reply {
    const now = Math.floor(this.#now() / 1000);
    const issue = (): Issued => this.#issue(granted, now);
    const { token, expiresIn } = this.#parts.behaviour.sameToken
      ? this.#issued.again(granted, now, issue)
      : issue();
    return {
      status: 200,
      credential,
      json: JSON.stringify({
        token_type: 'Bearer',
        expires_in: expiresIn,
        ext_expires_in: expiresIn,
        access_token: token,
      }),
    };
  }

  /** An expired token ended at least a whole life ago, whatever `expires_in` says of it. */
  #issue(granted: Granted, now: number): Issued {
    const { signer, behaviour, url } = this.#parts;
    const expiresIn = draw(behaviour.lifetime);
    const issuedAt = behaviour.expiredTokens ? now - 2 * expiresIn : now;
    return { token: signer.issue(granted, issuerOf(url(), granted.tenant), issuedAt, expiresIn), expiresIn };
  }

  #refuse(request: IncomingMessage, refusal: Refused, credential?: string): Reply {
    const { flavour } = this.#parts.behaviour;
    const { status, error, code } = inFlavour(refusal, flavour);
    const asked = { status, credential, error: flavour === 'oauth' ? error : code };
    if (flavour === 'oauth') return { ...asked, json: plainBody({ ...refusal, error }) };
    const requestId = request.headers['client-request-id'];
    const id = Array.isArray(requestId) ? requestId[0] : requestId;
    return { ...asked, json: entraBody(refusal, id, this.#now()) };
  }
}

/** The modes that end without an HTTP answer. */
const MISBEHAVIOUR: Partial<Record<Mode, (request: IncomingMessage) => void>> = {
  hang: () => {},
  reset: (request) => request.socket.resetAndDestroy(),
};

function draw({ minSeconds, maxSeconds }: Lifetime): number {
  return minSeconds + Math.floor(Math.random() * (maxSeconds - minSeconds + 1));
}
