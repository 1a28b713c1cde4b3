import { type ChildProcess, type ForkOptions, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort, type PrivateRedis, startPrivateRedis } from '../../src/demo/private-redis.ts';
import { DEMO_CLIENT } from '../../src/mock-idp/options.ts';
import type { MockIdpStats } from '../../src/mock-idp/record.ts';

/** Everything that a part has started, ended with it however it ends. */
export class Stage implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'evertoken-bench-'));
  readonly #stack = new AsyncDisposableStack();

  constructor() {
    this.defer(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  defer(end: () => unknown): void {
    this.#stack.defer(async () => {
      await end();
    });
  }

  async redis(): Promise<PrivateRedis> {
    const redis = await startPrivateRedis();
    this.defer(() => redis.stop());
    return redis;
  }

  /** Tokens weigh what Entra's do and cost no signature. */
  async mockIdp(): Promise<MockIdpProcess> {
    const args = ['--port', '0', '--signing', 'premade', '--exit-with-parent'];
    const child = spawn(process.execPath, [pathOf('../../src/mock-idp/main.ts'), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.defer(() => end(child));
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    return new MockIdpProcess((JSON.parse(line) as { listening: string }).listening);
  }

  /** A daemon in a process of its own, as in production, with its log in a file. */
  async daemon(setting: DaemonSetting): Promise<Daemon> {
    const port = await freePort();
    const configFile = join(this.folder, 'evertoken.yaml');
    writeFileSync(configFile, configText(setting, port));
    const execArgv = setting.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${setting.profile}`];
    const env = { ...process.env, BENCH_SECRET: DEMO_CLIENT.secret, REDIS_URL: undefined };
    const child = this.#fork('./daemon-process.ts', [configFile], { execArgv, env });
    return { child: child, metrics: () => getText(`http://127.0.0.1:${port}/metrics`) };
  }

  /** A program of this folder that answers messages, and that says once that it is ready. */
  async helper(module: string, args: readonly string[]): Promise<Asked> {
    const child = this.#fork(module, args, {});
    await child.ready;
    return child;
  }

  #fork(module: string, args: readonly string[], options: ForkOptions): Asked {
    const log = openSync(join(this.folder, 'log'), 'a');
    const stdio: ForkOptions['stdio'] = ['ignore', log, 'inherit', 'ipc'];
    const child = fork(pathOf(module), args, { stdio, ...options });
    closeSync(log);
    this.defer(() => end(child));
    return new Asked(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

const pathOf = (module: string): string => fileURLToPath(new URL(module, import.meta.url));

const END_TIMEOUT_MS = 5000;

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timeout = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
  await exited;
  clearTimeout(timeout);
}

export interface Daemon {
  readonly child: Asked;
  /** Its exposition for Prometheus. */
  readonly metrics: () => Promise<string>;
}

/** A child process that answers each message with one. */
export class Asked {
  readonly #child: ChildProcess;
  readonly ready: Promise<unknown>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.ready = once(child, 'message');
  }

  async ask<Answer>(question: string): Promise<Answer> {
    const answer = once(this.#child, 'message') as Promise<[Answer]>;
    this.#child.send(question);
    return (await answer)[0];
  }
}

export interface DaemonSetting {
  readonly redisUrl: string;
  readonly idpUrls: readonly string[];
  /** Targets behind each of the endpoints. */
  readonly targets: number;
  readonly profile?: string | undefined;
}

export const clientName = (endpoint: number): string => `bench${endpoint}`;

/** Limits so wide that none is in the way; what is measured is the line itself. */
function configText({ redisUrl, idpUrls, targets }: DaemonSetting, port: number): string {
  const tenants = Array.from({ length: targets }, (_, i) => `tenant-${i}`);
  const clients = idpUrls.map(
    (url, endpoint) => `  ${clientName(endpoint)}:
    clientId: ${DEMO_CLIENT.clientId}
    tokenEndpoint: ${url}/{tenant}/oauth2/v2.0/token
    credentials: [{ secret: { env: BENCH_SECRET } }]
    tenants: [${tenants.join(', ')}]
    resources: { graph: https://graph.microsoft.com/.default }`,
  );
  return `redis: ${redisUrl}
http: { listen: 127.0.0.1:${port} }
refresh: { outageTarget: 1s }
limits: { perHost: 10000/1s, perTenant: 10000/1s, identical: 100/1s }
clients:
${clients.join('\n')}
`;
}

export class MockIdpProcess {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async stats(): Promise<MockIdpStats> {
    return JSON.parse(await getText(`${this.url}/control/stats`)) as MockIdpStats;
  }

  async setLifetime(lifetime: string): Promise<void> {
    await fetch(`${this.url}/control`, { method: 'POST', body: JSON.stringify({ lifetime }) });
  }
}

async function getText(url: string): Promise<string> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`expected 200 from ${new URL(url).pathname}, but got ${response.status}`);
  return response.text();
}
