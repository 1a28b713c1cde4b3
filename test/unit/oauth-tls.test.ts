import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished, test } from 'vitest';
import type { ClientTls } from '../../src/core/client-authentication.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Exchange, TokenEndpoint, type TokenEndpointOptions } from '../../src/oauth/endpoint.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpServer, serve } from '../support/http-server.ts';

const made = {} as Record<'ca' | 'server' | 'one' | 'two' | 'ended' | 'stranger', Certified>;
beforeAll(async () => {
  made.ca = await makeCertificate({ authority: true, commonName: 'ca' });
  made.server = await makeCertificate({ issuer: made.ca, hosts: ['127.0.0.1'], commonName: 'server' });
  made.one = await makeCertificate({ issuer: made.ca, commonName: 'one' });
  made.two = await makeCertificate({ issuer: made.ca, commonName: 'two' });
  const validTo = Date.now() - 60_000;
  made.ended = await makeCertificate({ issuer: made.ca, commonName: 'ended', validTo });
  made.stranger = await makeCertificate({ commonName: 'stranger' });
});

/** Answers with the name of the client's certificate. */
const tellName: RequestListener = (request, response) =>
  response.end((request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? 'nobody');

function serveTls(handler: RequestListener = tellName, asksForCertificate = false): Promise<HttpServer> {
  const { keyPem: key, chainPem: cert } = made.server;
  const ca = made.ca.certificatePem;
  return serve(handler, { key, cert, ca, requestCert: asksForCertificate });
}

function endpointWith(options: Partial<TokenEndpointOptions> = {}): TokenEndpoint {
  const endpoint = new TokenEndpoint({ version: '0', ...options });
  onTestFinished(() => endpoint.close());
  return endpoint;
}

const tlsOf = (name: keyof typeof made): ClientTls => ({
  fingerprint: made[name].certificate.fingerprint256.slice(0, 8),
  certificateChainPem: made[name].chainPem,
  key: new Secret(made[name].keyPem),
});

interface Settings {
  readonly tls?: ClientTls;
  readonly ca?: string;
}

async function ask(endpoint: TokenEndpoint, url: string, settings: Settings = {}): Promise<string> {
  const request = { url, headers: {}, body: new URLSearchParams({ client_secret: 'SENTINEL' }) };
  const exchange: Exchange = await endpoint.send(request, { timeoutMs: 5000, ...settings });
  expect(inspect(exchange, { depth: 9, showHidden: true })).not.toMatch(/SENTINEL|PRIVATE KEY/);
  if (exchange.ok) return exchange.answer.body.reveal();
  return `${exchange.failure.kind}: ${exchange.failure.code}`;
}

it('does not trust a server that only a private authority vouches for', async () => {
  const { url, requests } = await serveTls();
  expect(await ask(endpointWith(), url)).toMatch(/^transient: network (UNABLE_TO|SELF_SIGNED)/);
  expect(requests).toHaveLength(0);
});

it('trusts it where that authority is given, and only there', async () => {
  const { url } = await serveTls();
  const endpoint = endpointWith();
  expect(await ask(endpoint, url, { ca: made.ca.certificatePem })).toBe('nobody');
  expect(await ask(endpoint, url, { ca: made.stranger.certificatePem })).toMatch(/^transient: network/);
  expect(await ask(endpoint, url)).toMatch(/^transient: network/);
});

it('goes on to trust the usual authorities', async () => {
  const { url } = await serveTls();
  const usual = getCACertificates('default');
  setDefaultCACertificates([made.ca.certificatePem]);
  onTestFinished(() => setDefaultCACertificates(usual));
  const endpoint = endpointWith();
  expect(await ask(endpoint, url)).toBe('nobody');
  expect(await ask(endpoint, url, { ca: made.stranger.certificatePem })).toBe('nobody');
});

it('shows each client its own certificate, and keeps the connections apart', async () => {
  const { url, requests } = await serveTls(tellName, true);
  const endpoint = endpointWith();
  const ca = made.ca.certificatePem;
  for (let i = 0; i < 3; i += 1) {
    expect(await ask(endpoint, url, { ca, tls: tlsOf('one') })).toBe('one');
    expect(await ask(endpoint, url, { ca, tls: tlsOf('two') })).toBe('two');
    // Nobody's connection is used for a client that shows no certificate: this server wants one.
    expect(await ask(endpoint, url, { ca })).toMatch(/^transient: network/);
  }
  const names = new Map(
    requests.map(({ socket }) => [socket, (socket as TLSSocket).getPeerCertificate().subject.CN]),
  );
  expect(new Set(names.values())).toEqual(new Set(['one', 'two']));
});

it('says that certificate and key cannot be used, without sending anything', async () => {
  const { url, sockets } = await serveTls();
  const mixed = { ...tlsOf('one'), key: tlsOf('two').key };
  const endpoint = endpointWith();
  expect(await ask(endpoint, url, { tls: mixed })).toBe('configuration: TLS settings unusable');
  expect(sockets.size).toBe(0);
});

it('ends the requests with the old certificate after a rotation, and then closes their connections', async () => {
  const answers: (() => void)[] = [];
  const { url, requests, sockets } = await serveTls((request, response) => {
    answers.push(() => tellName(request, response));
    if (answers.length > 1) tellName(request, response);
  }, true);
  const endpoint = endpointWith({ idleTimeoutMs: 100 });
  const ca = made.ca.certificatePem;
  const old = ask(endpoint, url, { ca, tls: tlsOf('one') });
  await eventually(() => requests.length === 1, 'the request with the old certificate');
  // Long enough for the agent of the old certificate to be given up, while its request is still waiting.
  const until = performance.now() + 300;
  while (performance.now() < until) expect(await ask(endpoint, url, { ca, tls: tlsOf('two') })).toBe('two');
  answers[0]?.();
  expect(await old).toBe('one');
  await eventually(() => sockets.size === 0, 'the connections are closed');
  expect(await ask(endpoint, url, { ca, tls: tlsOf('one') })).toBe('one');
});

it('keeps connections for the certificates that were used last, and no more', async () => {
  const server = await serve((_request, response) => response.end('here'));
  const endpoint = endpointWith();
  for (let i = 0; i < 80; i += 1)
    expect(await ask(endpoint, server.url, { tls: { ...tlsOf('one'), fingerprint: `${i}` } })).toBe('here');
  expect(server.peakSockets).toBeGreaterThan(32);
  await eventually(
    () => server.sockets.size <= 64,
    'the connections that were not used for long are closed',
    2000,
  );
});

/** Node's servers never say why they refuse a certificate; OpenSSL's does. */
async function startOpenssl(version: '-tls1_2' | '-tls1_3'): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-'));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const keys = ['-cert', write('cert', made.server.chainPem), '-key', write('key', made.server.keyPem)];
  const trust = ['-CAfile', write('ca', made.ca.certificatePem), '-Verify', '1', '-verify_return_error'];
  const args = ['s_server', '-accept', '127.0.0.1:0', ...keys, ...trust, '-www', version];
  const child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(async () => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
    rmSync(folder, { recursive: true });
  });
  for await (const line of createInterface(child.stdout)) {
    const port = /^ACCEPT .*:(\d+)$/.exec(line)?.[1];
    if (port !== undefined) return `https://127.0.0.1:${port}/`;
  }
  throw new Error('openssl s_server has ended');
}

describe.skipIf(spawnSync('openssl', ['version']).status !== 0)('a server that refuses a certificate', () => {
  test.each(['-tls1_2', '-tls1_3'] as const)('is told from a network that failed: %s', async (version) => {
    const url = await startOpenssl(version);
    const endpoint = endpointWith();
    const ca = made.ca.certificatePem;
    const refused = 'credential: network ERR_SSL_';
    expect(await ask(endpoint, url, { ca, tls: tlsOf('stranger') })).toBe(`${refused}TLSV1_ALERT_UNKNOWN_CA`);
    expect(await ask(endpoint, url, { ca, tls: tlsOf('ended') })).toMatch(/_ALERT_CERTIFICATE_EXPIRED$/);
  });
});
