import { Agent, type Dispatcher } from 'undici';
import { classify, type Failure, type Problem } from '../core/failure.ts';
import { Secret } from '../core/secret.ts';
import type { TokenRequest } from './request.ts';
import type { Answer } from './response.ts';

/** A token response is a few kilobytes; whatever is larger is none. */
const MAX_RESPONSE_BYTES = 1024 * 1024;

export interface TokenEndpointOptions {
  /** Goes into `user-agent: evertoken/<version>`. */
  readonly version: string;
  /** Connections per origin, each with one request at a time. Default 32, at least 1. */
  readonly connections?: number;
  /** To connect, TLS included; within a request's own deadline. Default 5 s; about half a second coarse. */
  readonly connectTimeoutMs?: number;
}

export interface SendOptions {
  /** For everything: waiting for a connection, connecting, sending, the last byte of the answer. Exact. At least 1. */
  readonly timeoutMs: number;
}

/** What came back: a whole answer, of whatever status, or the reason why there is none. */
export type Exchange =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly failure: Failure };

/** The way out to all token endpoints: the only outgoing HTTP of evertoken. */
export class TokenEndpoint {
  readonly #agent: Agent;
  readonly #userAgent: string;
  #closed: Promise<void> | undefined;

  constructor(options: TokenEndpointOptions) {
    this.#userAgent = `evertoken/${options.version}`;
    this.#agent = new Agent({
      connections: options.connections ?? 32,
      connect: { timeout: options.connectTimeoutMs ?? 5000 },
      maxResponseSize: MAX_RESPONSE_BYTES,
      // One connection that stalls must not hold up a hundred requests, and the bound above is to mean requests.
      allowH2: false,
      // `timeoutMs` covers both; undici's own timers are coarse.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * Sends one request once: no retry, no redirect. Never rejects for anything that the network or the server
   * does. An answer that breaks off counts by its status when that alone says no (a 429 stays one).
   */
  async send(request: TokenRequest, { timeoutMs }: SendOptions): Promise<Exchange> {
    const attempt = new Attempt(timeoutMs);
    try {
      return { ok: true, answer: await attempt.orCut(this.#exchange(request, attempt)) };
    } catch (error) {
      return attempt.broken(error);
    } finally {
      attempt.end();
    }
  }

  /** Ends when the requests in flight have; each has its deadline. From now on `send` gives `aborted`. */
  close(): Promise<void> {
    this.#closed ??= this.#agent.close();
    return this.#closed;
  }

  #exchange(request: TokenRequest, attempt: Attempt): Promise<Answer> {
    const { origin, pathname, search } = new URL(request.url);
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      this.#agent.dispatch(
        {
          origin,
          path: `${pathname}${search}`,
          method: 'POST',
          headers: { ...request.headers, 'user-agent': this.#userAgent },
          body: request.body.toString(),
        },
        {
          onRequestStart: (controller) => attempt.start(controller),
          onResponseStart: (_controller, statusCode, headers) => {
            attempt.head = { statusCode, headers };
          },
          onResponseData: (_controller, chunk) => {
            chunks.push(chunk);
          },
          onResponseEnd: () => {
            const head = attempt.head as Head;
            resolve({
              status: head.statusCode,
              headers: head.headers,
              body: new Secret(Buffer.concat(chunks).toString()),
            });
          },
          onResponseError: (_controller, error) => reject(error),
        },
      );
    });
  }
}

/** The name of undici's error. */
const NOT_HTTP = 'HTTPParserError';

type Head = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'>;

/** The deadline of one request and what it had come to when it broke. */
class Attempt {
  /** Set when the status and the headers are there. */
  head: Head | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  readonly #cut = Promise.withResolvers<never>();
  readonly #timer: NodeJS.Timeout;
  #problem: Problem | undefined;

  constructor(timeoutMs: number) {
    this.#cut.promise.catch(() => {});
    this.#timer = setTimeout(() => this.#stop('timeout'), timeoutMs);
  }

  /** The request has a connection and is about to be written, unless its time is over. */
  start(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#problem !== undefined) controller.abort(new Error(this.#problem));
  }

  /** undici can abort a request only once it has a connection, so the deadline does not wait for that. */
  async orCut<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {});
    return await Promise.race([this.#cut.promise, work]);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** What a request came to that did not end well. */
  broken(error: unknown): Exchange {
    const { head } = this;
    if (head && head.statusCode !== 200) {
      return { ok: true, answer: { status: head.statusCode, headers: head.headers, body: new Secret('') } };
    }
    const code = codeOf(error);
    const problem = this.#problem ?? PROBLEMS_OF_UNDICI[code];
    const answeredBy = problem === 'response too large' ? 'host' : 'nobody';
    const networkCode = NAMES_OF_UNDICI[code] ?? code;
    return { ok: false, failure: classify({ answeredBy, status: head?.statusCode, problem, networkCode }) };
  }

  #stop(problem: Problem): void {
    this.#problem = problem;
    const reason = new Error(problem);
    this.#controller?.abort(reason);
    this.#cut.reject(reason);
  }
}

const PROBLEMS_OF_UNDICI: Readonly<Record<string, Problem>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect timeout',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'response too large',
  UND_ERR_HEADERS_OVERFLOW: 'response too large',
  UND_ERR_CLOSED: 'aborted',
  UND_ERR_DESTROYED: 'aborted',
  [NOT_HTTP]: 'response not HTTP',
};

/** undici's names in the words of the operating system: the server closed the connection on us. */
const NAMES_OF_UNDICI: Readonly<Record<string, string>> = { UND_ERR_SOCKET: 'ECONNRESET' };

/** Only the code: an error's message can hold anything. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failure';
  // Its code is missing for some violations of the protocol.
  if (error.name === NOT_HTTP) return NOT_HTTP;
  return 'code' in error && typeof error.code === 'string' ? error.code : 'failure';
}
