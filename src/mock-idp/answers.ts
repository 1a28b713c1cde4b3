import { randomUUID } from 'node:crypto';
import type { MockClient } from './options.ts';

/** One token request as it arrived. `tenant` is `-` on the route without one. */
export interface Asked {
  readonly tenant: string;
  /** Entra's v2 route, which wants a scope that ends in `/.default`. */
  readonly isEntra: boolean;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: URLSearchParams;
}

/** What a well-formed request asks for. `audience`: what the token will be good for. */
export interface Granted {
  readonly tenant: string;
  readonly clientId: string;
  readonly scope: string;
  readonly audience: string;
}

/** Why there is no token, in OAuth's words and Entra's number. */
export interface Refused {
  readonly status: number;
  readonly error: string;
  readonly code: number;
  readonly description: string;
}

const refused = (status: number, error: string, code: number, description: string): Refused => ({
  status,
  error,
  code,
  description,
});

export const UNAVAILABLE = refused(
  503,
  'temporarily_unavailable',
  90033,
  'A transient error has occurred. Please try again.',
);
export const WRONG_METHOD = refused(
  405,
  'invalid_request',
  900561,
  'The endpoint only accepts POST requests.',
);
export const TOO_LARGE = refused(413, 'invalid_request', 90014, 'The request is too large.');

/** The ids with all their secrets: a secret that is being rotated overlaps with the next one. */
export type Clients = ReadonlyMap<string, readonly string[]>;

export function clientsOf(list: readonly MockClient[]): Clients {
  const clients = new Map<string, string[]>();
  for (const { clientId, secret } of list) clients.set(clientId, [...(clients.get(clientId) ?? []), secret]);
  return clients;
}

/** RFC 6749 sections 2.3.1 and 4.4.2, checked in Entra's order: form, grant, client, secret, scope. */
export function verify(asked: Asked, clients: Clients): Granted | Refused {
  const { body } = asked;
  if (!/^application\/x-www-form-urlencoded(?:;|$)/i.test(asked.contentType ?? '')) {
    return refused(400, 'invalid_request', 900144, 'The request body must be form-encoded.');
  }
  if (new Set(body.keys()).size !== body.size) {
    return refused(400, 'invalid_request', 900144, 'A parameter is included more than once.');
  }
  if (body.get('grant_type') !== 'client_credentials') {
    return refused(400, 'unsupported_grant_type', 70003, 'The app requested an unsupported grant type.');
  }
  const client = authenticate(asked, clients);
  return typeof client === 'string' ? grant(asked, client) : client;
}

/** Gives the client id when exactly one way of authentication was used, and used well. */
function authenticate({ authorization, body }: Asked, clients: Clients): string | Refused {
  const basic = authorization === undefined ? undefined : readBasic(authorization);
  if (basic === 'malformed')
    return refused(400, 'invalid_request', 900144, 'The Authorization header is malformed.');
  if (basic && body.has('client_secret')) {
    return refused(400, 'invalid_request', 900144, 'The client used more than one way to authenticate.');
  }
  const clientId = basic?.clientId ?? body.get('client_id');
  if (!clientId) return refused(400, 'invalid_request', 900144, 'The parameter client_id is missing.');
  if (basic && (body.get('client_id') ?? clientId) !== clientId) {
    return refused(400, 'invalid_request', 900144, 'The two client ids differ.');
  }
  const secrets = clients.get(clientId);
  if (!secrets)
    return refused(400, 'unauthorized_client', 700016, 'The application was not found in the directory.');
  const secret = basic?.secret ?? body.get('client_secret');
  if (!secret) return refused(401, 'invalid_client', 7000218, 'The request must contain a client secret.');
  if (!secrets.includes(secret)) {
    return refused(401, 'invalid_client', 7000215, 'Invalid client secret provided.');
  }
  return clientId;
}

/** Who asks, whether or not that is proved; empty when it is not said. */
export function clientIdOf({ authorization, body }: Asked): string {
  const basic = authorization === undefined ? undefined : readBasic(authorization);
  return (typeof basic === 'object' ? basic.clientId : undefined) ?? body.get('client_id') ?? '';
}

function readBasic(authorization: string): MockClient | 'malformed' {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const pair = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString();
  const colon = pair.indexOf(':');
  if (colon < 1) return 'malformed';
  return { clientId: formDecode(pair.slice(0, colon)), secret: formDecode(pair.slice(colon + 1)) };
}

const formDecode = (text: string): string =>
  new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? '';

function grant({ tenant, isEntra, body }: Asked, clientId: string): Granted | Refused {
  const scope = body.get('scope') ?? '';
  if (isEntra && scope === '')
    return refused(400, 'invalid_request', 900144, 'The parameter scope is missing.');
  if (isEntra && !/^\S+\/\.default$/.test(scope)) {
    return refused(400, 'invalid_scope', 1002012, 'The scope must be one resource followed by /.default.');
  }
  const audience = body.get('audience') ?? body.get('resource') ?? scope.replace(/\/\.default$/, '');
  if (audience === '')
    return refused(400, 'invalid_scope', 70011, 'A scope, a resource or an audience is wanted.');
  return { tenant, clientId, scope: scope === '' ? audience : scope, audience };
}

/** The body that Entra sends with a refusal. The correlation id is the caller's own where it sent one. */
export function refusalBody(
  { error, code, description }: Refused,
  clientRequestId: string | undefined,
): string {
  const traceId = randomUUID();
  const correlationId = /^[0-9a-f-]{36}$/i.test(clientRequestId ?? '') ? clientRequestId : randomUUID();
  const timestamp = `${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z`;
  return JSON.stringify({
    error,
    error_description: `AADSTS${code}: ${description} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
    error_codes: [code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
  });
}
