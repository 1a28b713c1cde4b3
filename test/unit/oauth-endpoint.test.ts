import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect, it, onTestFinished, test } from 'vitest';
import type { TokenRequest } from '../../src/core/client-authentication.ts';
import { type Exchange, TokenEndpoint, type TokenEndpointOptions } from '../../src/oauth/endpoint.ts';
import { serve } from '../support/http-server.ts';

function endpointWith(options: Partial<TokenEndpointOptions> = {}): TokenEndpoint {
  const endpoint = new TokenEndpoint({ version: '1.2.3', ...options });
  onTestFinished(() => endpoint.close());
  return endpoint;
}

const requestTo = (url: string): TokenRequest => ({
  url,
  headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-one': '1' },
  body: new URLSearchParams({ client_secret: 'SENTINEL-s3cret' }),
});

function failureOf(exchange: Exchange) {
  if (exchange.ok) throw new Error(`expected a failure, but got ${exchange.answer.status}`);
  expect(inspect(exchange, { depth: 9, showHidden: true })).not.toContain('SENTINEL');
  return exchange.failure;
}

function answerOf(exchange: Exchange) {
  if (!exchange.ok) throw new Error(`expected an answer, but got ${exchange.failure.code}`);
  return exchange.answer;
}

const json = (response: ServerResponse, body: string) =>
  response.setHeader('content-type', 'application/json').end(body);

it('sends the form with its headers and gives the whole answer', async () => {
  let body = '';
  const server = await serve((request, response) => {
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.once('end', () => json(response, '{"access_token":"SENTINEL-t0ken"}'));
  });
  const exchange = await endpointWith().send(requestTo(server.url), { timeoutMs: 5000 });
  const answer = answerOf(exchange);
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.body.reveal()).toBe('{"access_token":"SENTINEL-t0ken"}');
  expect(inspect(exchange, { depth: 9 }) + JSON.stringify(exchange)).not.toContain('SENTINEL');
  expect(body).toBe('client_secret=SENTINEL-s3cret');
  expect(server.requests[0]).toMatchObject({ method: 'POST', url: '/t/token?x=1' });
  expect(server.requests[0]?.headers).toMatchObject({ 'user-agent': 'evertoken/1.2.3', 'x-one': '1' });
});

it('keeps its connections for later requests', async () => {
  const server = await serve((_request, response) => json(response, '{}'));
  const endpoint = endpointWith();
  for (let i = 0; i < 10; i += 1) answerOf(await endpoint.send(requestTo(server.url), { timeoutMs: 5000 }));
  // One more than one, since a connection is free only a moment after its answer.
  expect(new Set(server.requests.map((request) => request.socket)).size).toBeLessThanOrEqual(2);
});

it('opens no more connections to an origin than it may', async () => {
  const server = await serve((_request, response) => setImmediate(() => json(response, '{}')));
  const endpoint = endpointWith({ connections: 2 });
  const all = Array.from({ length: 12 }, () => endpoint.send(requestTo(server.url), { timeoutMs: 5000 }));
  for (const exchange of await Promise.all(all)) expect(answerOf(exchange).status).toBe(200);
  expect(server.peakSockets).toBe(2);
});

it('does not follow a redirect', async () => {
  const server = await serve((_request, response) =>
    response.writeHead(307, { location: '/elsewhere' }).end(),
  );
  expect(answerOf(await endpointWith().send(requestTo(server.url), { timeoutMs: 5000 })).status).toBe(307);
  expect(server.requests).toHaveLength(1);
});

test.each<[what: string, handler: RequestListener, code: string, answeredBy: string]>([
  ['hangs', () => {}, 'timeout', 'nobody'],
  [
    'sends its headers and hangs',
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    },
    'timeout',
    'nobody',
  ],
  [
    'drips byte after byte',
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 10);
      response.once('close', () => clearInterval(drip));
    },
    'timeout',
    'nobody',
  ],
  ['resets before an answer', (request) => request.socket.resetAndDestroy(), 'network ECONNRESET', 'nobody'],
  ['closes before an answer', (request) => request.socket.end(), 'network ECONNRESET', 'nobody'],
  [
    'resets in mid-body',
    (request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{"access_token":"', () => request.socket.resetAndDestroy());
    },
    'network ECONNRESET',
    'nobody',
  ],
  [
    'closes in mid-body',
    (request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{"access_token":"', () => request.socket.end());
    },
    'network ECONNRESET',
    'nobody',
  ],
])('gives a failure when the server %s', async (_what, handler, code, answeredBy) => {
  const server = await serve(handler);
  const failure = failureOf(await endpointWith().send(requestTo(server.url), { timeoutMs: 200 }));
  expect(failure).toMatchObject({ kind: 'transient', code, answeredBy });
});

it('cuts off a body of 100 MB', async () => {
  let sent = 0;
  const server = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const chunk = Buffer.alloc(256 * 1024, ' ');
    const more = () => {
      while (!response.destroyed && sent < 100 * 1024 * 1024) {
        sent += chunk.length;
        if (!response.write(chunk)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  });
  const failure = failureOf(await endpointWith().send(requestTo(server.url), { timeoutMs: 20_000 }));
  expect(failure).toMatchObject({
    kind: 'transient',
    code: 'response too large',
    answeredBy: 'host',
    status: 200,
  });
  expect(sent).toBeLessThan(50 * 1024 * 1024);
});

test.each<[what: string, finish: RequestListener]>([
  ['never ends', (_request, response) => response.flushHeaders()],
  ['is reset', (request, response) => response.write('{', () => request.socket.resetAndDestroy())],
  ['is too large', (_request, response) => response.end(Buffer.alloc(3 * 1024 * 1024, 'x'))],
])('keeps to a 429 and its Retry-After when its body %s', async (_what, finish) => {
  const server = await serve((request, response) => {
    response.writeHead(429, { 'retry-after': '60' });
    finish(request, response);
  });
  const answer = answerOf(await endpointWith().send(requestTo(server.url), { timeoutMs: 200 }));
  expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
  expect(answer.body.reveal()).toBe('');
});

it('gives a failure for what is not HTTP', async () => {
  const server = createTcpServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.9\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const failure = failureOf(
    await endpointWith().send(requestTo(`http://127.0.0.1:${port}/`), { timeoutMs: 5000 }),
  );
  expect(failure).toMatchObject({ kind: 'transient', code: 'response not HTTP', answeredBy: 'nobody' });
});

it('gives a failure when nobody listens', async () => {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const failure = failureOf(
    await endpointWith().send(requestTo(`http://127.0.0.1:${port}/`), { timeoutMs: 5000 }),
  );
  expect(failure).toMatchObject({ kind: 'transient', code: 'network ECONNREFUSED', answeredBy: 'nobody' });
});

it('keeps to the deadline of a request that has no connection yet', async () => {
  const server = await serve(() => {});
  const endpoint = endpointWith({ connections: 1 });
  const first = endpoint.send(requestTo(server.url), { timeoutMs: 1500 });
  while (server.requests.length === 0) await yieldToLoop();
  const startedAt = performance.now();
  const second = failureOf(await endpoint.send(requestTo(server.url), { timeoutMs: 100 }));
  expect(second.code).toBe('timeout');
  expect(performance.now() - startedAt).toBeLessThan(700);
  expect(failureOf(await first).code).toBe('timeout');
  // Nor is it sent late, when a connection becomes free.
  await endpoint.close();
  expect(server.requests).toHaveLength(1);
});

it('frees the connection of a request that was cut off', async () => {
  const server = await serve((_request, response) => {
    if (server.requests.length > 1) json(response, '{}');
  });
  const endpoint = endpointWith({ connections: 1 });
  expect(failureOf(await endpoint.send(requestTo(server.url), { timeoutMs: 50 })).code).toBe('timeout');
  expect(answerOf(await endpoint.send(requestTo(server.url), { timeoutMs: 5000 })).status).toBe(200);
});

it('ends the requests in flight before it closes, and sends none after', async () => {
  const server = await serve((_request, response) => setImmediate(() => json(response, '{}')));
  const endpoint = new TokenEndpoint({ version: '0' });
  const sent = endpoint.send(requestTo(server.url), { timeoutMs: 5000 });
  const closed = endpoint.close();
  expect(answerOf(await sent).status).toBe(200);
  await closed;
  expect(failureOf(await endpoint.send(requestTo(server.url), { timeoutMs: 5000 })).code).toBe('aborted');
});

it('measures how far the clock of the server is from ours', async () => {
  let aheadMs = 600_000;
  const server = await serve((_request, response) => {
    response.setHeader('date', new Date(Date.now() + aheadMs).toUTCString());
    json(response, '{}');
  });
  const endpoint = endpointWith();
  expect(endpoint.skewMs(server.url)).toBeUndefined();
  const exchange = await endpoint.send(requestTo(server.url), { timeoutMs: 5000 });
  expect(exchange).toMatchObject({ ok: true, skewMs: expect.closeTo(600_000, -4) });
  expect(endpoint.skewMs(server.url)).toSatisfy((skewMs: number) => Math.abs(skewMs - 600_000) < 2000);
  expect(endpoint.skewMs(server.url.replace('/t/', '/other/'))).toBe(endpoint.skewMs(server.url));
  aheadMs = 0;
  await endpoint.send(requestTo(server.url), { timeoutMs: 5000 });
  expect(endpoint.skewMs(server.url)).toBe(0);
});

it('knows no clock of a server without a Date header', async () => {
  const server = await serve((_request, response) => {
    response.sendDate = false;
    json(response, '{}');
  });
  const endpoint = endpointWith();
  expect(await endpoint.send(requestTo(server.url), { timeoutMs: 5000 })).toMatchObject({
    skewMs: undefined,
  });
  expect(endpoint.skewMs(server.url)).toBeUndefined();
});
