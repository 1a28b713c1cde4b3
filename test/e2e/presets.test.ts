import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import { fleet } from '../support/fleet.ts';
import { SERVICE_SECRET, type Service, services } from '../support/known-services.ts';
import { Reader } from '../support/reader.ts';
import { connect, sharedRedis } from '../support/redis.ts';
import { fieldsOf, type WireRequest } from '../support/wire-fields.ts';

/** What every request has: our own header fields and those of HTTP. */
const EVERY_REQUEST = {
  'headers.accept': 'application/json',
  'headers.content-type': 'application/x-www-form-urlencoded',
  'headers.user-agent': expect.stringMatching(/^evertoken\/\d/),
  'headers.host': expect.any(String),
  'headers.connection': 'keep-alive',
  'headers.content-length': expect.stringMatching(/^\d+$/),
};

test('services of eight kinds side by side each get what they expect and their tokens reach Redis', {
  timeout: 60_000,
}, async () => {
  const key = await makeCertificate({ key: 'RSA' });
  const server = await startServices();
  const all = services(server.url, ...keyFiles(key));
  server.answers = new Map(Object.values(all).map(({ path, answer }) => [path, answer]));
  const { url, namespace } = sharedRedis();
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: server.url,
    clients: Object.entries(all).map(clientYaml).join('\n'),
    env: { SERVICE_SECRET },
  });
  const target = ([name, { tenant = '-' }]: [string, Service]): string => `${name}/${tenant}/api`;
  const targets = Object.entries(all).map(target);
  const reader = new Reader(url, namespace, targets);
  reader.start();

  const daemon = await daemons.start();
  await reader.everyKey(20_000);
  expect((await daemon.stop()).code).toBe(0);

  const redis = connect(url);
  for (const [name, service] of Object.entries(all)) {
    const { path, sent, lifetimeSeconds } = service;
    const requests = server.requests.filter((request) => new URL(request.url).pathname === path);
    const fields = await Promise.all(requests.map((request) => fieldsOf(request, key.publicKey)));
    expect(fields, name).toEqual([{ url: server.url + path, ...EVERY_REQUEST, ...sent }]);
    const text = await redis.get(`${namespace}:token:${target([name, service])}`);
    const { expires_at, refreshed_at } = JSON.parse(text as string) as Record<string, number>;
    expect(Math.abs((expires_at as number) - (refreshed_at as number) - lifetimeSeconds), name).toBeLessThan(
      3,
    );
  }
  expect(server.requests).toHaveLength(targets.length);
});

function keyFiles({ keyPem }: Certified): [string, string] {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-presets-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [keyFile, serviceAccountFile] = [join(folder, 'key.pem'), join(folder, 'service-account.json')];
  writeFileSync(keyFile, keyPem);
  writeFileSync(
    serviceAccountFile,
    JSON.stringify({
      type: 'service_account',
      project_id: 'project',
      private_key_id: 'service-account-key',
      private_key: keyPem,
      client_email: 'robot@project.example',
    }),
  );
  return [keyFile, serviceAccountFile];
}

function clientYaml([name, { client, tenant }]: [string, Service]): string {
  const lines = [`preset: ${name}`, ...client, ...(tenant === undefined ? [] : [`tenants: [${tenant}]`])];
  return [`  ${name}:`, ...lines.map((line) => `    ${line}`)].join('\n');
}

interface Services {
  readonly url: string;
  readonly requests: readonly WireRequest[];
  /** By the path of the token endpoint; what is not here is not found. */
  answers: ReadonlyMap<string, object>;
}

async function startServices(): Promise<Services> {
  const requests: WireRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const path = incoming.url ?? '';
      const headers = Object.fromEntries(
        Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
      );
      requests.push({ url: started.url + path, headers, body: Buffer.concat(chunks).toString() });
      const answer = started.answers.get(path);
      response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const started: Services = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers: new Map(),
  };
  return started;
}
