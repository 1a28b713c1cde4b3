import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { type LoadOptions, loadConfig } from '../../src/config/load.ts';
import type { Client } from '../../src/core/client.ts';
import { EvertokenError } from '../../src/core/errors.ts';
import type { Environment } from '../../src/credentials/source.ts';

/** A folder for one test, gone when it ends, with a configuration in it. */
export class ConfigFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'evertoken-config-'));

  constructor() {
    onTestFinished(() => rmSync(this.path, { recursive: true, force: true }));
  }

  write(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }

  /** JSON is YAML. */
  load(settings: object, env: Environment = {}, options: LoadOptions = {}): Config {
    return loadConfig(this.write('evertoken.yaml', JSON.stringify(settings)), env, options);
  }

  /** What is wrong, a line each, without file and place. */
  problems(settings: object, env: Environment = {}, options: LoadOptions = {}): string[] {
    try {
      this.load(settings, env, options);
      return [];
    } catch (error) {
      if (!(error instanceof EvertokenError)) throw error;
      return error.message.split('\n').map((line) => line.replace(/^\S+ /, ''));
    }
  }
}

/** Settings with one client, named `a`. */
export const withClient = (client: object): object => ({ clients: { a: client } });

/** The only client of a configuration. */
export function onlyClient({ clients }: Config): Client {
  const [client] = clients;
  if (!client || clients.length > 1) throw new Error(`expected one client, but got ${clients.length}`);
  return client;
}
