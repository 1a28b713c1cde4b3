import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { connectRedis } from '../../src/store/connection.ts';
import { startNode, type TestProcess } from './process.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line with a configuration in a folder of its own. */
export interface CommandLine {
  readonly configFile: string;
  /** Runs a command to its end. */
  run(...args: readonly string[]): Promise<Ended>;
  /** Runs a command with its output piped into another program. The exit code is the command's. */
  runInto(program: string, ...args: readonly string[]): Promise<Ended>;
}

/** To be called inside a test or `beforeEach`. */
export function commandLine(config: string): CommandLine {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const configFile = join(folder, 'evertoken.yaml');
  writeFileSync(configFile, config);
  const env = {
    BILLING_SECRET: 'sentinel-secret',
    REDIS_URL: undefined,
    EVERTOKEN_CONFIG: undefined,
    USER: 'oncall',
  };
  const options = { env, cwd: folder };
  const pipe = (program: string): string => `"${process.execPath}" "${MAIN}" "$@" | ${program}`;
  return {
    configFile,
    run: (...args) => ended(startNode([MAIN, ...args], options)),
    runInto: (program, ...args) =>
      ended(
        startNode(['-o', 'pipefail', '-c', pipe(program), 'bash', ...args], { ...options, program: 'bash' }),
      ),
  };
}

async function ended(child: TestProcess): Promise<Ended> {
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** A connection for the stores, as the daemon has one; closed when the test ends. */
export async function connectStore(url: string): Promise<Redis> {
  const redis = connectRedis({ url: new Secret(url) }, 'commands', 'test');
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

export interface ConfigText {
  readonly redisUrl: string;
  readonly namespace?: string;
  readonly tenants?: readonly string[];
  readonly perHost?: string;
  readonly expectLifetime?: string;
}

/** One client, `billing`, with the resources `graph` and `mail`. */
export function configText(options: ConfigText): string {
  const { redisUrl, namespace = 'evertoken', tenants = ['contoso', 'fabrikam'] } = options;
  return `
redis: ${redisUrl}
namespace: ${namespace}
http: { listen: 127.0.0.1:0 }
limits: { perHost: ${options.perHost ?? '50/s'} }
clients:
  billing:
    clientId: 11111111-1111-4111-8111-111111111111
    authority: https://idp.example
    credentials: [ { secret: { env: BILLING_SECRET } } ]
    tenants: [${tenants.join(', ')}]
    resources: { graph: https://graph.example/.default, mail: https://mail.example/.default }
    expectLifetime: ${options.expectLifetime ?? '1h'}
`;
}
