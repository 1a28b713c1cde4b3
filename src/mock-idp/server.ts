import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EvertokenError } from '../core/errors.ts';
import { NO_TENANT } from '../core/target.ts';
import {
  type Asked,
  clientIdOf,
  clientsOf,
  type Refused,
  refusalBody,
  TOO_LARGE,
  UNAVAILABLE,
  verify,
  WRONG_METHOD,
} from './answers.ts';
import { type Behaviour, parseControl } from './control.ts';
import { DEMO_CLIENT, type Lifetime, type MockIdpOptions, type Mode } from './options.ts';
import { type MockIdpStats, RequestRecord } from './record.ts';
import { type TokenSigner, tokenSigner } from './tokens.ts';

/** A running authorization server. */
export interface MockIdp {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  stats(): MockIdpStats;
  /** Ends all connections at once. */
  close(): Promise<void>;
}

interface Context {
  readonly behaviour: Behaviour;
  readonly record: RequestRecord;
  readonly signer: TokenSigner;
  readonly url: () => string;
}

const MAX_BODY_BYTES = 64 * 1024;
const IDENTICAL_WINDOW_MS = 300_000;

/**
 * Starts an authorization server that answers as Entra does, on a loopback port, for tests, measurements and
 * the demo. Token endpoints: `/{tenant}/oauth2/v2.0/token`, `/{tenant}/token` and `/token`; keys: `/jwks`; what
 * it saw: `/control/stats` and `/control/requests`; how it behaves: `POST /control`. Throws `LISTEN_FAILED`.
 */
export async function startMockIdp(options: MockIdpOptions = {}): Promise<MockIdp> {
  const record = new RequestRecord();
  const behaviour: Behaviour = {
    mode: 'ok',
    delayMs: options.delayMs ?? 0,
    lifetime: options.lifetime ?? { minSeconds: 60, maxSeconds: 60 },
    clients: clientsOf(options.clients ?? [DEMO_CLIENT]),
  };
  let url = '';
  const context: Context = {
    behaviour,
    record,
    signer: tokenSigner(options.signing ?? 'es256'),
    url: () => url,
  };
  // Longer than any client keeps a connection, so that none is closed while a request is under way.
  const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    // A client that goes away in mid-request is its own affair.
    handle(request, response, context).catch(() => response.destroy());
  });
  const port = await listen(server, options.port ?? 0);
  url = `http://127.0.0.1:${port}`;
  return { url, port, stats: () => record.stats(IDENTICAL_WINDOW_MS), close: () => close(server) };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new EvertokenError('LISTEN_FAILED', `cannot listen on 127.0.0.1:${port}: is the port taken?`, {
          cause,
        }),
      );
    });
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function handle(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const path = request.url ?? '/';
  const route = tokenRoute(path);
  if (route) return await handleToken(request, response, route, context);
  if (path.startsWith('/control')) return await handleControl(request, response, context);
  if (path === '/jwks') return sendJson(response, 200, JSON.stringify(context.signer.jwks));
  sendJson(response, 404, JSON.stringify({ error: 'not_found' }));
}

interface Route {
  readonly tenant: string;
  readonly isEntra: boolean;
}

function tokenRoute(path: string): Route | undefined {
  const match = /^(?:\/([^/?]+))?(\/oauth2\/v2\.0)?\/token(?:\?|$)/.exec(path);
  if (!match || (match[2] && !match[1])) return undefined;
  const tenant = decodeTenant(match[1] ?? NO_TENANT);
  return tenant === undefined ? undefined : { tenant, isEntra: match[2] !== undefined };
}

function decodeTenant(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** Counts the request first, so that it is seen whatever becomes of it. */
async function handleToken(
  request: IncomingMessage,
  response: ServerResponse,
  route: Route,
  context: Context,
): Promise<void> {
  const body = await readBody(request);
  const asked: Asked = {
    ...route,
    contentType: request.headers['content-type'],
    authorization: request.headers.authorization,
    body: new URLSearchParams(body),
  };
  const { behaviour, record } = context;
  const recorded = record.add(Date.now(), route.tenant, clientIdOf(asked), asked.body.get('scope') ?? '');
  response.once('close', () => {
    if (!response.writableEnded) record.conclude(recorded, 0);
  });
  if (behaviour.delayMs > 0) await sleep(behaviour.delayMs, undefined, { ref: false });
  if (response.destroyed) return;
  const misbehave = MISBEHAVIOUR[behaviour.mode];
  if (misbehave) return misbehave(request);
  const { status, json } = answer(request, asked, body, context);
  record.conclude(recorded, status);
  sendJson(response, status, json);
}

/** The modes that end without an HTTP answer. */
const MISBEHAVIOUR: Partial<Record<Mode, (request: IncomingMessage) => void>> = {
  hang: () => {},
  reset: (request) => request.socket.resetAndDestroy(),
};

interface Reply {
  readonly status: number;
  readonly json: string;
}

function answer(request: IncomingMessage, asked: Asked, body: string | undefined, context: Context): Reply {
  const { behaviour } = context;
  if (behaviour.mode === 'unavailable') return refusal(request, UNAVAILABLE);
  if (request.method !== 'POST') return refusal(request, WRONG_METHOD);
  if (body === undefined) return refusal(request, TOO_LARGE);
  const verdict = verify(asked, behaviour.clients);
  if ('error' in verdict) return refusal(request, verdict);
  const expiresIn = draw(behaviour.lifetime);
  const issuer = asked.tenant === NO_TENANT ? context.url() : `${context.url()}/${asked.tenant}/v2.0`;
  const token = context.signer.issue(verdict, issuer, Math.floor(Date.now() / 1000), expiresIn);
  return {
    status: 200,
    json: JSON.stringify({
      token_type: 'Bearer',
      expires_in: expiresIn,
      ext_expires_in: expiresIn,
      access_token: token,
    }),
  };
}

function refusal(request: IncomingMessage, refused: Refused): Reply {
  const requestId = request.headers['client-request-id'];
  return {
    status: refused.status,
    json: refusalBody(refused, Array.isArray(requestId) ? requestId[0] : requestId),
  };
}

function draw({ minSeconds, maxSeconds }: Lifetime): number {
  return minSeconds + Math.floor(Math.random() * (maxSeconds - minSeconds + 1));
}

async function handleControl(
  request: IncomingMessage,
  response: ServerResponse,
  context: Context,
): Promise<void> {
  const { behaviour, record } = context;
  const route = `${request.method} ${(request.url ?? '').split('?')[0]}`;
  if (route === 'GET /control/stats')
    return sendJson(response, 200, JSON.stringify(record.stats(IDENTICAL_WINDOW_MS)));
  if (route === 'GET /control/requests') return sendJson(response, 200, JSON.stringify(record.requests()));
  if (route !== 'POST /control') return sendJson(response, 404, JSON.stringify({ error: 'not_found' }));
  try {
    Object.assign(behaviour, parseControl((await readBody(request)) ?? ''));
    sendJson(response, 200, JSON.stringify({ ok: true }));
  } catch (error) {
    if (!(error instanceof EvertokenError)) throw error;
    sendJson(response, 400, JSON.stringify({ error: error.message }));
  }
}

/** Undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(chunks).toString() : undefined;
}

function sendJson(response: ServerResponse, status: number, json: string): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(json),
    // RFC 6749 section 5.1
    'cache-control': 'no-store',
  });
  response.end(json);
}
