import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { makeCertificate } from '../support/certificates.ts';
import { fleet, startMockIdp } from '../support/fleet.ts';
import { Reader } from '../support/reader.ts';
import { connect, ownRedis } from '../support/redis.ts';

const SECRET = 'Sentinel~secret/one+two=';
const WRONG_SECRET = 'Sentinel~wrong/secret+x=';
const PASSWORD = 'SentinelRedisPassword';
const PASSPHRASE = 'Sentinel~pass/phrase+x=';
const CLIENT_ID = 'sentinel-client';

/** What a secret may look like where it has leaked. */
function disguises(secret: string): string[] {
  return [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64').slice(0, -4),
    JSON.stringify(secret).slice(1, -1),
  ];
}

/** A server that sends back what it was sent, wherever an answer has room for it. */
async function startEcho(): Promise<{ url: string; assertions: readonly string[] }> {
  const assertions: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const asked = new URLSearchParams(body);
      const assertion = asked.get('client_assertion');
      if (assertion !== null) assertions.push(assertion);
      const secret = asked.get('client_secret') ?? assertion ?? request.headers.authorization ?? '';
      response.writeHead(401, {
        'content-type': 'application/json',
        'www-authenticate': secret.replaceAll(/[^\x20-\x7e]/g, ''),
      });
      response.end(
        JSON.stringify({
          error: secret,
          error_description: body,
          error_codes: [secret],
          trace_id: secret,
          correlation_id: secret,
          suberror: secret,
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, assertions };
}

/** A certificate with its encrypted key, in a file. */
async function encryptedCertificate(): Promise<{ file: string; key: string }> {
  const { certificatePem, privateKey } = await makeCertificate();
  const options = { format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: PASSPHRASE } as const;
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-secrets-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'certificate.pem');
  writeFileSync(file, `${certificatePem}\n${privateKey.export(options).toString()}`);
  return { file, key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

/** Everything that is in Redis, as text, but for the token keys. */
async function dump(redis: Redis, namespace: string): Promise<string> {
  const texts: string[] = [];
  for (const key of await redis.keys('*')) {
    texts.push(key);
    if (key.startsWith(`${namespace}:token:`)) continue;
    const type = await redis.type(key);
    if (type === 'string') texts.push((await redis.get(key)) ?? '');
    else if (type === 'hash') texts.push(JSON.stringify(await redis.hgetall(key)));
    else if (type === 'zset') texts.push((await redis.zrange(key, '0', '-1')).join(' '));
    else if (type === 'list') texts.push((await redis.lrange(key, 0, -1)).join(' '));
    else if (type === 'set') texts.push((await redis.smembers(key)).join(' '));
    else if (type === 'stream') texts.push(JSON.stringify(await redis.xrange(key, '-', '+')));
    else throw new Error(`${key} has the unexpected type ${type}`);
  }
  return texts.join('\n');
}

test('no secret, password or token is in any output, job, event, state, metric or error', {
  timeout: 90_000,
}, async () => {
  const redis = await ownRedis({ password: PASSWORD });
  const idp = await startMockIdp('--lifetime', '20s', '--client', `${CLIENT_ID}:${SECRET}`);
  const { url: echo, assertions } = await startEcho();
  const { file, key } = await encryptedCertificate();
  const client = (name: string, endpoint: string, secret: string, method: string): string => `
  ${name}:
    clientId: ${CLIENT_ID}
    tokenEndpoint: ${endpoint}
    credentials: [ { secret: { env: ${secret}, method: ${method} } } ]
    tenants: [one, two]
    resources: { api: https://${name}.example/.default }`;
  const daemons = fleet({
    redisUrl: 'redis://127.0.0.1:1',
    idpUrl: idp.url,
    limits: '{ perHost: 100/s, perTenant: 10/s, identical: 10/20s }',
    clients: [
      client('good', `${idp.url}/{tenant}/token`, 'GOOD', 'client_secret_post'),
      client('basic', `${idp.url}/{tenant}/oauth2/v2.0/token`, 'GOOD', 'client_secret_basic'),
      client('wrong', `${idp.url}/{tenant}/token`, 'WRONG', 'client_secret_post'),
      client('echo-post', `${echo}/{tenant}`, 'GOOD', 'client_secret_post'),
      client('echo-basic', `${echo}/{tenant}`, 'GOOD', 'client_secret_basic'),
      client('echo-key', `${echo}/{tenant}`, 'GOOD', 'client_secret_post').replace(
        /secret: \{.*?\}/,
        `certificate: { file: ${file}, passphrase: { env: PASSPHRASE } }`,
      ),
    ].join('\n'),
    env: {
      PASSPHRASE,
      GOOD: SECRET,
      WRONG: WRONG_SECRET,
      REDIS_URL: redis.url,
      EVERTOKEN_LOG_LEVEL: 'trace',
    },
  });
  const tokens = new Set<string>();
  const consumer = connect(redis.url);
  const subscriber = connect(redis.url);
  const events: string[] = [];
  await subscriber.psubscribe('*');
  subscriber.on('pmessage', (_pattern, channel, message) => events.push(`${channel} ${message}`));
  const collect = async (): Promise<void> => {
    for (const key of await consumer.keys('evertoken:token:*')) {
      const value = await consumer.get(key);
      if (value !== null) tokens.add((JSON.parse(value) as { access_token: string }).access_token);
    }
  };

  const reader = new Reader(redis.url, 'evertoken', [
    'good/one/api',
    'good/two/api',
    'basic/one/api',
    'basic/two/api',
  ]);
  reader.start();
  const daemon = await daemons.start();
  const url = (JSON.parse(await daemon.waitForLine((line) => line.includes('listening'))) as { url: string })
    .url;
  await reader.everyKey(20_000);
  await collect();
  const outputs: string[] = [];
  for (const args of [
    ['check'],
    ['status'],
    ['status', '--json'],
    ['targets', '--json'],
    ['explain', 'good/one/api'],
    ['explain', 'wrong/one/api', '--json'],
    ['explain', 'echo-post/one/api'],
    ['explain', 'echo-key/one/api', '--json'],
    ['refresh', 'good/*/*', '--force', '--wait'],
    ['refresh', 'wrong/*/*', '--force', '--wait', '--timeout', '5s'],
    ['refresh', 'nothing/*/*'],
    ['pause', 'basic/*/*', '--for', '1m'],
    ['resume', 'basic/*/*'],
    ['purge', 'basic/one/*', '--yes'],
  ]) {
    const { stdout, stderr } = await daemons.run(...args);
    outputs.push(stdout, stderr);
  }
  for (const path of ['/metrics', '/healthz', '/readyz', '/'])
    outputs.push(await (await fetch(url + path)).text());
  await collect();
  await redis.kill('SIGKILL');
  await daemon.waitForLine((line) => line.includes('the connection to Redis is lost'));
  outputs.push(...Object.values(await daemons.run('status')).map(String));
  await redis.restart();
  await reader.everyKey(30_000);
  await collect();
  const state = await dump(connect(redis.url), 'evertoken');
  expect((await daemon.stop()).code).toBe(0);

  expect(tokens.size).toBeGreaterThan(4);
  const everything = [daemon.stdout, daemon.stderr, ...outputs, ...events, state].join('\n');
  for (const proof of [
    'token refreshed',
    'token not refreshed',
    'good/one/api',
    'evertoken_refreshes_total',
  ]) {
    expect(everything).toContain(proof);
  }
  for (const token of tokens) {
    const [, , signature = token] = token.split('.');
    expect(everything.includes(token) || everything.includes(signature)).toBe(false);
  }
  expect(assertions.length).toBeGreaterThan(0);
  const signatures = assertions.map((assertion) => assertion.split('.')[2] ?? assertion);
  const keyLines = key.split('\n').filter((line) => line !== '' && !line.startsWith('-'));
  for (const text of [...signatures, ...keyLines]) expect(everything.includes(text), text).toBe(false);
  for (const text of [SECRET, WRONG_SECRET, PASSWORD, PASSPHRASE].flatMap(disguises))
    expect(everything.includes(text), text).toBe(false);
});
