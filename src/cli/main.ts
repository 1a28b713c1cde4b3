import { flushOutput } from './output.ts';
import { runProgram } from './program.ts';
import { reportError } from './report-error.ts';

const args = process.argv.slice(2);
// What is thrown where nobody can catch it is told like any other error, and ends the process as it would have.
process.on('uncaughtException', (error) => process.exit(reportError(error, args.includes('--json'))));

const exitCode = await runProgram(args);
await flushOutput();
// What a command may have left open (a connection that still tries to come about) must not keep the process.
process.exit(exitCode);
