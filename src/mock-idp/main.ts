import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ERROR_EXIT_CODES, EvertokenError } from '../core/errors.ts';
import type { Behaviour } from './behaviour.ts';
import { type Clients, type MockClient, parseClients } from './clients.ts';
import { readSetting, type SettingName } from './control.ts';
import { parseJson, readInput } from './input.ts';
import { DEMO_CLIENT, MODES, parseClient, parsePort, parseWord, SIGNINGS, type Signing } from './options.ts';
import { parseScenario, type Step } from './scenario.ts';
import { startMockIdp } from './server.ts';

type SettingFlags = { readonly [Name in SettingName]?: Partial<Behaviour> };

interface Flags extends Omit<SettingFlags, 'clients'> {
  readonly port: number;
  readonly client: readonly MockClient[] | undefined;
  readonly clients: Clients | undefined;
  readonly scenario: readonly Step[] | undefined;
  readonly signing: Signing;
  readonly exitWithParent: boolean | undefined;
}

/** Flags that set what `POST /control` sets by the same name in camelCase. */
const SETTING_FLAGS = [
  ['lifetime', '--lifetime <duration>', "tokens' lifetime, or a range as 50s..70s (default: 60s)"],
  ['refreshIn', '--refresh-in <share>', 'answer with refresh_in, this share of expires_in, as 50%'],
  ['delay', '--delay <duration>', 'wait before each answer (default: 0)'],
  ['mode', '--mode <mode>', `${MODES.join(', ')} (default: ok)`],
  ['share', '--share <share>', 'how many of the requests meet the mode (default: 100%)'],
  ['rate', '--rate <rate>', 'token requests that the server takes, as 100/s (default: any number)'],
  ['tenantRate', '--tenant-rate <rate>', 'the same for each client in each tenant'],
  ['loop', '--loop <rate>', 'so many identical requests are a loop, as 15/5m (default: none are)'],
  ['retryAfter', '--retry-after <duration>', 'Retry-After of each 429, or none (default: 60s)'],
  ['grace', '--grace <duration>', 'how long after a 429 requests may still be under way (default: 500ms)'],
] as const satisfies readonly (readonly [SettingName, string, string])[];

/**
 * The command `mock-idp`, to be run by itself or mounted into another command line. Its action prints one line
 * of JSON, `{"listening":"http://127.0.0.1:PORT"}`, and one for each step of a scenario, and lasts until SIGTERM,
 * SIGINT or, with `--exit-with-parent`, the end of standard input. Throws `LISTEN_FAILED`.
 */
export function mockIdpCommand(): Command {
  const command = new Command('mock-idp')
    .description('run an authorization server for tests and demonstrations, on a loopback port')
    .option('--port <port>', 'port to listen on; 0 takes a free one', argument(parsePort), 0)
    .option(
      '--client <id:secret>',
      `a client to accept; repeatable (default: ${DEMO_CLIENT.clientId}:${DEMO_CLIENT.secret})`,
      collectClient,
    )
    .addOption(
      new Option(
        '--clients <file>',
        'JSON: clients with secrets, certificates, keys and federated identities',
      )
        .argParser(argument((file) => readInput(file, (text) => parseClients(parseJson(text)))))
        .conflicts('client'),
    );
  for (const [name, flags, description] of SETTING_FLAGS)
    command.option(
      flags,
      description,
      argument((text) => readSetting(name, text)),
    );
  return command
    .option(
      '--scenario <file>',
      'JSON or YAML: how all of this changes while it runs',
      argument((file) => readInput(file, parseScenario)),
    )
    .option(
      '--signing <kind>',
      `${SIGNINGS.join(', ')} (a signature that verifies nowhere, and costs nothing)`,
      argument((text) => parseWord(SIGNINGS, text)),
      'es256',
    )
    .option('--exit-with-parent', 'end when standard input does')
    .option('--json', 'as every command has it; what this one prints is JSON in any case')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { port, client, clients, scenario, signing, exitWithParent } = flags;
  const server = await startMockIdp({
    port,
    signing,
    ...(client && { clients: client }),
    ...(clients && { registered: clients }),
    ...(scenario && { scenario }),
    behaviour: Object.assign({}, ...SETTING_FLAGS.map(([name]) => flags[name])),
    onStep: (event, { index, at }) => print({ [event]: index, at }),
  });
  const ended = endOfRun(exitWithParent === true);
  print({ listening: server.url });
  await ended;
  await server.close();
}

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function endOfRun(withParent: boolean): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      process.stdin.destroy();
      resolve();
    };
    process.once('SIGTERM', end).once('SIGINT', end);
    if (withParent) process.stdin.once('end', end).once('error', end).resume();
  });
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

/** Not by way of commander, which would print the argument: it may be a secret. */
function collectClient(text: string, before: readonly MockClient[] | undefined): readonly MockClient[] {
  return [...(before ?? []), parseClient(text)];
}

if (import.meta.main) {
  try {
    await mockIdpCommand().exitOverride().parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
}

/** commander has already said what is wrong with the usage. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ERROR_EXIT_CODES.USAGE;
  if (!(error instanceof EvertokenError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  return error.exitCode;
}
