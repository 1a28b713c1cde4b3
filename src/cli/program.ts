import { Command, Option } from 'commander';
import {
  ALL_OPTION,
  BY_OPTION,
  CONFIG_OPTION,
  define,
  does,
  type Finish,
  JSON_OPTION,
  SELECT,
} from './define.ts';
import { durationArgument, momentArgument } from './flags.ts';
import { reportError } from './report-error.ts';
import { readVersion } from './version.ts';

const EXIT_CODES = `
Exit codes: 0 well, 1 failed, 2 bad usage or configuration, 3 not there.`;

/** Runs one command line and gives its exit code. Whatever goes wrong is told on stderr. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return reportError(error, args.includes('--json'));
  }
}

/**
 * The whole surface in one place. Every action loads its command when it runs, because most of what a command
 * needs takes longer to load than the command to run.
 */
function buildProgram(finish: Finish): Command {
  const program = new Command('evertoken')
    .description('Keeps OAuth 2.0 client-credentials tokens fresh in Redis.')
    .version(readVersion(), '--version', 'print the version')
    .option(...CONFIG_OPTION)
    .option(...JSON_OPTION)
    // `demo`, `mock-idp` and `simulate` have options of their own with these names.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', EXIT_CODES);
  addDaemonCommands(program, finish);
  addLookingCommands(program, finish);
  addOrderCommands(program, finish);
  addDelegatedCommands(program, finish);
  return program;
}

function addDaemonCommands(program: Command, finish: Finish): void {
  define(program, 'start', 'run the daemon until SIGTERM or SIGINT', ['start', 'start --role worker'])
    .addOption(
      new Option('--role <role>', 'scheduler: decides and hands out; worker: refreshes')
        .choices(['all', 'scheduler', 'worker'])
        .default('all'),
    )
    .option('--strict', 'refuse to start where an outage target is not held; else the best window is used')
    .action(async (_flags: object, command: Command) => {
      // The daemon goes on when nobody reads its log.
      const { runStart } = await import('./commands/start.ts');
      finish(await runStart(command.optsWithGlobals()));
    });
  define(program, 'check', 'check the configuration, what it asks of the endpoints, and Redis', [
    'check',
    'check --schema > evertoken.schema.json',
  ])
    .option('--schema', 'print the JSON Schema of the configuration, for editors')
    .action(does(finish, async () => (await import('./commands/check.ts')).runCheck));
}

function addLookingCommands(program: Command, finish: Finish): void {
  define(program, 'status', 'show the fleet: processes, hosts, gates and how the targets are', [
    'status',
    'status --json | jq .targets',
  ]).action(does(finish, async () => (await import('./commands/status.ts')).runStatus));
  define(program, 'targets', 'list the targets that are managed', [
    'targets',
    "targets 'billing/*/graph' --json",
  ])
    .argument('[select]', `${SELECT} (default: all)`)
    .action(does(finish, async () => (await import('./commands/targets.ts')).runTargets));
  define(
    program,
    'get',
    'print the access token of a target; --json prints the record as consumers read it',
    [
      'get billing/contoso.onmicrosoft.com/graph',
      'get billing/contoso.onmicrosoft.com/graph --json | jq .expires_at',
    ],
  )
    .argument('<target>', 'client/tenant/resource')
    .action(does(finish, async () => (await import('./commands/get.ts')).runGet));
  define(
    program,
    'explain',
    'say why a token is as it is, what happens next, and who can mend what is wrong',
    ['explain billing/contoso.onmicrosoft.com/graph'],
  )
    .argument('<target>', 'client/tenant/resource')
    .action(does(finish, async () => (await import('./commands/explain.ts')).runExplain));
}

function addOrderCommands(program: Command, finish: Finish): void {
  define(program, 'refresh', 'refresh targets that are due, or with --force whatever their plan says', [
    "refresh 'billing/*/graph' --force --reason 'secret rotated' --wait",
    "refresh '*' --all",
  ])
    .argument('<select>', SELECT)
    .option('--force', 'refresh also what is fresh or waits after a failure')
    .option(...ALL_OPTION)
    .option(...BY_OPTION)
    .option('--reason <text>', 'why, for the record')
    .option('--wait', 'wait for what becomes of each target')
    .addOption(
      new Option('--timeout <duration>', 'with --wait: how long')
        .default(60_000, '60s')
        .argParser(durationArgument),
    )
    .action(does(finish, async () => (await import('./commands/refresh.ts')).runRefresh));
  define(program, 'pause', 'hold back the refreshing of targets; tokens that are there stay', [
    "pause 'billing/*/graph' --for 30m",
    "pause '*' --all --until 2026-11-22T18:00Z",
  ])
    .argument('<select>', SELECT)
    .addOption(
      new Option('--for <duration>', 'how long, at most 24h (default: 1h)')
        .argParser(durationArgument)
        .conflicts('until'),
    )
    .addOption(new Option('--until <moment>', 'until when, ISO 8601').argParser(momentArgument))
    .option(...ALL_OPTION)
    .option(...BY_OPTION)
    .action(does(finish, async () => (await import('./commands/pause.ts')).runPause));
  define(program, 'resume', 'end a pause', ["resume 'billing/*/graph'"])
    .argument('<select>', 'the select that the pause was made with')
    .option(...BY_OPTION)
    .action(does(finish, async () => (await import('./commands/pause.ts')).runResume));
  define(program, 'purge', 'delete tokens now, for an incident; new ones are fetched at once', [
    "purge 'billing/contoso.onmicrosoft.com/*'",
  ])
    .argument('<select>', SELECT)
    .option(...ALL_OPTION)
    .option('--yes', 'do not ask')
    .option(...BY_OPTION)
    .action(does(finish, async () => (await import('./commands/purge.ts')).runPurge));
  define(program, 'add', 'manage tenants of a client beside those that are configured', [
    'add billing contoso.onmicrosoft.com fabrikam.onmicrosoft.com',
  ])
    .argument('<client>', 'a configured client')
    .argument('<tenant...>', 'tenants')
    .option(...BY_OPTION)
    .action(does(finish, async () => (await import('./commands/tenants.ts')).runAdd));
  define(program, 'remove', 'no longer manage tenants of a client, and delete their tokens', [
    'remove billing contoso.onmicrosoft.com',
    'remove billing --absent',
  ])
    .argument('<client>', 'a configured client')
    .argument('[tenant...]', 'tenants')
    .option(
      '--absent',
      'those that are still managed though the configuration no longer names them: confirms a large removal',
    )
    .option(...BY_OPTION)
    .action(does(finish, async () => (await import('./commands/tenants.ts')).runRemove));
}

/** Commands that other folders define, with their options. A new one has its line here. */
function addDelegatedCommands(program: Command, finish: Finish): void {
  delegate(
    program,
    finish,
    'demo',
    'show the daemon at work on this machine, with everything it needs',
    async () => (await import('../demo/command.ts')).demoCommand(),
  );
  delegate(
    program,
    finish,
    'mock-idp',
    'run an authorization server for tests and demonstrations',
    async () => (await import('../mock-idp/main.ts')).mockIdpCommand(),
  );
  delegate(
    program,
    finish,
    'simulate',
    'try targets, limits and outages on a virtual clock: what a day brings, in seconds',
    async () => (await import('../simulate/command.ts')).simulateCommand(),
  );
}

/** Leaves everything after the command's name to a command that is loaded only now, its `--help` included. */
function delegate(
  program: Command,
  finish: Finish,
  name: string,
  description: string,
  load: () => Promise<Command>,
): void {
  program
    .command(name)
    .description(description)
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[options...]')
    .usage('[options]')
    .action(async (args: string[]) => {
      const command = (await load()).name(`evertoken ${name}`).copyInheritedSettings(program);
      process.exitCode = undefined;
      const isJson = program.opts<{ json?: boolean }>().json === true;
      await command.parseAsync(isJson ? ['--json', ...args] : args, { from: 'user' });
      finish(Number(process.exitCode ?? 0));
    });
}
