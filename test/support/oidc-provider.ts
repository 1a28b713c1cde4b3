/**
 * An authorization server that others wrote (oidc-provider), in a process of its own:
 *
 *     node test/support/oidc-provider.ts --port 0 --lifetime 20 --delay 300ms --registration clients.json
 *
 * It prints `{"listening":"http://127.0.0.1:PORT"}` and ends on SIGTERM or when its standard input, a pipe,
 * does. Token endpoint: `/{tenant}/token`, any tenant. Clients: `CLIENTS` below and those of the registration
 * (`oidc-clients.ts`); with one it also listens for clients with certificates and prints `"mutualTls":
 * "https://localhost:PORT"` as well. With a `resource` parameter (any https URL) the token is a JWT for it, else an
 * opaque one. `GET /control/requests`: all token requests, newest 200,000. `POST /control`: `{"delayMs": 300}` or
 * `{"lifetimeSeconds": 20}`.
 */
import { generateKeyPairSync } from 'node:crypto';
import { fstatSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
// @ts-expect-error: the package has no types
import { Provider as UntypedProvider } from 'oidc-provider';
import { parseDurationMs } from '../../src/core/duration.ts';
import type { ClientMetadata, Registration } from './oidc-clients.ts';
import { checkAssertionHeader, MUTUAL_TLS, RememberedAssertions } from './oidc-methods.ts';

/** The client ids and secrets that it knows, by their method; the second secret needs encoding in Basic. */
export const CLIENTS = {
  client_secret_post: { clientId: 'post-client', secret: 'post-secret-0123456789' },
  client_secret_basic: { clientId: 'basic-client', secret: 'basic secret: +/%&=0123456789' },
} as const;

interface ProviderLike {
  proxy: boolean;
  callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  on(event: 'server_error', listener: (context: unknown, error: Error) => void): void;
}

interface LogEntry {
  readonly at: number;
  readonly tenant: string;
  readonly clientId: string;
  readonly scope: string;
  readonly resource: string;
  /** 0 until it is answered. */
  status: number;
}

const LOG_LIMIT = 200_000;

const METHODS = [
  'client_secret_post',
  'client_secret_basic',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      lifetime: { type: 'string', default: '60' },
      delay: { type: 'string', default: '0' },
      registration: { type: 'string' },
    },
  });
  const registration =
    values.registration === undefined
      ? undefined
      : (JSON.parse(readFileSync(values.registration, 'utf8')) as Registration);
  const settings = { delayMs: parseDurationMs(values.delay) ?? 0, lifetimeSeconds: Number(values.lifetime) };
  const log: LogEntry[] = [];
  const handleByProvider = makeProvider(
    () => settings.lifetimeSeconds,
    registration?.clients ?? [],
  ).callback();

  const listener: RequestListener = (request, response) => {
    handle(request, response).catch(() => response.destroy());
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const tenant = /^\/([^/]+)\/token$/.exec(request.url ?? '')?.[1];
    if (request.url?.startsWith('/control')) return await control(request, response);
    const body = tenant === undefined ? undefined : await readAll(request);
    if (tenant === undefined || body === undefined) return await handleByProvider(request, response);
    const entry = entryOf(tenant, request, new URLSearchParams(body));
    log.push(entry);
    if (log.length > LOG_LIMIT * 1.1) log.splice(0, log.length - LOG_LIMIT);
    if (settings.delayMs > 0) await sleep(settings.delayMs);
    if (response.destroyed) return;
    response.once('finish', () => {
      entry.status = response.statusCode;
    });
    // The provider takes an already read body from here, and from the original URL which audience is its own.
    Object.assign(request, { originalUrl: request.url, url: '/token', body });
    await handleByProvider(request, response);
  }

  async function control(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'POST') Object.assign(settings, JSON.parse(await readAll(request)));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/control/requests' ? log : settings));
  }

  const server = createServer({ keepAliveTimeout: 120_000 }, listener);
  const listening = `http://127.0.0.1:${await portOf(server, Number(values.port))}`;
  const mutualTls =
    registration && `https://localhost:${await portOf(mutualTlsServer(registration, listener), 0)}`;
  process.stdout.write(`${JSON.stringify({ listening, mutualTls })}\n`);
  const end = () => process.exit(0);
  process.once('SIGTERM', end).once('SIGINT', end);
  // Where nobody holds the other end (/dev/null), its end says nothing.
  const stdin = fstatSync(0);
  if (stdin.isFIFO() || stdin.isSocket()) process.stdin.once('end', end).resume();
}

function portOf(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** Any certificate is let in: which one a client needs is for the provider to say. */
function mutualTlsServer({ mutualTls }: Registration, listener: RequestListener): Server {
  return createTlsServer(
    {
      keepAliveTimeout: 120_000,
      cert: mutualTls.certificatePem,
      key: mutualTls.keyPem,
      ca: mutualTls.clientAuthorityPem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    listener,
  );
}

function makeProvider(lifetimeSeconds: () => number, registered: readonly ClientMetadata[]): ProviderLike {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const provider = new UntypedProvider('http://127.0.0.1', {
    adapter: RememberedAssertions,
    clients: [...withSecrets(), ...registered].map((client) => ({
      ...client,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      id_token_signed_response_alg: 'ES256',
      scope: 'read',
    })),
    scopes: ['read'],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
    cookies: { keys: ['not used by the token endpoint'] },
    ttl: { ClientCredentials: () => lifetimeSeconds() },
    clientAuthMethods: METHODS,
    enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'PS256', 'ES256'] },
    assertJwtClientAuthClaimsAndHeader: checkAssertionHeader,
    features: {
      mTLS: MUTUAL_TLS,
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          audience: resource,
          scope: 'read',
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetimeSeconds(),
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  }) as ProviderLike;
  provider.on('server_error', (_context, error) => process.stderr.write(`${error.stack}\n`));
  return provider;
}

function withSecrets(): ClientMetadata[] {
  return Object.entries(CLIENTS).map(([method, { clientId, secret }]) => ({
    client_id: clientId,
    client_secret: secret,
    token_endpoint_auth_method: method,
  }));
}

function entryOf(tenant: string, request: IncomingMessage, body: URLSearchParams): LogEntry {
  const pair = Buffer.from(
    (request.headers.authorization ?? '').replace(/^Basic /i, ''),
    'base64',
  ).toString();
  return {
    at: Date.now(),
    tenant: decodeURIComponent(tenant),
    clientId: body.get('client_id') ?? decodeURIComponent(pair.split(':')[0] as string),
    scope: body.get('scope') ?? '',
    resource: body.get('resource') ?? '',
    status: 0,
  };
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

if (import.meta.main) await main();
