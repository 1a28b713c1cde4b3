import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Client } from '../core/client.ts';
import { EvertokenError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Environment } from '../credentials/source.ts';
import type { Config, RedisOptions } from './config.ts';
import { type CredentialCheck, credentialFindings, readForReport } from './credentials.ts';
import { configError, type Finding, type Report } from './diagnostics.ts';
import { readDocument } from './document.ts';
import { ConfigFiles, type Reading } from './files.ts';
import { findIdenticalRequests } from './identical.ts';
import { findingsOf, PARSE_OPTIONS } from './issues.ts';
import { resolveClient, type Surroundings } from './resolve.ts';
import { checkName } from './resolve-resources.ts';
import { type ConfigInput, configSchema, readableSections, type Sections } from './schema.ts';
import { clientSchema } from './schema-client.ts';
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
  /** Also read the credentials of all clients, and report those that cannot be read. Default: no. */
  readonly checkCredentials?: CredentialCheck | undefined;
}

/**
 * Reads and checks a configuration. Throws CONFIG_NOT_FOUND or CONFIG_UNREADABLE for the file, and for what
 * stands in it one error with all problems, a line each: CONFIG_INVALID, or CREDENTIAL_UNREADABLE where
 * nothing is wrong but that secrets cannot be read.
 */
export function loadConfig(file: string, env: Environment, options: LoadOptions = {}): Config {
  const loaded = tryLoadConfig(file, env, options);
  if ('config' in loaded) return loaded.config;
  throw loaded.error;
}

/** What came of loading, and of which files: of a broken configuration too, so that its repair can be noticed. */
export type Loaded = { readonly files: readonly string[]; readonly reading: Reading } & (
  | { readonly config: Config }
  | { readonly error: EvertokenError }
);

/** As `loadConfig`, with the error as a value. */
export function tryLoadConfig(file: string, env: Environment, options: LoadOptions = {}): Loaded {
  const files = new ConfigFiles(dirname(resolve(file)));
  const read = files.read(resolve(file));
  if ('problem' in read) return { ...recordOf(files), error: unreadable(file, read) };
  const document = readDocument(read.text);
  const findings: Finding[] = [];
  const settings = interpret(document.value, files, env, (finding) => findings.push(finding));
  if (settings && options.checkCredentials)
    findings.push(...credentialFindings(settings, env, options.checkCredentials));
  const record = recordOf(files);
  if (settings && findings.length === 0 && document.problems.length === 0)
    return { ...record, config: { file: resolve(file), ...record, ...settings } };
  return { ...record, error: configError(file, document, findings) };
}

const recordOf = (files: ConfigFiles): Pick<Loaded, 'files' | 'reading'> => ({
  files: files.paths,
  reading: files.reading,
});

function unreadable(file: string, { problem, cause }: { problem: string; cause: unknown }): EvertokenError {
  const code = problem === 'does not exist' ? 'CONFIG_NOT_FOUND' : 'CONFIG_UNREADABLE';
  return new EvertokenError(code, `the configuration ${file} ${problem}`, { cause });
}

type Settings = Omit<Config, 'file' | 'files' | 'reading'>;

function interpret(
  value: unknown,
  files: ConfigFiles,
  env: Environment,
  report: Report,
): Settings | undefined {
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
  const around: Surroundings = { files, env, sections: inputs, stated: statedKeys(asMapping(value)) };
  const clients = resolveClients(inputs.clients, around, report);
  const redis = resolveRedis(inputs.redis, files, env, report);
  if (!parsed.success) return undefined;
  const { http, namespace } = parsed.data;
  return { redis, namespace, http, clients };
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

/** The keys of refresh and limits that the file itself says; after parsing they look like defaults. */
const statedKeys = (value: Readonly<Record<string, unknown>>): Surroundings['stated'] =>
  new Set([value.refresh, value.limits].flatMap((section) => Object.keys(asMapping(section))));

function resolveClients(inputs: Inputs['clients'], around: Surroundings, report: Report): Client[] {
  const clients = Object.entries(inputs).flatMap(
    ([name, input]) => resolveClient(name, input, around, report) ?? [],
  );
  for (const finding of findIdenticalRequests(clients)) report(finding);
  return clients;
}

/** REDIS_URL replaces the whole setting, so that a password is never sent to another server than it is for. */
function resolveRedis(
  input: Sections['redis'],
  files: ConfigFiles,
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
    password: password && readForReport(localSource(password, files), ['redis', 'password'], env, report),
    tls: tls && { ca: tls.ca && readCertificate(tls.ca.file, files, report) },
  };
}

const localSource = (
  { env, file = '' }: { readonly env?: string | undefined; readonly file?: string | undefined },
  files: ConfigFiles,
): { readonly env: string } | { readonly file: string } =>
  env === undefined ? { file: files.absolute(file) } : { env };

function readCertificate(path: string, files: ConfigFiles, report: Report): string | undefined {
  const read = files.read(path);
  if ('text' in read) return read.text;
  report({ path: ['redis', 'tls', 'ca', 'file'], message: `the file named here ${read.problem}` });
  return undefined;
}
