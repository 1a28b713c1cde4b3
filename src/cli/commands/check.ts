import { Catalogue } from '../../config/catalogue.ts';
import type { Config } from '../../config/config.ts';
import { configJsonSchema } from '../../config/schema.ts';
import { hostOf } from '../../config/wire.ts';
import { formatDuration } from '../../core/duration.ts';
import { ERROR_EXIT_CODES, EvertokenError } from '../../core/errors.ts';
import { displayAddress } from '../../store/connection.ts';
import {
  CREDENTIAL_COLUMNS,
  type CredentialChecked,
  checkCredentials,
  credentialProblems,
  credentialWarnings,
} from '../credential-check.ts';
import {
  type ClientDemand,
  demandOf,
  demandOfHosts,
  type HostDemand,
  problemsOf,
  rateText,
} from '../feasibility.ts';
import type { CommonFlags } from '../flags.ts';
import { isColourful, print, printJson } from '../output.ts';
import { checkedServer } from '../session.ts';
import { loadSettings } from '../settings.ts';
import { type Column, paint, renderTable } from '../table.ts';

interface CheckFlags extends CommonFlags {
  readonly schema?: boolean;
}

/** What `check --json` prints. */
interface Checked {
  readonly file: string;
  readonly namespace: string;
  readonly redis: RedisChecked;
  readonly credentials: readonly CredentialChecked[];
  readonly clients: readonly ClientDemand[];
  readonly hosts: readonly HostDemand[];
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

interface RedisChecked {
  readonly address: string;
  /** Undefined where it is well. */
  readonly error?: { readonly code: string; readonly message: string; readonly exitCode: number };
}

/** Checks everything that can be checked without asking for a token. */
export async function runCheck(flags: CheckFlags): Promise<number> {
  if (flags.schema === true) {
    printJson(configJsonSchema());
    return 0;
  }
  const checked = await check(loadSettings(flags, { checkCredentials: 'each' }));
  if (flags.json === true) printJson(checked);
  else print(render(checked, isColourful(process.stdout)));
  const isUnusable = checked.credentials.some(({ problem }) => problem !== undefined);
  return Math.max(
    checked.redis.error?.exitCode ?? 0,
    isUnusable ? ERROR_EXIT_CODES.CREDENTIAL_UNREADABLE : 0,
    checked.problems.length > 0 ? 1 : 0,
  );
}

async function check(config: Config): Promise<Checked> {
  const clients = config.clients.map((client) => demandOf(client, hostOf(client.endpoint)));
  const hosts = demandOfHosts(clients, new Catalogue(config.clients).hosts());
  const credentials = await checkCredentials(config, process.env);
  const { redis, warnings } = await checkRedis(config);
  return {
    ...{ file: config.file, namespace: config.namespace, redis, credentials, clients, hosts },
    problems: [...credentialProblems(credentials), ...problemsOf(clients, hosts)],
    warnings: [
      ...warnings,
      ...credentialWarnings(credentials, Date.now()),
      ...clients.filter(isShortLived).map(explainShortLife),
    ],
  };
}

async function checkRedis(config: Config): Promise<{ redis: RedisChecked; warnings: string[] }> {
  const address = displayAddress(config.redis);
  try {
    const { warnings } = await checkedServer(config);
    return { redis: { address }, warnings: warnings.map(({ message }) => message) };
  } catch (error) {
    if (!(error instanceof EvertokenError)) throw error;
    const { code, message } = error;
    return { redis: { address, error: { code, message, exitCode: ERROR_EXIT_CODES[code] } }, warnings: [] };
  }
}

const isShortLived = ({ survivesMs, outageTargetMs }: ClientDemand): boolean => survivesMs < outageTargetMs;

function explainShortLife({ client, expectLifetimeMs, survivesMs, outageTargetMs }: ClientDemand): string {
  return `client ${client}: tokens that live ${formatDuration(expectLifetimeMs)} outlive an outage of ${formatDuration(survivesMs)}, not of ${formatDuration(outageTargetMs)} (refresh.outageTarget)`;
}

function render(
  { file, namespace, redis, credentials, clients, hosts, problems, warnings }: Checked,
  colour: boolean,
): string {
  return [
    `Configuration ${file} can be read. Namespace ${namespace}.`,
    redis.error === undefined
      ? `Redis at ${redis.address} answers.`
      : paint(`Problem: ${redis.error.message}`, 'red', colour),
    '',
    renderTable(CREDENTIAL_COLUMNS, credentials, { colour }),
    '',
    renderTable(CLIENT_COLUMNS, clients, { colour }),
    '',
    renderTable(HOST_COLUMNS, hosts, { colour }),
    '',
    ...warnings.map((warning) => paint(`Warning: ${warning}`, 'yellow', colour)),
    ...problems.map((problem) => paint(`Problem: ${problem}`, 'red', colour)),
    ...(problems.length === 0 ? ['The limits suffice for what is configured.'] : []),
  ].join('\n');
}

const CLIENT_COLUMNS: readonly Column<ClientDemand>[] = [
  { title: 'CLIENT', cell: ({ client }) => client },
  { title: 'HOST', cell: ({ host }) => host },
  { title: 'TENANTS', align: 'right', cell: ({ tenants }) => `${tenants}` },
  { title: 'RESOURCES', align: 'right', cell: ({ resources }) => `${resources}` },
  { title: 'TARGETS', align: 'right', cell: ({ targets }) => `${targets}` },
  { title: 'LIFETIME', align: 'right', cell: ({ expectLifetimeMs }) => formatDuration(expectLifetimeMs) },
  {
    title: 'REFRESHED AFTER',
    cell: ({ window, expectLifetimeMs }) =>
      [window.earliest, window.latest].map((share) => formatDuration(share * expectLifetimeMs)).join(' to '),
  },
];

const HOST_COLUMNS: readonly Column<HostDemand>[] = [
  { title: 'HOST', cell: ({ host }) => host },
  { title: 'TARGETS', align: 'right', cell: ({ targets }) => `${targets}` },
  { title: 'REQUESTS', align: 'right', cell: ({ requestsPerSecond }) => rateText(requestsPerSecond) },
  { title: 'LIMIT', align: 'right', cell: ({ limitPerSecond }) => rateText(limitPerSecond) },
  {
    title: 'FITS',
    cell: (host) => (host.fits ? 'yes' : 'no'),
    style: (host) => (host.fits ? 'green' : 'red'),
  },
];
