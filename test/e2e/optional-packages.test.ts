import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fleet, startOidcProvider } from '../support/fleet.ts';
import { registerClients } from '../support/oidc-clients.ts';
import { CLIENTS } from '../support/oidc-provider.ts';
import { Reader } from '../support/reader.ts';
import { sharedRedis } from '../support/redis.ts';

/** Prints which of the packages that few configurations need a process asks for. */
const TELL_LOADS = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({
    resolve(specifier, context, next) {
      if (/^(@azure\\/|node-forge)/.test(specifier)) process.stderr.write('loads ' + specifier + '\\n');
      return next(specifier, context);
    },
  });
`)}`;

const client = (name: string, clientId: string, url: string, credential: string): string => `
  ${name}:
    clientId: ${clientId}
    tokenEndpoint: ${url}/{tenant}/token
    credentials: [ { ${credential} } ]
    tenants: [one]
    resources: { api: { params: { resource: https://api.example } } }`;

test('a daemon whose credentials are in the environment and in PEM files loads neither Azure nor PFX packages', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-packages-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { file, rsa } = await registerClients(folder);
  const idp = await startOidcProvider(300, 0, file);
  const { url, namespace } = sharedRedis();
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: [
      client('post', CLIENTS.client_secret_post.clientId, idp.url, 'secret: { env: POST_SECRET }'),
      client('rsa', rsa.clientId, idp.url, `certificate: { file: ${rsa.file} }`),
    ].join('\n'),
    env: { NODE_OPTIONS: `--import=${TELL_LOADS}` },
  });
  const reader = new Reader(url, namespace, ['post/one/api', 'rsa/one/api']);
  reader.start();

  const daemon = await daemons.start();
  await reader.everyKey(20_000);
  expect((await daemon.stop()).code).toBe(0);

  expect(`${daemon.stdout}${daemon.stderr}`.match(/loads .*/g)).toBeNull();
});

test('a daemon with a secret in a key vault asks that vault, and keeps the others going without it', {
  timeout: 60_000,
}, async () => {
  const idp = await startOidcProvider(300);
  const { url, namespace } = sharedRedis();
  const daemons = fleet({
    redisUrl: url,
    namespace,
    idpUrl: idp.url,
    clients: [
      client('post', CLIENTS.client_secret_post.clientId, idp.url, 'secret: { env: POST_SECRET }'),
      client('vault', 'vault-client', idp.url, 'secret: { keyVault: https://127.0.0.1:1/secrets/api }'),
    ].join('\n'),
    env: { NODE_OPTIONS: `--import=${TELL_LOADS}` },
  });
  const reader = new Reader(url, namespace, ['post/one/api']);
  reader.start();

  const daemon = await daemons.start();
  await daemon.waitForLine((line) => line.startsWith('loads @azure/keyvault-secrets'));
  await reader.everyKey(20_000);
  await daemon.waitForLine((line) => line.includes('key vault unavailable'));
  expect((await daemon.stop()).code).toBe(0);

  expect((await idp.requests()).filter(({ clientId }) => clientId === 'vault-client')).toEqual([]);
});
