import type { Command } from 'commander';
import type { CommonFlags } from './flags.ts';
import { endWhenNobodyReads } from './output.ts';

export const CONFIG_OPTION = [
  '-c, --config <file>',
  'the configuration (default: EVERTOKEN_CONFIG, else ./evertoken.yaml)',
] as const;
export const JSON_OPTION = [
  '--json',
  'print JSON, for programs; errors on stderr as {"error":{"code","message"}}',
] as const;
export const SELECT = 'targets as client/tenant/resource, with * and ? inside a segment';
export const ALL_OPTION = ['--all', 'allow * alone, which means every target'] as const;
export const BY_OPTION = ['--by <name>', 'who orders it, for the record (default: the user)'] as const;

/** Takes the exit code of a command. */
export type Finish = (exitCode: number) => void;

/** A command with the options that all have, and examples in its help. */
export function define(
  program: Command,
  usage: string,
  description: string,
  examples: readonly string[],
): Command {
  return program
    .command(usage)
    .description(description)
    .option(...CONFIG_OPTION)
    .option(...JSON_OPTION)
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ evertoken ${line}`).join('\n')}`);
}

/** An action that loads what it runs, reads flags from before and after the command's name, and gives the exit code. */
export function does<Flags extends CommonFlags, Args extends readonly unknown[]>(
  finish: Finish,
  load: () => Promise<(flags: Flags, ...args: Args) => Promise<number>>,
): (...given: readonly unknown[]) => Promise<void> {
  return async (...given) => {
    endWhenNobodyReads();
    const run = await load();
    const command = given.at(-1) as Command;
    // commander hands over the arguments, then the options and the command.
    finish(await run(command.optsWithGlobals<Flags>(), ...(given.slice(0, -2) as unknown as Args)));
  };
}
