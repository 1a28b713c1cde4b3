import { Command, InvalidArgumentError } from 'commander';
import { parseDurationMs } from '../core/duration.ts';
import { EvertokenError } from '../core/errors.ts';
import { type Lifetime, parseLifetime } from '../mock-idp/options.ts';
import { runDemo } from './run.ts';
import { MOST_RESOURCES, SHORTEST_LIFETIME_SECONDS } from './setting.ts';

interface Flags {
  readonly for?: number;
  readonly tenants: number;
  readonly resources: number;
  readonly lifetime?: Lifetime;
  readonly json?: boolean;
}

const MOST_TENANTS = 10_000;
const LONGEST_RUN_MS = 7 * 86_400_000;
const DEFAULT_LIFETIME: Lifetime = { minSeconds: 50, maxSeconds: 70 };

/**
 * The command `demo`, to be mounted into a command line: the whole daemon on private parts, with a consumer that
 * notices every token that is not there. Its action sets the exit code, 0 when no read was missed.
 */
export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'show the daemon at work on this machine: a private Redis, mock-idp, and a reader that counts',
    )
    .option('--for <duration>', 'end after this time, such as 30s (default: until Ctrl-C)', readRun)
    .option('--tenants <n>', `how many tenants, at most ${MOST_TENANTS}`, integer(MOST_TENANTS), 200)
    .option(
      '--resources <n>',
      `how many resources each, at most ${MOST_RESOURCES}`,
      integer(MOST_RESOURCES),
      3,
    )
    .option(
      '--lifetime <duration>',
      `of the tokens, or a range, from ${SHORTEST_LIFETIME_SECONDS}s up (default: 50s..70s)`,
      readLifetime,
    )
    .option('--json', 'print nothing but the summary on stdout, as JSON')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  process.exitCode = await runDemo({
    tenants: flags.tenants,
    resources: flags.resources,
    lifetime: flags.lifetime ?? DEFAULT_LIFETIME,
    forMs: flags.for,
    json: flags.json === true,
  });
}

function readRun(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms <= LONGEST_RUN_MS) return ms;
  throw new InvalidArgumentError('expected a duration of at most 7d, such as 30s.');
}

function readLifetime(text: string): Lifetime {
  const lifetime = parsed(text);
  if (lifetime.minSeconds >= SHORTEST_LIFETIME_SECONDS) return lifetime;
  throw new InvalidArgumentError(`expected at least ${SHORTEST_LIFETIME_SECONDS}s, such as 60s or 50s..70s.`);
}

function parsed(text: string): Lifetime {
  try {
    return parseLifetime(text);
  } catch (error) {
    // commander prints a usage message for its own error class only.
    throw error instanceof EvertokenError ? new InvalidArgumentError(error.message) : error;
  }
}

function integer(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
    throw new InvalidArgumentError(`expected a whole number from 1 to ${most}.`);
  };
}
