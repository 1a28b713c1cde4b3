import { type Logger, pino } from 'pino';

export type { Logger };

/** What an error may say in a log line: never its cause's text, never properties that a library hung onto it. */
function describeError(error: unknown): { type: string; code?: string; message: string } {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  // Redis repeats the arguments of a command that it does not know, and they may hold a token.
  const message = error.message.replace(/, with args beginning with.*$/s, '');
  return { type: error.name, ...code, message };
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** The level that `EVERTOKEN_LOG_LEVEL` names; `info` where it names none. */
export function logLevel(env: Readonly<Record<string, string | undefined>>): string {
  const wanted = env.EVERTOKEN_LOG_LEVEL ?? '';
  return LEVELS.some((level) => level === wanted) ? wanted : 'info';
}

/**
 * JSON lines on stdout. Fields are chosen one by one where they are logged, and secrets cannot print themselves;
 * the redaction here is the backstop.
 */
export function createLogger(level: string, base: Readonly<Record<string, string>>): Logger {
  return pino({
    level,
    base: { ...base, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError, error: describeError },
    redact: {
      paths: [
        'access_token',
        'client_secret',
        'client_assertion',
        'passphrase',
        'password',
        'authorization',
        '*.access_token',
        '*.client_secret',
        '*.client_assertion',
        '*.passphrase',
      ],
      censor: '[secret]',
    },
  });
}
