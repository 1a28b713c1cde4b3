import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Client } from '../core/client.ts';
import { EvertokenError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { type Environment, explainFileError } from '../credentials/source.ts';
import type { Config, RedisOptions } from './config.ts';
import { credentialFindings, readForReport } from './credentials.ts';
import { configError, type Finding, type Report } from './diagnostics.ts';
import { readDocument } from './document.ts';
import { findIdenticalRequests } from './identical.ts';
import { findingsOf, PARSE_OPTIONS } from './issues.ts';
import { checkName, resolveClient, resolveSource, type Surroundings } from './resolve.ts';
import { type ConfigInput, clientSchema, configSchema, readableSections, type Sections } from './schema.ts';
import { redisUrl } from './values.ts';

const DEFAULT_FILES = ['evertoken.yaml', 'evertoken.json'];

export interface FileQuery {
  /** What `-c` says. */
  readonly flag?: string | undefined;
  readonly env: Environment;
  /** Default: the working directory. */
  readonly folder?: string | undefined;
}

/** `-c FILE`, else EVERTOKEN_CONFIG, else ./evertoken.yaml, else ./evertoken.json. Throws CONFIG_NOT_FOUND. */
export function findConfigFile({ flag, env, folder = '.' }: FileQuery): string {
  const named = flag ?? (env.EVERTOKEN_CONFIG || undefined);
  const candidates = named === undefined ? DEFAULT_FILES : [named];
  const found = candidates.find((file) => existsSync(resolve(folder, file)));
  if (found !== undefined) return found;
  const origin =
    flag === undefined ? (named === undefined ? 'in this folder' : 'from EVERTOKEN_CONFIG') : 'from -c';
  throw new EvertokenError(
    'CONFIG_NOT_FOUND',
    `no configuration: ${candidates.join(' or ')} (${origin}) does not exist; name one with -c FILE or EVERTOKEN_CONFIG`,
  );
}

export interface LoadOptions {
  /** Also read every client's credentials, and report those that cannot be read. Default: false. */
  readonly checkCredentials?: boolean | undefined;
}

/**
 * Reads and checks a configuration. Throws CONFIG_NOT_FOUND or CONFIG_UNREADABLE for the file, and for what
 * stands in it one error with all problems, a line each: CONFIG_INVALID, or CREDENTIAL_UNREADABLE where
 * nothing is wrong but that secrets cannot be read.
 */
export function loadConfig(file: string, env: Environment, options: LoadOptions = {}): Config {
  const document = readDocument(readConfigFile(file));
  const findings: Finding[] = [];
  const config = interpret(document.value, file, env, (finding) => findings.push(finding));
  if (config && options.checkCredentials) findings.push(...credentialFindings(config, env));
  if (config && findings.length === 0 && document.problems.length === 0) return config;
  throw configError(file, document, findings);
}

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const problem = explainFileError(error);
    const code = problem === 'does not exist' ? 'CONFIG_NOT_FOUND' : 'CONFIG_UNREADABLE';
    throw new EvertokenError(code, `the configuration ${file} ${problem}`, { cause: error });
  }
}

function interpret(value: unknown, file: string, env: Environment, report: Report): Config | undefined {
  if (value === undefined) return undefined;
  if (value === null) {
    report({ path: [], message: 'the file is empty: expected at least clients' });
    return undefined;
  }
  const parsed = configSchema.safeParse(value, PARSE_OPTIONS);
  if (!parsed.success) for (const finding of findingsOf(parsed.error.issues)) report(finding);
  const inputs: Inputs = parsed.success ? parsed.data : readableInputs(asMapping(value));
  for (const name of Object.keys(asMapping(asMapping(value).clients)))
    checkName(name, ['clients', name], report);
  const clients = resolveClients(inputs, dirname(file), report);
  const redis = resolveRedis(inputs.redis, dirname(file), env, report);
  if (!parsed.success) return undefined;
  const { http, namespace } = parsed.data;
  return { file: resolve(file), redis, namespace, http, clients };
}

type Inputs = Sections & Pick<ConfigInput, 'clients'>;

/** Where something is wrong elsewhere, what is well by itself; to report its problems in the same run. */
function readableInputs(value: Readonly<Record<string, unknown>>): Inputs {
  const clients = Object.entries(asMapping(value.clients)).flatMap(([name, client]) => {
    const parsed = clientSchema.safeParse(client);
    return parsed.success ? [[name, parsed.data] as const] : [];
  });
  return { ...readableSections(value), clients: Object.fromEntries(clients) };
}

const asMapping = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};

function resolveClients(inputs: Inputs, folder: string, report: Report): Client[] {
  const around: Surroundings = { folder, sections: inputs };
  const clients = Object.entries(inputs.clients).flatMap(
    ([name, input]) => resolveClient(name, input, around, report) ?? [],
  );
  for (const finding of findIdenticalRequests(clients)) report(finding);
  return clients;
}

/** REDIS_URL replaces the whole setting, so that a password is never sent to another server than it is for. */
function resolveRedis(
  input: Sections['redis'],
  folder: string,
  env: Environment,
  report: Report,
): RedisOptions {
  const fromEnvironment = env.REDIS_URL;
  if (fromEnvironment) {
    const read = redisUrl(fromEnvironment);
    if ('problem' in read) report({ path: [], elsewhere: { file: 'REDIS_URL' }, message: read.problem });
    return { url: new Secret(fromEnvironment) };
  }
  if (typeof input === 'string') return { url: new Secret(input) };
  const { url, username, password, tls } = input;
  return {
    url: new Secret(url),
    username,
    password: password && readForReport(resolveSource(password, folder), ['redis', 'password'], env, report),
    tls: tls && { ca: tls.ca && readCertificate(resolve(folder, tls.ca.file), report) },
  };
}

function readCertificate(path: string, report: Report): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    report({
      path: ['redis', 'tls', 'ca', 'file'],
      message: `the file named here ${explainFileError(error)}`,
    });
    return undefined;
  }
}
