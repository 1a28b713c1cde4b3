import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished, test } from 'vitest';
import { advice } from '../../src/core/failure.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  type Exchange,
  type SendOptions,
  TokenEndpoint,
  type TokenEndpointOptions,
} from '../../src/oauth/endpoint.ts';
import { readProxySettings } from '../../src/oauth/proxy.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import { type HttpServer, serve } from '../support/http-server.ts';

let ca: Certified;
let server: Certified;
let client: Certified;
beforeAll(async () => {
  ca = await makeCertificate({ authority: true, commonName: 'ca' });
  server = await makeCertificate({ issuer: ca, hosts: ['127.0.0.1'], commonName: 'server' });
  client = await makeCertificate({ issuer: ca, commonName: 'client' });
});

interface ConnectProxy {
  readonly url: string;
  readonly port: number;
  /** What it was asked to open. */
  readonly asked: { readonly host: string; readonly authorization: string | undefined }[];
  peakTunnels: number;
}

type Decide = (request: IncomingMessage, socket: Socket) => 'open' | 'leave' | number;

/** A proxy that opens tunnels by CONNECT (RFC 9110 section 9.3.6), or answers as the test says. */
async function startConnectProxy(decide: Decide = () => 'open'): Promise<ConnectProxy> {
  const tunnels = new Set<Socket>();
  const proxy = createServer((_request, response) => response.writeHead(501).end());
  const seen: ConnectProxy = { url: '', port: 0, asked: [], peakTunnels: 0 };
  const keep = (socket: Socket): void => {
    tunnels.add(socket);
    seen.peakTunnels = Math.max(seen.peakTunnels, tunnels.size);
    socket.on('error', () => {}).once('close', () => tunnels.delete(socket));
  };
  proxy.on('connect', (request, socket: Socket) => {
    const { host = '', 'proxy-authorization': authorization } = request.headers;
    seen.asked.push({ host, authorization });
    keep(socket);
    const decision = decide(request, socket);
    if (decision === 'leave') return;
    if (decision !== 'open') return void socket.end(`HTTP/1.1 ${decision} SENTINEL\r\n\r\nSENTINEL`);
    const { hostname, port } = new URL(`http://${request.url}`);
    const upstream = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy()).once('close', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(async () => {
    for (const socket of tunnels) socket.destroy();
    proxy.close();
    proxy.closeAllConnections();
    await once(proxy, 'close');
  });
  const { port } = proxy.address() as AddressInfo;
  return Object.assign(seen, { port, url: `http://127.0.0.1:${port}` });
}

function serveTls(): Promise<HttpServer> {
  const ca_ = ca.certificatePem;
  return serve((_request, response) => response.end('{}'), {
    key: server.keyPem,
    cert: server.chainPem,
    ca: ca_,
    requestCert: true,
    rejectUnauthorized: false,
  });
}

function endpointWith(
  env: Record<string, string>,
  options: Partial<TokenEndpointOptions> = {},
): TokenEndpoint {
  const endpoint = new TokenEndpoint({ version: '0', env, ...options });
  onTestFinished(() => endpoint.close());
  return endpoint;
}

async function ask(
  endpoint: TokenEndpoint,
  url: string,
  options: Partial<SendOptions> = {},
): Promise<Exchange> {
  const request = { url, headers: {}, body: new URLSearchParams({ client_secret: 'SENTINEL' }) };
  const exchange = await endpoint.send(request, { timeoutMs: 10_000, ca: ca.certificatePem, ...options });
  expect(inspect(exchange, { depth: 9, showHidden: true })).not.toContain('SENTINEL');
  return exchange;
}

const statusOf = (exchange: Exchange): number | string =>
  exchange.ok ? exchange.answer.status : exchange.failure.code;

const resets: Decide = (_request, socket) => {
  socket.resetAndDestroy();
  return 'leave';
};
const closes: Decide = (_request, socket) => {
  socket.end();
  return 'leave';
};
const speaksSsh: Decide = (_request, socket) => {
  socket.end('SSH-2.0-OpenSSH_9.9\r\n');
  return 'leave';
};

describe('a proxy', () => {
  it('is gone through, to a server of a private authority, with a client certificate', async () => {
    const { url, port, requests } = await serveTls();
    const proxy = await startConnectProxy();
    const endpoint = endpointWith({ HTTPS_PROXY: proxy.url });
    const tls = { fingerprint: 'x', certificateChainPem: client.chainPem, key: new Secret(client.keyPem) };
    expect(statusOf(await ask(endpoint, url, { tls }))).toBe(200);
    expect(proxy.asked).toEqual([{ host: `127.0.0.1:${port}`, authorization: undefined }]);
    expect(requests[0]?.socket).toMatchObject({ authorized: true });
    expect(requests[0]?.httpVersion).toBe('1.1');
    // Trust is not wider through a proxy.
    expect(statusOf(await ask(endpoint, url, { ca: client.certificatePem }))).toMatch(/^network [A-Z_]+$/);
  });

  it('is given the user and password of its URL', async () => {
    const { url } = await serveTls();
    const proxy = await startConnectProxy();
    const endpoint = endpointWith({ https_proxy: proxy.url.replace('//', '//us%40er:pass@') });
    expect(statusOf(await ask(endpoint, url))).toBe(200);
    const expected = `Basic ${Buffer.from('us@er:pass').toString('base64')}`;
    expect(proxy.asked[0]?.authorization).toBe(expected);
  });

  it('is never asked for plain http, which is for loopback and must not leave the machine', async () => {
    const { url } = await serve((_request, response) => response.end('{}'));
    const proxy = await startConnectProxy();
    const variables = { http_proxy: proxy.url, HTTPS_PROXY: proxy.url };
    expect(statusOf(await ask(endpointWith(variables), url))).toBe(200);
    expect(proxy.asked).toHaveLength(0);
  });

  test.each<[what: string, variables: (proxy: ConnectProxy) => Record<string, string>, tunnels: number]>([
    ['HTTPS_PROXY', ({ url }) => ({ HTTPS_PROXY: url }), 1],
    [
      'https_proxy before HTTPS_PROXY',
      ({ url }) => ({ https_proxy: url, HTTPS_PROXY: 'http://127.0.0.1:1' }),
      1,
    ],
    ['an address without http://', ({ port }) => ({ HTTPS_PROXY: `127.0.0.1:${port}` }), 1],
    ['no empty variable', () => ({ HTTPS_PROXY: '', https_proxy: '' }), 0],
    ['no HTTP_PROXY, which is for plain http', ({ url }) => ({ HTTP_PROXY: url }), 0],
    ['NO_PROXY', ({ url }) => ({ HTTPS_PROXY: url, NO_PROXY: 'other.example,127.0.0.1' }), 0],
    ['no_proxy with an asterisk', ({ url }) => ({ HTTPS_PROXY: url, no_proxy: '*' }), 0],
    ['a NO_PROXY for others', ({ url }) => ({ HTTPS_PROXY: url, NO_PROXY: 'other.example' }), 1],
  ])('is used as the variables say: %s', async (_what, variables, tunnels) => {
    const { url } = await serveTls();
    const proxy = await startConnectProxy();
    expect(statusOf(await ask(endpointWith(variables(proxy)), url))).toBe(200);
    expect(proxy.asked).toHaveLength(tunnels);
  });

  it('is not taken from the environment of the process', async () => {
    const { url } = await serveTls();
    const before = process.env.HTTPS_PROXY;
    process.env.HTTPS_PROXY = 'http://127.0.0.1:1';
    onTestFinished(() => {
      if (before === undefined) delete process.env.HTTPS_PROXY;
      else process.env.HTTPS_PROXY = before;
    });
    expect(statusOf(await ask(endpointWith({}), url))).toBe(200);
  });

  test.each<[what: string, decide: Decide, code: string, status: number | undefined]>([
    ['wants a password', () => 407, 'proxy authentication required', 407],
    ['forbids the host', () => 403, 'proxy refused', 403],
    ['does not reach the server', () => 502, 'proxy refused', 502],
    ['redirects', () => 302, 'proxy refused', 302],
    ['resets', resets, 'proxy unreachable', undefined],
    ['closes', closes, 'proxy unreachable', undefined],
    ['does not answer', () => 'leave', 'proxy unreachable', undefined],
    ['answers something else than HTTP', speaksSsh, 'proxy unreachable', undefined],
  ])('that %s is named in the failure', async (_what, decide, code, status) => {
    const { url, requests } = await serveTls();
    const proxy = await startConnectProxy(decide);
    const exchange = await ask(endpointWith({ HTTPS_PROXY: proxy.url }, { connectTimeoutMs: 300 }), url);
    if (exchange.ok) throw new Error('expected a failure');
    expect(exchange.failure).toMatchObject({ kind: 'transient', code, status, answeredBy: 'nobody' });
    expect(advice(exchange.failure)).toMatchObject({
      owner: 'operator',
      what: expect.stringContaining('proxy'),
    });
    expect(requests).toHaveLength(0);
    // And it is asked again by the next request, not by this one.
    expect(proxy.asked).toHaveLength(1);
  });

  it('that is down is named in the failure', async () => {
    const { url } = await serveTls();
    const endpoint = endpointWith({ HTTPS_PROXY: 'http://127.0.0.1:1' });
    expect(statusOf(await ask(endpoint, url))).toBe('proxy unreachable');
  });

  test.each(['socks5://127.0.0.1:1080', 'http://', 'ftp://127.0.0.1', 'http://%zz:x@127.0.0.1:1'])(
    'that cannot be one is named in the failure: %s',
    async (url) => {
      const endpoint = endpointWith({ HTTPS_PROXY: url });
      expect(await ask(endpoint, 'https://127.0.0.1:1/token')).toMatchObject({
        failure: { code: 'proxy address unusable', answeredBy: 'unsent' },
      });
    },
  );

  it('is not held up by a server that is down behind it', async () => {
    const { url } = await serveTls();
    const proxy = await startConnectProxy((request) => (request.url === '127.0.0.1:1' ? 504 : 'open'));
    const endpoint = endpointWith({ HTTPS_PROXY: proxy.url });
    expect(statusOf(await ask(endpoint, 'https://127.0.0.1:1/token'))).toBe('proxy refused');
    expect(statusOf(await ask(endpoint, url))).toBe(200);
  });
});

describe('the bounds of a request', () => {
  it('hold through a proxy: connections', async () => {
    const { url } = await serveTls();
    const proxy = await startConnectProxy();
    const endpoint = endpointWith({ HTTPS_PROXY: proxy.url }, { connections: 2 });
    const all = await Promise.all(Array.from({ length: 10 }, () => ask(endpoint, url)));
    expect(all.map(statusOf)).toEqual(all.map(() => 200));
    expect(proxy.peakTunnels).toBeLessThanOrEqual(2);
  });

  it('hold through a proxy: size', async () => {
    const { url } = await serve((_request, response) => response.end(Buffer.alloc(3 * 1024 * 1024, 'x')));
    const proxy = await startConnectProxy();
    expect(statusOf(await ask(endpointWith({ http_proxy: proxy.url }), url))).toBe('response too large');
  });

  it('hold through a proxy: time', async () => {
    const { url } = await serve(() => {});
    const proxy = await startConnectProxy();
    const startedAt = performance.now();
    const exchange = await ask(endpointWith({ http_proxy: proxy.url }), url, { timeoutMs: 200 });
    expect(statusOf(exchange)).toBe('timeout');
    expect(performance.now() - startedAt).toBeLessThan(1500);
  });

  it('free the connection that waited for a proxy which does not answer', async () => {
    const { url } = await serveTls();
    let silent = true;
    const proxy = await startConnectProxy(() => (silent ? 'leave' : 'open'));
    const endpoint = endpointWith({ HTTPS_PROXY: proxy.url }, { connections: 1, connectTimeoutMs: 300 });
    expect(statusOf(await ask(endpoint, url, { timeoutMs: 100 }))).toBe('timeout');
    silent = false;
    // What waited for the same connection fails with it.
    expect(statusOf(await ask(endpoint, url))).toBe('proxy unreachable');
    expect(statusOf(await ask(endpoint, url))).toBe(200);
  });
});

describe('the proxy variables', () => {
  it('are none where there are none', () => {
    expect(readProxySettings({})).toEqual({ proxy: '', noProxy: '' });
  });
});
