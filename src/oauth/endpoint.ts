import type { Dispatcher } from 'undici';
import type { TokenRequest } from '../core/client-authentication.ts';
import { Agents, type ConnectionSettings } from './agents.ts';
import { ClockSkews } from './clock-skew.ts';
import { type Exchange, InFlight, unsent } from './in-flight.ts';
import type { Environment } from './proxy.ts';

export type { Exchange } from './in-flight.ts';

export interface TokenEndpointOptions {
  /** Goes into `user-agent: evertoken/<version>`. */
  readonly version: string;
  /** Connections per origin and client certificate, each with one request at a time. Default 32, at least 1. */
  readonly connections?: number;
  /** To connect, TLS and proxy included; within a request's own deadline. Default 5 s; about half a second coarse. */
  readonly connectTimeoutMs?: number;
  /** Connections for a certificate or CA that nobody has used for so long are closed. Default 2 minutes. */
  readonly idleTimeoutMs?: number;
  /** Where HTTPS_PROXY and NO_PROXY are looked up, in either case. Default: no proxy. */
  readonly env?: Environment;
}

export interface SendOptions extends ConnectionSettings {
  /** For everything: waiting for a connection, connecting, sending, the last byte of the answer. Exact. At least 1. */
  readonly timeoutMs: number;
}

/** The way out to all token endpoints: the only outgoing HTTP of evertoken. */
export class TokenEndpoint {
  readonly #agents: Agents;
  readonly #skews = new ClockSkews();
  readonly #userAgent: string;

  constructor(options: TokenEndpointOptions) {
    this.#userAgent = `evertoken/${options.version}`;
    this.#agents = new Agents({
      connections: options.connections ?? 32,
      connectTimeoutMs: options.connectTimeoutMs ?? 5000,
      idleTimeoutMs: options.idleTimeoutMs ?? 120_000,
      env: options.env ?? {},
    });
  }

  /**
   * Sends one request once: no retry, no redirect. Never rejects for anything that the network or the server
   * does. An answer that breaks off counts by its status when that alone says no (a 429 stays one).
   */
  async send(request: TokenRequest, { timeoutMs, tls, ca }: SendOptions): Promise<Exchange> {
    const url = new URL(request.url);
    const dispatcher = this.#agents.for(url, { tls, ca });
    if (typeof dispatcher === 'string') return unsent(dispatcher);
    const exchange = await this.#exchange(dispatcher, url, request, timeoutMs);
    if (exchange.ok && exchange.skewMs !== undefined) this.#skews.record(url.origin, exchange.skewMs);
    return exchange;
  }

  /**
   * How far the clock of a server is from ours, in ms (server minus local), by the Date headers of its last answers;
   * 0 when it is less than can be told, 2 s; undefined before its first answer.
   */
  skewMs(url: string): number | undefined {
    return this.#skews.of(new URL(url).origin);
  }

  /** Ends when the requests in flight have; each has its deadline. From now on `send` gives `aborted`. */
  close(): Promise<void> {
    return this.#agents.close();
  }

  async #exchange(
    dispatcher: Dispatcher,
    url: URL,
    request: TokenRequest,
    timeoutMs: number,
  ): Promise<Exchange> {
    const inFlight = new InFlight(timeoutMs);
    try {
      return inFlight.whole(await inFlight.orCut(this.#dispatch(dispatcher, url, request, inFlight)));
    } catch (error) {
      return inFlight.broken(error);
    } finally {
      inFlight.end();
    }
  }

  /** Gives the body of the answer. */
  #dispatch(dispatcher: Dispatcher, url: URL, request: TokenRequest, inFlight: InFlight): Promise<string> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      dispatcher.dispatch(
        {
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method: 'POST',
          headers: { ...request.headers, 'user-agent': this.#userAgent },
          body: request.body.toString(),
        },
        {
          onRequestStart: (controller) => inFlight.start(controller),
          onResponseStart: (_controller, statusCode, headers) => inFlight.answered({ statusCode, headers }),
          onResponseData: (_controller, chunk) => {
            chunks.push(chunk);
          },
          onResponseEnd: () => resolve(Buffer.concat(chunks).toString()),
          onResponseError: (_controller, error) => reject(error),
        },
      );
    });
  }
}
