import { randomUUID } from 'node:crypto';
import type { ViolationName } from './violations.ts';

/** Why there is no token, in OAuth's words and Entra's number. */
export interface Refused {
  readonly status: number;
  readonly error: string;
  readonly code: number;
  readonly description: string;
  /** Where no client must do what is refused. */
  readonly violation?: ViolationName | undefined;
}

/** How refusals are told: with Entra's numbers and ids, or with RFC 6749's words alone. */
export const FLAVOURS = ['entra', 'oauth'] as const;
export type Flavour = (typeof FLAVOURS)[number];

export const refused = (
  status: number,
  error: string,
  code: number,
  description: string,
  violation?: ViolationName,
): Refused => ({ status, error, code, description, violation });

/** RFC 6749 section 5.2: the client is not who it says, or does not prove it. */
export const invalidClient = (code: number, description: string, violation?: ViolationName): Refused =>
  refused(401, 'invalid_client', code, description, violation);

export const invalidRequest = (description: string, violation?: ViolationName): Refused =>
  refused(400, 'invalid_request', 900144, description, violation);

export const UNKNOWN_CLIENT = refused(
  400,
  'unauthorized_client',
  700016,
  'The application was not found in the directory.',
);
export const UNAVAILABLE = refused(
  503,
  'temporarily_unavailable',
  90033,
  'A transient error has occurred. Please try again.',
);
export const SERVER_ERROR = refused(500, 'server_error', 50000, 'There was an error issuing a token.');
export const THROTTLED = refused(
  429,
  'temporarily_unavailable',
  90055,
  'There are too many incoming requests. Please try again later.',
);
export const LOOP = refused(
  429,
  'temporarily_unavailable',
  50196,
  'The server terminated an operation because it encountered a client request loop.',
);
export const WRONG_METHOD = refused(
  405,
  'invalid_request',
  900561,
  'The endpoint only accepts POST requests.',
  'not-post',
);
export const TOO_LARGE = refused(413, 'invalid_request', 90014, 'The request is too large.', 'too-large');

/** The same refusal as a server tells it that knows only the RFC, where an unknown client is an invalid one. */
export function inFlavour(refusal: Refused, flavour: Flavour): Refused {
  return flavour === 'oauth' && refusal.code === UNKNOWN_CLIENT.code
    ? { ...refusal, status: 401, error: 'invalid_client' }
    : refusal;
}

/** RFC 6749 section 5.2. */
export function plainBody({ error, description }: Refused): string {
  return JSON.stringify({ error, error_description: description });
}

/**
 * The body that Entra sends with a refusal. The correlation id is the caller's own where it sent one.
 * `now`: epoch ms of the server's clock.
 */
export function entraBody(
  { error, code, description }: Refused,
  clientRequestId: string | undefined,
  now: number,
): string {
  const traceId = randomUUID();
  const correlationId = /^[0-9a-f-]{36}$/i.test(clientRequestId ?? '') ? clientRequestId : randomUUID();
  const timestamp = `${new Date(now).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  return JSON.stringify({
    error,
    error_description: `AADSTS${code}: ${description} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
    error_codes: [code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
  });
}
