import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import {
  MOST_TARGETS,
  parseCount,
  parseCrash,
  parseIdentical,
  parseLatencyMs,
  parseLifetimes,
  parseOutage,
  parsePerSecond,
  parseRetryAfterMs,
  parseRunMs,
  parseShare,
  parseSpanMs,
  parseTenantThrottle,
} from './arguments.ts';
import { type Flags, scenarioOf } from './flags.ts';
import { simulate } from './run.ts';
import { summarise } from './summary.ts';
import { renderSvg } from './svg.ts';
import { describe } from './text.ts';

const MOST_DAEMONS = 100;
const MOST_SEED = 999_999_999;
const COLUMNS_DEFAULT = 100;

const HELP = `
What is simulated: the daemons' own policy (when, whether now, in which order, how fast) on a virtual clock, against an
authorization server with one token endpoint. The same options give the same run.

Figures of --json, times in seconds:
  calls                requests that the server saw
  failedCalls          those that gave no token, throttled ones included
  throttledCalls       those that were answered by 429
  expiredTokenMinutes  time without a live token where there had been one, over all targets
  shortestLifeSeconds  the least life that any token had left before the next one came
  peakPerSecond        the most calls in any second, wherever it begins
  meanPerSecond        calls over the whole run
  recoverySeconds      from the end of an outage until every target that was due at that moment has been refreshed;
                       tenants that refuse for a reason of their own are left out; of several outages the longest;
                       null without an outage, or where the run ends before
  window               [earliest, latest] share of the life at which a token is refreshed; with several lifetimes,
                       such a pair for each

Examples:
  $ evertoken simulate --targets 20000 --lifetime 1h --idp-rate 30 --outage 25m@2h --for 8h
  $ evertoken simulate --lifetime 5m:2000,24h:18000 --outage 25m@2h:hangs --crash 1@2h+5m --svg run.svg
  $ evertoken simulate --targets 100000 --start cold --idp-rate 100 --for 2h --json | jq .recoverySeconds`;

/**
 * The command `simulate`, to be mounted into a command line. Its action prints what a run has shown. Throws `USAGE` for
 * what cannot be, such as an outage after the end of the run.
 */
export function simulateCommand(): Command {
  const command = new Command('simulate').description(
    'try targets, limits and outages on a virtual clock: what a day brings, in seconds',
  );
  addWhatIsKept(command);
  addTheServer(command);
  addTheFleet(command);
  return command
    .option('--for <duration>', 'how long, at most 31d (default: 8h)', argument(parseRunMs))
    .option('--seed <n>', 'for the random draws', count(MOST_SEED, 0), 1)
    .option('--svg <file>', 'write a picture: requests a second, fresh share and shortest life over time')
    .option('--json', 'print the figures as JSON')
    .addHelpText('after', HELP)
    .action(run);
}

function addWhatIsKept(command: Command): void {
  command
    .option('--targets <n>', 'how many targets (default: 20000, or as --lifetime says)', count(MOST_TARGETS))
    .option(
      '--lifetime <life>',
      'of the tokens: 1h; a range to draw from, 60m..90m; with numbers of targets, 5m:2000,24h:18000 (default: 1h)',
      argument(parseLifetimes),
    )
    .option('--tenants <n>', 'tenants of each client (default: one for ten targets)', count(MOST_TARGETS))
    .option('--clients <n>', 'clients, whose tenants are the same', count(1000), 1)
    .option(
      '--start <how>',
      'warm: every target has a token, as after days of running; cold: none has',
      warmOrCold,
      'warm',
    )
    .option(
      '--issued-within <duration>',
      'warm, and all tokens were issued within this time before the start, as after a cold start',
      argument(parseSpanMs),
    );
}

function addTheServer(command: Command): void {
  command
    .option(
      '--idp-rate <n>',
      'requests a second that the server can take, with a burst of one second; more is answered by 429',
      argument(parsePerSecond),
      30,
    )
    .option(
      '--retry-after <duration>',
      'Retry-After of such a 429, or none (default: 10s)',
      argument(parseRetryAfterMs),
    )
    .option('--latency <duration>', 'from a request to its answer (default: 100ms)', argument(parseLatencyMs))
    .option(
      '--outage <length@start>',
      '25m@2h: down for 25 minutes after two hours; :refuses (default), :hangs or :unavailable may follow; repeatable',
      several(parseOutage),
    )
    .option(
      '--failing-tenants <n>',
      'so many tenants refuse always, for a reason of their own, and have no token from the start',
      count(MOST_TARGETS, 0),
      0,
    )
    .option(
      '--troubled-tenants <n>',
      "so many more get a gateway's error page (502) for every request, and have had tokens before",
      count(MOST_TARGETS, 0),
      0,
    )
    .option(
      '--retry-after-tenant <length@start>',
      '1h@2h: from then on one tenant answers 429 with Retry-After, for its own scope and for so long',
      argument(parseTenantThrottle),
    );
}

function addTheFleet(command: Command): void {
  command
    .option('--daemons <n>', 'processes that share the work', count(MOST_DAEMONS), 2)
    .option(
      '--crash <moment>',
      '2h, 1@2h, 1@2h+5m: a daemon (default: the first) is killed and comes back, after 30s if it is not said; repeatable',
      several(parseCrash),
    )
    .option(
      '--limit <n>',
      'our limits.perHost, requests a second (default: --idp-rate)',
      argument(parsePerSecond),
    )
    .option('--tenant-limit <n>', 'our limits.perTenant, requests a second', argument(parsePerSecond), 5)
    .option('--identical <rate>', 'our limits.identical (default: 5/5m)', argument(parseIdentical))
    .option(
      '--outage-target <duration>',
      'our refresh.outageTarget (default: the longest --outage, or 20m)',
      argument(parseSpanMs),
    )
    .option('--latest <share>', 'our refresh.latest (default: 0.75)', argument(parseShare));
}

function run(flags: Flags): void {
  const scenario = scenarioOf(flags);
  // A wrong path is told before the work.
  if (flags.svg !== undefined) writePicture(flags.svg, '');
  const done = simulate(scenario);
  if (flags.svg !== undefined) writePicture(flags.svg, renderSvg(done));
  const text = flags.json
    ? JSON.stringify(summarise(done), undefined, 2)
    : describe(done, process.stdout.columns ?? COLUMNS_DEFAULT);
  process.stdout.write(`${text}\n`);
}

function writePicture(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failure';
    throw new EvertokenError(
      'USAGE',
      `expected a file that can be written at "${printable(file)}" (${code})`,
    );
  }
}

/** commander prints a usage message for its own error class only. */
function argument<Value>(parse: (text: string) => Value): (text: string) => Value {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw error instanceof EvertokenError ? new InvalidArgumentError(error.message) : error;
    }
  };
}

function several<Value>(
  parse: (text: string) => Value,
): (text: string, before?: readonly Value[]) => readonly Value[] {
  return (text, before = []) => [...before, argument(parse)(text)];
}

function count(most: number, least = 1): (text: string) => number {
  return argument((text) => parseCount(text, most, least));
}

function warmOrCold(text: string): 'warm' | 'cold' {
  if (text === 'warm' || text === 'cold') return text;
  throw new InvalidArgumentError('expected warm or cold.');
}
