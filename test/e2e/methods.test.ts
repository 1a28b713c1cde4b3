import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { fleet, startOidcProvider } from '../support/fleet.ts';
import { type Registered, registerClients, SECRET_JWT_CLIENT } from '../support/oidc-clients.ts';
import { CLIENTS } from '../support/oidc-provider.ts';
import { operator } from '../support/operator.ts';
import { Reader } from '../support/reader.ts';
import { connect, sharedRedis } from '../support/redis.ts';

const { client_secret_post: POST, client_secret_basic: BASIC } = CLIENTS;

interface Method {
  readonly clientId: string;
  /** As in the configuration. */
  readonly credential: string;
  /** Over https, with a certificate of the server that only the test's own authority vouches for. */
  readonly mutualTls?: boolean;
}

/** Every way to prove oneself that the server knows, by the name of its client in the configuration. */
function methods(of: Registered): Readonly<Record<string, Method>> {
  return {
    post: { clientId: POST.clientId, credential: 'secret: { env: POST_SECRET, method: client_secret_post }' },
    basic: {
      clientId: BASIC.clientId,
      credential: 'secret: { env: BASIC_SECRET, method: client_secret_basic }',
    },
    'secret-jwt': {
      clientId: SECRET_JWT_CLIENT.clientId,
      credential: 'secret: { env: JWT_SECRET, method: client_secret_jwt }',
    },
    rsa: { clientId: of.rsa.clientId, credential: `certificate: { file: ${of.rsa.file} }` },
    ec: {
      clientId: of.ec.clientId,
      credential: `certificate: { file: ${of.ec.file}, key: { file: ${of.ec.keyFile} } }`,
    },
    key: {
      clientId: of.key.clientId,
      credential: `privateKey: { file: ${of.key.file}, kid: ${of.key.kid} }`,
    },
    tls: {
      clientId: of.tls.clientId,
      credential: `certificate: { file: ${of.tls.file}, method: tls_client_auth }`,
      mutualTls: true,
    },
    'self-signed': {
      clientId: of.selfSigned.clientId,
      credential: `certificate: { file: ${of.selfSigned.file}, method: tls_client_auth }`,
      mutualTls: true,
    },
  };
}

function clientYaml(name: string, url: string, { clientId, credential }: Method, caFile?: string): string {
  return `
  ${name}:
    clientId: ${clientId}
    tokenEndpoint: ${url}/{tenant}/token
    credentials: [ { ${credential} } ]
    tenants: [one, two]
    resources: { api: { params: { resource: https://api.example } } }
    ${caFile === undefined ? '' : `ca: { file: ${caFile} }`}`;
}

test('every method of client authentication is taken by a server that others wrote, again and again', {
  timeout: 90_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-methods-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const registered = await registerClients(folder);
  const idp = await startOidcProvider(300, 0, registered.file);
  const clients = Object.entries(methods(registered));
  const { url, namespace } = sharedRedis();
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: [
      ...clients.map(([name, method]) =>
        method.mutualTls === true
          ? clientYaml(name, idp.mutualTlsUrl, method, registered.caFile)
          : clientYaml(name, idp.url, method),
      ),
      clientYaml('stranger', idp.url, {
        clientId: registered.stranger.clientId,
        credential: `certificate: { file: ${registered.rsa.file} }`,
      }),
    ].join('\n'),
    env: { JWT_SECRET: SECRET_JWT_CLIENT.secret },
  });
  const redis = connect(url);
  const generation = async (target: string): Promise<number> => {
    const token = JSON.parse((await redis.get(`${namespace}:token:${target}`)) ?? '{}');
    return (token as { generation?: number }).generation ?? 0;
  };
  const asked = async (client: string): Promise<string[]> =>
    (await idp.requests())
      .filter(({ clientId }) => clientId === client)
      .map(({ tenant, status }) => `${tenant} ${status}`);
  const targets = clients.flatMap(([name]) => [`${name}/one/api`, `${name}/two/api`]);
  const reader = new Reader(url, namespace, targets);
  reader.start();
  const daemon = await daemons.start();
  await reader.everyKey(20_000);
  const first = await Promise.all(targets.map(generation));

  // The server takes no assertion twice, so a second token shows that each request has a new one.
  const order = operator(url, namespace);
  await Promise.all(clients.map(([name]) => order('refresh', { select: `${name}/*/*`, force: true })));
  await eventually(async () => {
    const now = await Promise.all(targets.map(generation));
    return now.every((value, index) => value > (first[index] as number));
  }, 'every target has a second token');
  await eventually(
    async () => (await asked(registered.stranger.clientId)).some((answer) => answer.endsWith(' 401')),
    'the client with a key that the server does not know is refused',
  );

  for (const [name, { clientId }] of clients) {
    const answers = (await asked(clientId)).sort();
    expect(answers, `the requests of ${name}`).toEqual(['one 200', 'one 200', 'two 200', 'two 200']);
  }
  // The server has not simply let everybody in.
  expect((await asked(registered.stranger.clientId)).filter((answer) => answer.endsWith(' 200'))).toEqual([]);
  expect(await generation('stranger/one/api')).toBe(0);
  expect((await daemon.stop()).code).toBe(0);
  // A request that never came to the server is not in its list.
  const failed = daemon.stdout.split('\n').filter((line) => line.includes('"outcome":"failed"'));
  expect(failed.filter((line) => !line.includes('"target":"stranger/'))).toEqual([]);
});
