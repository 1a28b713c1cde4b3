/**
 * Every error that evertoken raises on purpose has one of these codes. They are stable: programs may rely on
 * them. The number is the exit code of a command that ends with the error: 2 is bad usage or configuration,
 * 1 is anything that is not the configuration's fault, 3 is "not there".
 */
export const ERROR_EXIT_CODES = {
  CONFIG_NOT_FOUND: 2,
  CONFIG_UNREADABLE: 2,
  CONFIG_INVALID: 2,
  CREDENTIAL_UNREADABLE: 2,
  USAGE: 2,
  SELECT_INVALID: 2,
  TARGET_INVALID: 2,
  LISTEN_FAILED: 1,
  REDIS_UNREACHABLE: 1,
  REDIS_AUTHENTICATION: 2,
  REDIS_UNSUPPORTED: 1,
  REDIS_MISSING: 1,
  OUTAGE_TARGET_NOT_HELD: 1,
  COMMAND_REFUSED: 1,
  COMMAND_UNANSWERED: 1,
  COMMAND_FAILED: 1,
  NOT_FOUND: 3,
  STATE_MALFORMED: 1,
} as const;

export type ErrorCode = keyof typeof ERROR_EXIT_CODES;

/**
 * The one error class. Its message says what was expected, what came and what to do; it never holds a secret
 * or a token, and neither may its cause.
 */
export class EvertokenError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'EvertokenError';
    this.code = code;
  }

  get exitCode(): number {
    return ERROR_EXIT_CODES[this.code];
  }
}
