import { simulateCommand } from '../../src/simulate/command.ts';
import { type Flags, scenarioOf } from '../../src/simulate/flags.ts';
import { type Run, type RunOptions, simulate } from '../../src/simulate/run.ts';
import type { Scenario } from '../../src/simulate/scenario.ts';
import { type Summary, summarise } from '../../src/simulate/summary.ts';

/** The scenario that a command line asks for. */
export function scenarioFrom(line: string): Scenario {
  let flags: Flags | undefined;
  simulateCommand()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .action((given: Flags) => {
      flags = given;
    })
    .parse(line.split(' ').filter(Boolean), { from: 'user' });
  if (flags === undefined) throw new Error('expected the action to be called');
  return scenarioOf(flags);
}

/** Runs what a command line asks for. */
export function run(line: string, options: RunOptions = {}): Run & { readonly summary: Summary } {
  const done = simulate(scenarioFrom(line), options);
  return { ...done, summary: summarise(done) };
}
