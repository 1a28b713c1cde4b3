import { flushOutput } from './output.ts';
import { runProgram } from './program.ts';

const exitCode = await runProgram(process.argv.slice(2));
await flushOutput();
// What a command may have left open (a connection that still tries to come about) must not keep the process.
process.exit(exitCode);
