import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EvertokenError } from '../core/errors.ts';
import { NO_TENANT } from '../core/target.ts';
import { clientsOf } from './clients.ts';
import { type Behaviour, parseControl } from './control.ts';
import { DEMO_CLIENT, type MockIdpOptions } from './options.ts';
import { type MockIdpStats, RequestRecord } from './record.ts';
import { type Route, TokenEndpoint } from './token-endpoint.ts';
import { type TokenSigner, tokenSigner } from './tokens.ts';
import { readBody, sendJson } from './wire.ts';

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
  readonly tokens: TokenEndpoint;
}

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
    clients: options.registered ?? clientsOf(options.clients ?? [DEMO_CLIENT]),
    flavour: 'entra',
    sameToken: false,
    expiredTokens: false,
    clockSkewSeconds: 0,
  };
  let url = '';
  const signer = tokenSigner(options.signing ?? 'es256');
  const tokens = new TokenEndpoint({ behaviour, record, signer, url: () => url });
  const context: Context = { behaviour, record, signer, tokens };
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
  if (route) return await context.tokens.handle(request, response, route);
  if (path.startsWith('/control')) return await handleControl(request, response, context);
  if (path === '/jwks') return sendJson(response, 200, JSON.stringify(context.signer.jwks));
  sendJson(response, 404, JSON.stringify({ error: 'not_found' }));
}

function tokenRoute(path: string): Route | undefined {
  const match = /^(?:\/([^/?]+))?(\/oauth2\/v2\.0)?\/token(?:\?|$)/.exec(path);
  if (!match || (match[2] && !match[1])) return undefined;
  const tenant = decodeTenant(match[1] ?? NO_TENANT);
  return tenant === undefined ? undefined : { tenant, isEntra: match[2] !== undefined, path };
}

function decodeTenant(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
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
