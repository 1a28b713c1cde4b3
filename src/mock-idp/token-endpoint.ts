import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { TENANTS_WITHOUT_ISSUER } from '../core/target.ts';
import { type Asked, clientIdOf, verify } from './answers.ts';
import type { Behaviour } from './behaviour.ts';
import { Grants } from './grants.ts';
import { type Arrival, Limits } from './limits.ts';
import { identityOf } from './loop-detector.ts';
import type { Mode } from './options.ts';
import type { RecordedRequest, RequestRecord } from './record.ts';
import { type Refused, TOO_LARGE, WRONG_METHOD } from './refusal.ts';
import { type Reply, refusalReply, type Telling, throttledReply } from './reply.ts';
import { SeenAssertions } from './seen-assertions.ts';
import type { TokenSigner } from './tokens.ts';
import type { ViolationName } from './violations.ts';
import { readBody, send, sendHead } from './wire.ts';
import { REFUSALS, STRANGE, UNANSWERED } from './wrong-answers.ts';

/** Which token endpoint was asked. */
export type Route = Pick<Asked, 'tenant' | 'isEntra' | 'path'>;

export interface TokenEndpointParts {
  /** Read at every request: it changes while the server runs. */
  readonly behaviour: Behaviour;
  readonly record: RequestRecord;
  readonly signer: TokenSigner;
  /** `http://127.0.0.1:<port>` */
  readonly url: () => string;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/** One request, from its arrival on. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly asked: Asked;
  readonly recorded: RecordedRequest;
  /** Undefined while nothing is limited. */
  readonly arrival: Arrival | undefined;
  readonly isTooLarge: boolean;
}

/** Answers token requests, and records each. */
export class TokenEndpoint {
  readonly #parts: TokenEndpointParts;
  readonly #seen = new SeenAssertions();
  readonly #grants: Grants;
  readonly #limits: Limits;

  constructor(parts: TokenEndpointParts) {
    this.#parts = parts;
    this.#grants = new Grants(parts);
    this.#limits = new Limits(parts.behaviour);
  }

  /** Counts the request first, so that it is seen whatever becomes of it. */
  async handle(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
    const { behaviour } = this.#parts;
    const exchange = await this.#receive(request, response, route);
    if (behaviour.delayMs > 0 && behaviour.mode !== 'slow-body')
      await sleep(behaviour.delayMs, undefined, { ref: false });
    if (response.destroyed) return;
    const mode = this.#drawMode(exchange.asked.tenant);
    const misbehave = UNANSWERED[mode];
    if (misbehave) return misbehave(request);
    const answered = this.#answer(exchange, mode);
    // Only where it has to be: a turn of the loop for each request would be felt.
    const reply = answered instanceof Promise ? await answered : answered;
    if (response.destroyed) return;
    if (mode === 'slow-body') await this.#sendSlowly(response, exchange.recorded, reply);
    else this.#send(response, exchange.recorded, reply);
  }

  async #receive(request: IncomingMessage, response: ServerResponse, route: Route): Promise<Exchange> {
    const body = await readBody(request);
    const asked: Asked = {
      ...route,
      contentType: request.headers['content-type'],
      authorization: request.headers.authorization,
      body: new URLSearchParams(body),
    };
    const recorded = this.#record(asked, response);
    return {
      request,
      asked,
      recorded,
      arrival: this.#watch(asked, recorded),
      isTooLarge: body === undefined,
    };
  }

  #record(asked: Asked, response: ServerResponse): RecordedRequest {
    const { record } = this.#parts;
    const recorded = record.add(Date.now(), asked.tenant, clientIdOf(asked), asked.body.get('scope') ?? '');
    response.once('close', () => {
      if (!response.writableEnded) record.conclude(recorded, 0);
    });
    return recorded;
  }

  /** Looks for what no client must do, whether or not the request will be answered. */
  #watch(asked: Asked, recorded: RecordedRequest): Arrival | undefined {
    if (TENANTS_WITHOUT_ISSUER.has(asked.tenant.toLowerCase())) this.#count('common-tenant', recorded);
    if (asked.path.includes('?') && hasSecret(asked.path)) this.#count('secret-in-url', recorded);
    if (this.#limits.isIdle) return undefined;
    const { tenant, clientId } = recorded;
    const asker = { tenant, clientId, identity: identityOf(asked, clientId) };
    const arrival = this.#limits.arrived(asker, performance.now());
    if (arrival.ignored) this.#count('retry-after-ignored', recorded);
    if (arrival.isLoop) this.#count('loop', recorded);
    return arrival;
  }

  #count(name: ViolationName, { at, tenant, clientId }: RecordedRequest): void {
    this.#parts.record.violations.add({ at, name, tenant, clientId });
  }

  /** What this request meets: the mode, if it is drawn and of a tenant that meets it. */
  #drawMode(tenant: string): Mode {
    const { mode, share, tenants } = this.#parts.behaviour;
    if (mode === 'ok' || (tenants !== undefined && !tenants.has(tenant))) return 'ok';
    return share === 1 || this.#parts.random() < share ? mode : 'ok';
  }

  /** A server that is down limits nobody, and one that limits does not look at what is asked. */
  #answer({ request, asked, recorded, arrival, isTooLarge }: Exchange, mode: Mode): Reply | Promise<Reply> {
    const { behaviour, url } = this.#parts;
    const strange = STRANGE[mode];
    if (strange) return { ...strange, error: mode, isIssued: false };
    const refuse = (refusal: Refused, credential?: string): Reply => {
      if (refusal.violation) this.#count(refusal.violation, recorded);
      return refusalReply(refusal, this.#telling(request), credential);
    };
    const down = REFUSALS[mode];
    if (down) return refuse(down);
    const throttled = arrival && this.#limits.refuse(arrival, performance.now());
    if (throttled) return throttledReply(throttled, behaviour.retryAfterAs, this.#telling(request));
    if (request.method !== 'POST') return refuse(WRONG_METHOD);
    if (isTooLarge) return refuse(TOO_LARGE);
    const { clients, flavour } = behaviour;
    const now = this.#now();
    const verdict = verify(asked, { clients, flavour, url: url(), now, seen: this.#seen });
    const reply = ({ credential, result }: Awaited<typeof verdict>): Reply =>
      'error' in result
        ? refuse(result, credential)
        : this.#grants.grant(result, Math.floor(this.#now() / 1000), mode, credential);
    return verdict instanceof Promise ? verdict.then(reply) : reply(verdict);
  }

  #telling({ headers }: IncomingMessage): Telling {
    const requestId = headers['client-request-id'];
    const clientRequestId = Array.isArray(requestId) ? requestId[0] : requestId;
    return { flavour: this.#parts.behaviour.flavour, clientRequestId, now: this.#now() };
  }

  #send(response: ServerResponse, recorded: RecordedRequest, reply: Reply): void {
    this.#conclude(recorded, reply);
    send(response, this.#dated(reply));
  }

  /** When the client goes away in between, the request ended without an answer. */
  async #sendSlowly(response: ServerResponse, recorded: RecordedRequest, reply: Reply): Promise<void> {
    sendHead(response, this.#dated(reply));
    response.flushHeaders();
    await sleep(this.#parts.behaviour.delayMs, undefined, { ref: false });
    if (response.destroyed) return;
    this.#conclude(recorded, reply);
    response.end(reply.body);
  }

  #conclude(recorded: RecordedRequest, { status, credential, error, isIssued }: Reply): void {
    recorded.credential = credential;
    recorded.error = error;
    this.#parts.record.conclude(recorded, status, isIssued);
  }

  #dated(reply: Reply): Reply {
    if (this.#parts.behaviour.clockSkewSeconds === 0) return reply;
    return { ...reply, headers: { ...reply.headers, date: new Date(this.#now()).toUTCString() } };
  }

  /** Epoch ms of the server's clock, which can be wrong on purpose. */
  #now(): number {
    return Date.now() + this.#parts.behaviour.clockSkewSeconds * 1000;
  }
}

function hasSecret(path: string): boolean {
  const query = new URLSearchParams(path.slice(path.indexOf('?')));
  return query.has('client_secret') || query.has('client_assertion');
}
