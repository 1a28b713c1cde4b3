import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { DEMO_CLIENT } from '../../src/mock-idp/options.ts';
import { CLIENTS } from './oidc-provider.ts';
import { startNode, type TestProcess } from './process.ts';

const root = new URL('../..', import.meta.url).pathname;

/** An authorization server in a process of its own. */
export interface IdentityProvider {
  readonly url: string;
  /** Where clients show certificates; '' where it knows of none. */
  readonly mutualTlsUrl: string;
  readonly process: TestProcess;
  control(settings: object): Promise<void>;
  /** Every token request that came in, oldest first. */
  requests(): Promise<readonly LoggedRequest[]>;
}

export interface LoggedRequest {
  readonly at: number;
  readonly tenant: string;
  readonly clientId: string;
  readonly scope: string;
  readonly resource?: string;
  readonly status: number;
}

/** oidc-provider, written by others. `registration`: a file of `registerClients`, for more than its own clients. */
export function startOidcProvider(
  lifetimeSeconds: number,
  delayMs = 0,
  registration?: string,
): Promise<IdentityProvider> {
  return startIdp([
    'test/support/oidc-provider.ts',
    '--lifetime',
    String(lifetimeSeconds),
    '--delay',
    `${delayMs}ms`,
    ...(registration === undefined ? [] : ['--registration', registration]),
  ]);
}

/** Our own, which counts and can be told to misbehave. */
export function startMockIdp(...args: readonly string[]): Promise<IdentityProvider> {
  return startIdp(['src/mock-idp/main.ts', ...args]);
}

async function startIdp([script, ...args]: readonly string[]): Promise<IdentityProvider> {
  const child = startNode([join(root, script as string), '--port', '0', ...args]);
  onTestFinished(async () => {
    await child.stop();
  });
  const { listening: url, mutualTls: mutualTlsUrl = '' } = JSON.parse(
    await child.waitForLine((line) => line.includes('listening')),
  ) as { listening: string; mutualTls?: string };
  return {
    url,
    mutualTlsUrl,
    process: child,
    control: async (settings) => {
      const response = await fetch(`${url}/control`, { method: 'POST', body: JSON.stringify(settings) });
      if (!response.ok) throw new Error(`control: ${response.status} ${await response.text()}`);
    },
    requests: async () => {
      const log = (await (await fetch(`${url}/control/requests`)).json()) as LoggedRequest[];
      return log.sort((a, b) => a.at - b.at);
    },
  };
}

/** The most identical requests that the server saw in any window of that length. */
export function mostIdentical(requests: readonly LoggedRequest[], windowMs: number): number {
  const byRequest = Map.groupBy(requests, ({ tenant, clientId, scope, resource }) =>
    [tenant, clientId, scope, resource].join(' '),
  );
  let most = 0;
  for (const same of byRequest.values()) {
    let first = 0;
    for (const [last, { at }] of same.entries()) {
      while ((same[first] as LoggedRequest).at <= at - windowMs) first += 1;
      most = Math.max(most, last - first + 1);
    }
  }
  return most;
}

export interface FleetOptions {
  readonly redisUrl: string;
  readonly namespace?: string;
  readonly idpUrl: string;
  /** Lines of YAML under `clients:`; default: 300 targets at oidc-provider. */
  readonly clients?: string;
  readonly limits?: string;
  readonly refresh?: string;
  /** `host:port` to listen on; default any free port. */
  readonly http?: string;
  /** On top of the environment of the tests. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Fleet {
  readonly configFile: string;
  readonly namespace: string;
  /** Starts a daemon process and waits until it has joined. */
  start(role?: string): Promise<TestProcess>;
  /** Starts a daemon process and waits for nothing. */
  launch(role?: string, ...flags: readonly string[]): TestProcess;
  /** Runs a command to its end. */
  run(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** A configuration in a folder of its own, and the processes that run with it. */
export function fleet(options: FleetOptions): Fleet {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const configFile = join(folder, 'evertoken.yaml');
  const namespace = options.namespace ?? 'evertoken';
  writeFileSync(configFile, configText(options, namespace));
  const env = {
    POST_SECRET: CLIENTS.client_secret_post.secret,
    BASIC_SECRET: CLIENTS.client_secret_basic.secret,
    DEMO_SECRET: DEMO_CLIENT.secret,
    REDIS_URL: undefined,
    ...options.env,
  };
  const evertoken = (args: readonly string[]): TestProcess =>
    startNode([join(root, 'src/cli/evertoken'), '-c', configFile, ...args], { env });
  return {
    configFile,
    namespace,
    launch: (role = 'all', ...flags) => evertoken(['start', '--role', role, ...flags]),
    start: async (role = 'all') => {
      const daemon = evertoken(['start', '--role', role]);
      await daemon.waitForLine((line) => line.includes('joined the fleet'));
      return daemon;
    },
    run: async (...args) => {
      const child = evertoken(args);
      const { code } = await child.exited;
      return { code, stdout: child.stdout, stderr: child.stderr };
    },
  };
}

function configText(
  { redisUrl, idpUrl, clients, limits, refresh, http }: FleetOptions,
  namespace: string,
): string {
  return [
    `redis: ${redisUrl}`,
    `namespace: ${namespace}`,
    `http: { listen: ${http ?? '127.0.0.1:0'} }`,
    `limits: ${limits ?? '{ perHost: 100/s, perTenant: 10/s, identical: 5/20s }'}`,
    `refresh: ${refresh ?? '{ outageTarget: 20m }'}`,
    'clients:',
    clients ?? oidcClients(idpUrl),
  ].join('\n');
}

export const OIDC_TARGETS: readonly string[] = [
  ...tenants('p', 100).flatMap((tenant) => [`post/${tenant}/one`, `post/${tenant}/two`]),
  ...tenants('b', 50).flatMap((tenant) => [`basic/${tenant}/one`, `basic/${tenant}/two`]),
];

function oidcClients(idpUrl: string): string {
  const client = (
    name: string,
    method: keyof typeof CLIENTS,
    env: string,
    ids: readonly string[],
  ): string => `
  ${name}:
    clientId: ${CLIENTS[method].clientId}
    tokenEndpoint: ${idpUrl}/{tenant}/token
    credentials: [ { secret: { env: ${env}, method: ${method} } } ]
    tenants: [${ids.join(', ')}]
    resources:
      one: { params: { resource: https://one.example } }
      two: { params: { resource: https://two.example } }
    expectLifetime: 20s`;
  return [
    client('post', 'client_secret_post', 'POST_SECRET', tenants('p', 100)),
    client('basic', 'client_secret_basic', 'BASIC_SECRET', tenants('b', 50)),
  ].join('\n');
}

/** A client at the mock-idp, in Entra's form of the endpoint. */
export function mockClient(idpUrl: string, tenantCount: number): string {
  return `
  demo:
    clientId: ${DEMO_CLIENT.clientId}
    tokenEndpoint: ${idpUrl}/{tenant}/oauth2/v2.0/token
    credentials: [ { secret: { env: DEMO_SECRET } } ]
    tenants: [${tenants('t', tenantCount).join(', ')}]
    resources: { graph: https://graph.example/.default }`;
}

export function tenants(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}
