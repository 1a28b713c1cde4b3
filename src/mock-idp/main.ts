import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ERROR_EXIT_CODES, EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import { type Clients, type MockClient, parseClients } from './clients.ts';
import {
  DEMO_CLIENT,
  type Lifetime,
  parseClient,
  parseDelayMs,
  parseLifetime,
  parsePort,
  parseWord,
  SIGNINGS,
  type Signing,
} from './options.ts';
import { startMockIdp } from './server.ts';

interface Flags {
  readonly port: number;
  readonly lifetime: Lifetime | undefined;
  readonly client: readonly MockClient[] | undefined;
  readonly clients: Clients | undefined;
  readonly delay: number;
  readonly signing: Signing;
  readonly exitWithParent: boolean | undefined;
}

/**
 * The command `mock-idp`, to be run by itself or mounted into another command line. Its action prints one line
 * of JSON, `{"listening":"http://127.0.0.1:PORT"}`, and lasts until SIGTERM, SIGINT or, with
 * `--exit-with-parent`, the end of standard input. Throws `LISTEN_FAILED`.
 */
export function mockIdpCommand(): Command {
  return new Command('mock-idp')
    .description('run an authorization server for tests and demonstrations, on a loopback port')
    .option('--port <port>', 'port to listen on; 0 takes a free one', argument(parsePort), 0)
    .option(
      '--lifetime <duration>',
      "tokens' lifetime, or a range as 50s..70s (default: 60s)",
      argument(parseLifetime),
    )
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
        .argParser(argument(readClients))
        .conflicts('client'),
    )
    .option('--delay <duration>', 'wait before each answer', argument(parseDelayMs), 0)
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

async function run({
  port,
  lifetime,
  client,
  clients,
  delay,
  signing,
  exitWithParent,
}: Flags): Promise<void> {
  const server = await startMockIdp({
    port,
    ...(lifetime && { lifetime }),
    ...(client && { clients: client }),
    ...(clients && { registered: clients }),
    delayMs: delay,
    signing,
  });
  const ended = endOfRun(exitWithParent === true);
  process.stdout.write(`${JSON.stringify({ listening: server.url })}\n`);
  await ended;
  await server.close();
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

function collectClient(text: string, before: readonly MockClient[] | undefined): readonly MockClient[] {
  return [...(before ?? []), argument(parseClient)(text)];
}

function readClients(file: string): Clients {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // A parser's message shows a part of the text, which holds secrets.
    throw new EvertokenError('USAGE', `expected a file of JSON at "${printable(file)}"`);
  }
  return parseClients(value);
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
