import { READS_UNKNOWN, retiresUnread } from '../../compose/reads-watch.ts';
import { Catalogue } from '../../config/catalogue.ts';
import type { Config } from '../../config/config.ts';
import { configJsonSchema } from '../../config/schema.ts';
import { ERROR_EXIT_CODES, EvertokenError } from '../../core/errors.ts';
import type { ClientPlan, HostPlan, Life } from '../../core/feasibility.ts';
import { feasibilityProblems } from '../../core/feasibility-words.ts';
import { displayAddress } from '../../store/connection.ts';
import {
  CREDENTIAL_COLUMNS,
  type CredentialChecked,
  checkCredentials,
  credentialProblems,
  credentialWarnings,
} from '../credential-check.ts';
import { renderClientPlans, renderHostPlan } from '../feasibility.ts';
import type { CommonFlags } from '../flags.ts';
import { isColourful, print, printJson } from '../output.ts';
import { checkedServer, type Session, withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';
import { paint, renderTable } from '../table.ts';

interface CheckFlags extends CommonFlags {
  readonly schema?: boolean;
}

/** What `check --json` prints. */
interface Checked {
  readonly file: string;
  readonly namespace: string;
  readonly redis: RedisChecked;
  readonly credentials: readonly CredentialChecked[];
  readonly clients: readonly (ClientPlan & { readonly host: string })[];
  readonly hosts: readonly Omit<HostPlan, 'clients'>[];
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
  const { checked, plans } = await check(loadSettings(flags, { checkCredentials: 'each' }));
  if (flags.json === true) printJson(checked);
  else print(render(checked, plans, isColourful(process.stdout)));
  const isUnusable = checked.credentials.some(({ problem }) => problem !== undefined);
  return Math.max(
    checked.redis.error?.exitCode ?? 0,
    isUnusable ? ERROR_EXIT_CODES.CREDENTIAL_UNREADABLE : 0,
    checked.problems.length > 0 ? 1 : 0,
  );
}

async function check(config: Config): Promise<{ checked: Checked; plans: readonly HostPlan[] }> {
  const credentials = await checkCredentials(config, process.env);
  const { redis, warnings, catalogue, lives } = await askRedis(config);
  const plans = catalogue.replan(lives);
  const checked: Checked = {
    ...{ file: config.file, namespace: config.namespace, redis, credentials },
    clients: plans.flatMap(({ host, clients }) => clients.map((client) => ({ ...client, host }))),
    hosts: plans.map(({ clients: _, ...host }) => host),
    problems: [...credentialProblems(credentials), ...plans.flatMap(feasibilityProblems)],
    warnings: [...warnings, ...credentialWarnings(credentials, Date.now())],
  };
  return { checked, plans };
}

interface RedisAnswers {
  readonly redis: RedisChecked;
  readonly warnings: readonly string[];
  readonly catalogue: Catalogue;
  /** Of the clients whose tokens were seen. */
  readonly lives: ReadonlyMap<string, Life>;
}

/** Whether Redis is well, and what the fleet knows there that matters for the limits. */
async function askRedis(config: Config): Promise<RedisAnswers> {
  const address = displayAddress(config.redis);
  try {
    const { warnings } = await checkedServer(config);
    return await withSession(config, async (session) => ({
      redis: { address },
      warnings: [...warnings.map(({ message }) => message), ...(await readsWarnings(session))],
      catalogue: await session.catalogue(),
      lives: await session.lifetimes.read(),
    }));
  } catch (error) {
    if (!(error instanceof EvertokenError)) throw error;
    const { code, message } = error;
    return {
      redis: { address, error: { code, message, exitCode: ERROR_EXIT_CODES[code] } },
      ...{ warnings: [], catalogue: new Catalogue(config.clients), lives: new Map() },
    };
  }
}

async function readsWarnings({ config, states }: Session): Promise<string[]> {
  if (!retiresUnread(config.clients)) return [];
  const why = await states.whyReadsAreUnknown();
  return why === undefined ? [] : [`${READS_UNKNOWN} (${why})`];
}

function render(
  { file, namespace, redis, credentials, problems, warnings }: Checked,
  plans: readonly HostPlan[],
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
    renderClientPlans(plans, colour),
    '',
    ...plans.flatMap((plan) => [renderHostPlan(plan), '']),
    ...warnings.map((warning) => paint(`Warning: ${warning}`, 'yellow', colour)),
    ...problems.map((problem) => paint(`Problem: ${problem}`, 'red', colour)),
    ...(problems.length === 0 ? ['The limits suffice for what is configured.'] : []),
  ].join('\n');
}
