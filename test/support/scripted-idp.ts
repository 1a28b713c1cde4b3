import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface TokenRequest {
  readonly at: number;
  readonly tenant: string;
  readonly scope: string;
  /** The parameter `claims`; empty without one. */
  readonly claims: string;
  /** The header `client-request-id`; empty without one. */
  readonly requestId: string;
}

/** What the server does with one request. `hang`: it never answers. */
export type Reaction =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body: string }
  | 'token'
  | 'hang';

export interface ScriptedIdp {
  readonly url: string;
  readonly requests: readonly TokenRequest[];
  /** How it reacts from now on. Default: with a token. */
  react(reaction: (request: TokenRequest) => Reaction): void;
}

export const OAUTH_429: Reaction = {
  status: 429,
  headers: { 'content-type': 'application/json', 'retry-after': '4' },
  body: JSON.stringify({ error: 'temporarily_unavailable', error_codes: [90055] }),
};
export const PLAIN_429: Reaction = {
  status: 429,
  headers: { 'content-type': 'text/plain', 'retry-after': '4' },
  body: 'Too Many Requests',
};
export const PLAIN_503: Reaction = {
  status: 503,
  headers: { 'content-type': 'text/html' },
  body: '<html>down</html>',
};

/** A token endpoint inside the test, which does what the test says. */
export async function startScriptedIdp(lifetimeSeconds: number): Promise<ScriptedIdp> {
  const requests: TokenRequest[] = [];
  let reaction: (request: TokenRequest) => Reaction = () => 'token';
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = new URLSearchParams(Buffer.concat(chunks).toString());
      const request = {
        at: Date.now(),
        tenant: decodeURIComponent(incoming.url?.split('/')[1] ?? ''),
        scope: body.get('scope') ?? '',
        claims: body.get('claims') ?? '',
        requestId: String(incoming.headers['client-request-id'] ?? ''),
      };
      requests.push(request);
      answer(response, reaction(request), lifetimeSeconds);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    react: (next) => {
      reaction = next;
    },
  };
}

function answer(response: ServerResponse, reaction: Reaction, lifetimeSeconds: number): void {
  if (reaction === 'hang') return;
  if (reaction === 'token') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        token_type: 'Bearer',
        access_token: `opaque-${Math.random()}`,
        expires_in: lifetimeSeconds,
      }),
    );
    return;
  }
  response.writeHead(reaction.status, reaction.headers);
  response.end(reaction.body);
}
