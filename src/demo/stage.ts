import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_CLIENT } from '../mock-idp/options.ts';
import { type Child, startChild } from './child.ts';
import { DemoFailure } from './ending.ts';
import { type PrivateRedis, startPrivateRedis } from './private-redis.ts';
import {
  configText,
  type DemoOptions,
  formatLifetime,
  SECRET_VARIABLE,
  TENANTS_FILE,
  tenantNames,
} from './setting.ts';

/** Everything that runs beside the demo's own process. */
export interface Stage {
  readonly redis: PrivateRedis;
  readonly mockIdp: Child;
  readonly mockIdpUrl: string;
  readonly daemon: Child;
  /** `http://127.0.0.1:<port>` */
  readonly daemonUrl: string;
  /** `performance.now()` at which the daemon was started. */
  readonly daemonStartedAt: number;
  readonly configFile: string;
  readonly daemonLogFile: string;
}

/** What to do to leave nothing behind; grows while the stage is set up. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  /** The last added first; all of them, also where one fails. */
  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        process.stderr.write(`evertoken: cleaning up: ${error instanceof Error ? error.message : error}\n`);
      }
    }
  }
}

/** Sets everything up, each part with its cleanup. Throws `DemoFailure` where a process does not start. */
export async function setStage(options: DemoOptions, cleanup: Cleanup, signal: AbortSignal): Promise<Stage> {
  const redis = await startPrivateRedis();
  cleanup.add(() => redis.stop());
  signal.throwIfAborted();
  const directory = mkdtempSync(join(tmpdir(), 'evertoken-demo-'));
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));

  const mockIdp = startMockIdp(options, directory);
  cleanup.add(() => mockIdp.stop());
  const mockIdpUrl = await listening(mockIdp, signal);

  const configFile = join(directory, 'evertoken.yaml');
  writeFileSync(configFile, configText(options, { redis: redis.url, mockIdp: mockIdpUrl }));
  writeFileSync(join(directory, TENANTS_FILE), `${tenantNames(options).join('\n')}\n`);
  const daemonLogFile = join(directory, 'daemon.log');
  const daemonStartedAt = performance.now();
  const daemon = startDaemon(configFile, daemonLogFile, directory);
  cleanup.add(() => daemon.stop());
  const daemonUrl = await listening(daemon, signal);
  return { redis, mockIdp, mockIdpUrl, daemon, daemonUrl, daemonStartedAt, configFile, daemonLogFile };
}

function startMockIdp({ lifetime }: DemoOptions, directory: string): Child {
  const client = `${DEMO_CLIENT.clientId}:${DEMO_CLIENT.secret}`;
  return startChild({
    name: 'mock-idp',
    module: '../mock-idp/main',
    args: ['--lifetime', formatLifetime(lifetime), '--client', client],
    logFile: join(directory, 'mock-idp.log'),
    directory,
  });
}

function startDaemon(configFile: string, logFile: string, directory: string): Child {
  return startChild({
    name: 'the daemon',
    module: '../cli/main',
    args: ['start', '-c', configFile],
    env: {
      [SECRET_VARIABLE]: DEMO_CLIENT.secret,
      // It would lead the daemon to a Redis that is somebody's.
      REDIS_URL: undefined,
      // The line that says where it listens is an `info`.
      EVERTOKEN_LOG_LEVEL: 'info',
    },
    logFile,
    directory,
  });
}

/** Where a process says it listens. */
async function listening(child: Child, signal: AbortSignal): Promise<string> {
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const url = await Promise.race([child.firstInLog(listeningUrl), aborted]);
  signal.throwIfAborted();
  if (url === undefined) {
    throw new DemoFailure(`${child.name} did not start (${await child.ended})`, child.logTail());
  }
  return url;
}

/** The address in a line of JSON that says where mock-idp or the daemon listens. */
export function listeningUrl(line: string): string | undefined {
  const { listening, msg, url } = parseLine(line);
  const address = msg === 'listening' ? url : listening;
  return typeof address === 'string' ? address : undefined;
}

function parseLine(line: string): { listening?: unknown; msg?: unknown; url?: unknown } {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
