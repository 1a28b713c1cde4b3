import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EvertokenError } from '../core/errors.ts';
import { NO_TENANT } from '../core/target.ts';
import { type Behaviour, WELL_BEHAVED } from './behaviour.ts';
import { Changes } from './changes.ts';
import { type Clients, clientsOf, type MockClient } from './clients.ts';
import { type ControlParts, handleControl } from './control-routes.ts';
import { DEMO_CLIENT, type Lifetime, type Signing } from './options.ts';
import { type MockIdpStats, RequestRecord } from './record.ts';
import { playScenario, type Step } from './scenario.ts';
import { type Route, TokenEndpoint } from './token-endpoint.ts';
import { type TokenSigner, tokenSigner } from './tokens.ts';
import { sendJson } from './wire.ts';
import { REDIRECT_PATH } from './wrong-answers.ts';

export interface MockIdpOptions {
  /** Loopback only. Default 0: any free port. */
  readonly port?: number;
  /** Default 60 s to 60 s. */
  readonly lifetime?: Lifetime;
  /** Default {@link DEMO_CLIENT} alone. */
  readonly clients?: readonly MockClient[];
  /** In place of `clients`: all that each may prove itself with. */
  readonly registered?: Clients;
  /** Default `es256`. */
  readonly signing?: Signing;
  /** What is otherwise than in {@link WELL_BEHAVED}. */
  readonly behaviour?: Partial<Behaviour>;
  /** How it changes by itself, counted from when the server listens. */
  readonly scenario?: readonly Step[];
  /** Called when a step is `applied`, and when what it changed for a while has `ended`. */
  readonly onStep?: (event: 'applied' | 'ended', step: Step) => void;
  /** Draws from 0 up to 1. Default `Math.random`. */
  readonly random?: () => number;
}

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
  readonly control: ControlParts;
  readonly signer: TokenSigner;
  readonly tokens: TokenEndpoint;
}

const IDENTICAL_WINDOW_MS = 300_000;

/**
 * Starts an authorization server that answers as Entra does, on a loopback port, for tests, measurements and
 * the demo. Token endpoints: `/{tenant}/oauth2/v2.0/token`, `/{tenant}/token` and `/token`; keys: `/jwks`; how it
 * behaves: `GET` and `POST /control`; what it saw: `/control/stats`, `/control/requests`, `/control/violations`.
 * Throws `LISTEN_FAILED`.
 */
export async function startMockIdp(options: MockIdpOptions = {}): Promise<MockIdp> {
  const { signing = 'es256', scenario = [], onStep, random = Math.random } = options;
  const changes = new Changes(behaviourOf(options));
  const behaviour = changes.current;
  const record = new RequestRecord();
  const stats = (): MockIdpStats => record.stats(behaviour.loop?.windowMs ?? IDENTICAL_WINDOW_MS);
  let url = '';
  const signer = tokenSigner(signing);
  const tokens = new TokenEndpoint({ behaviour, record, signer, url: () => url, random });
  const context: Context = { control: { changes, record, stats }, signer, tokens };
  // Longer than any client keeps a connection, so that none is closed while a request is under way.
  const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    // A client that goes away in mid-request is its own affair.
    handle(request, response, context).catch(() => response.destroy());
  });
  const port = await listen(server, options.port ?? 0);
  url = `http://127.0.0.1:${port}`;
  const stopScenario = playScenario(scenario, (step) => {
    changes.apply(step.change, () => onStep?.('ended', step));
    onStep?.('applied', step);
  });
  const end = (): Promise<void> => {
    stopScenario();
    changes.close();
    return close(server);
  };
  return { url, port, stats, close: end };
}

function behaviourOf({ lifetime, clients, registered, behaviour }: MockIdpOptions): Behaviour {
  return {
    ...WELL_BEHAVED,
    ...(lifetime && { lifetime }),
    clients: registered ?? clientsOf(clients ?? [DEMO_CLIENT]),
    ...behaviour,
  };
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
  if (path.startsWith('/control')) return await handleControl(request, response, context.control);
  if (path === '/jwks') return sendJson(response, 200, context.signer.jwks);
  if (path === REDIRECT_PATH) {
    const somebody = { at: Date.now(), tenant: NO_TENANT, clientId: '' };
    context.control.record.violations.add({ ...somebody, name: 'redirect-followed' });
  }
  sendJson(response, 404, { error: 'not_found' });
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
