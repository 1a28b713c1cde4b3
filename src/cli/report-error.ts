import { CommanderError } from 'commander';
import { ERROR_EXIT_CODES, type ErrorCode, EvertokenError } from '../core/errors.ts';

/** An error as it is shown: never with a stack trace or a cause. */
interface Shown {
  /** `UNEXPECTED`: evertoken's own fault. */
  readonly code: ErrorCode | 'UNEXPECTED';
  readonly message: string;
  readonly exitCode: number;
}

/** Tells on stderr what ended a command, with `json` as `{"error":{"code","message"}}`. Gives the exit code. */
export function reportError(error: unknown, json: boolean): number {
  if (error instanceof CommanderError && isHelp(error))
    return error.exitCode === 0 ? 0 : ERROR_EXIT_CODES.USAGE;
  const { code, message, exitCode } = shownAs(error);
  process.stderr.write(
    json ? `${JSON.stringify({ error: { code, message } })}\n` : `evertoken: ${message}\n`,
  );
  return exitCode;
}

/** commander has printed the help or the version already; asked for nothing at all, it fails with the help. */
const isHelp = ({ code, exitCode }: CommanderError): boolean => exitCode === 0 || code === 'commander.help';

function shownAs(error: unknown): Shown {
  if (error instanceof EvertokenError)
    return { code: error.code, message: error.message, exitCode: error.exitCode };
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '').trim();
    return { code: 'USAGE', message, exitCode: ERROR_EXIT_CODES.USAGE };
  }
  const message = error instanceof Error ? error.message : 'something that is not an error was thrown';
  const advice = 'this is a bug in evertoken: please report it, with the command that you gave';
  return { code: 'UNEXPECTED', message: `${message}\n${advice}`, exitCode: 1 };
}
