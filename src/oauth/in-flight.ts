import type { Dispatcher } from 'undici';
import type { Problem } from '../core/codes.ts';
import { classify, type Evidence, type Failure } from '../core/failure.ts';
import { Secret } from '../core/secret.ts';
import { measureSkewMs } from './clock-skew.ts';
import { ProxyFailure } from './proxy.ts';
import { type Answer, dateOf } from './response.ts';

/** What came back: a whole answer, of whatever status, or the reason why there is none. */
export type Exchange =
  | {
      readonly ok: true;
      readonly answer: Answer;
      /** The server's clock minus ours, ms, by this answer alone; undefined without a Date header. */
      readonly skewMs: number | undefined;
    }
  | { readonly ok: false; readonly failure: Failure };

/** The name of undici's error. */
const NOT_HTTP = 'HTTPParserError';

type Head = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'>;

/** One request on its way: its deadline, and what it had come to when it broke. */
export class InFlight {
  #controller: Dispatcher.DispatchController | undefined;
  readonly #cut = Promise.withResolvers<never>();
  readonly #timer: NodeJS.Timeout;
  #problem: Problem | undefined;
  #sentAt = Date.now();
  #head: Head | undefined;
  #skewMs: number | undefined;

  constructor(timeoutMs: number) {
    this.#cut.promise.catch(() => {});
    this.#timer = setTimeout(() => this.#stop('timeout'), timeoutMs);
  }

  /** The request has a connection and is about to be written, unless its time is over. */
  start(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sentAt = Date.now();
    if (this.#problem !== undefined) controller.abort(new Error(this.#problem));
  }

  /** The status and the headers are there. */
  answered(head: Head): void {
    this.#head = head;
    const date = dateOf(head.headers);
    this.#skewMs = date === undefined ? undefined : measureSkewMs(date, this.#sentAt, Date.now());
  }

  /** undici can abort a request only once it has a connection, so the deadline does not wait for that. */
  async orCut<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {});
    return await Promise.race([this.#cut.promise, work]);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  whole(body: string): Exchange {
    const { statusCode, headers } = this.#head as Head;
    const answer = { status: statusCode, headers, body: new Secret(body) };
    return { ok: true, answer, skewMs: this.#skewMs };
  }

  /** What a request came to that did not end well. An answer whose status alone says no counts without its body. */
  broken(error: unknown): Exchange {
    const status = this.#head?.statusCode;
    if (status !== undefined && status !== 200) return this.whole('');
    if (error instanceof ProxyFailure) return failed({ problem: error.problem, status: error.status });
    const code = codeOf(error);
    const problem = this.#problem ?? PROBLEMS_OF_UNDICI[code];
    return failed({ status, problem, networkCode: NAMES_OF_UNDICI[code] ?? code });
  }

  #stop(problem: Problem): void {
    this.#problem = problem;
    const reason = new Error(problem);
    this.#controller?.abort(reason);
    this.#cut.reject(reason);
  }
}

/** A request that was not sent, since there is no way to send it. */
export function unsent(problem: Problem): Exchange {
  return { ok: false, failure: classify({ answeredBy: 'unsent', problem }) };
}

/** A request that was sent, or may have been, and has no whole answer. */
function failed(evidence: Omit<Evidence, 'answeredBy'>): Exchange {
  const answeredBy = evidence.problem === 'response too large' ? 'host' : 'nobody';
  return { ok: false, failure: classify({ ...evidence, answeredBy }) };
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
