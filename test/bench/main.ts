/**
 * `npm run bench -- [--only NAME] [--quick] [--json] [--profile FOLDER]`: a report of what evertoken costs. It
 * asserts nothing: absolute figures are the machine's, so each part measures a ratio within one run where it can.
 */
import { parseArgs } from 'node:util';
import { measureBoundedness } from './bounded.ts';
import { measureGates } from './gates.ts';
import { measureIdleTick } from './idle-tick.ts';
import { measureMemory } from './memory.ts';
import { measureOperatorLatency } from './operator.ts';
import { measurePipeline } from './pipeline.ts';
import { measureReconfiguring } from './reconfigure.ts';
import { asTable, type Findings, type Part, surroundings } from './report.ts';

const PARTS: Readonly<Record<string, Part>> = {
  pipeline: measurePipeline,
  memory: measureMemory,
  'idle-tick': measureIdleTick,
  gates: measureGates,
  operator: measureOperatorLatency,
  bounded: measureBoundedness,
  reconfigure: measureReconfiguring,
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      profile: { type: 'string' },
    },
  });
  const names = values.only ?? Object.keys(PARTS);
  const unknown = names.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0) {
    process.stderr.write(`expected --only ${Object.keys(PARTS).join(', ')}, but got ${unknown.join(', ')}\n`);
    return 2;
  }
  const say = (text: string): boolean => (values.json ? true : process.stdout.write(`${text}\n`));
  const where = surroundings();
  say(`evertoken bench: ${JSON.stringify(where)}`);
  const parts: Findings[] = [];
  for (const part of names) {
    const figures = await PARTS[part]?.({ quick: values.quick, profile: values.profile });
    const findings = { part, figures: figures ?? [] };
    parts.push(findings);
    say(`\n${asTable(findings)}`);
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ surroundings: where, parts }, undefined, 2)}\n`);
  return 0;
}

process.exitCode = await main();
