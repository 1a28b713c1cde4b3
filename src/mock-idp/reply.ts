import type { RetryAfterForm } from './behaviour.ts';
import type { Throttled } from './limits.ts';
import { entraBody, type Flavour, inFlavour, LOOP, plainBody, type Refused, THROTTLED } from './refusal.ts';
import type { Message } from './wire.ts';

/** The answer to a token request, and what is recorded of it. */
export interface Reply extends Message {
  readonly credential?: string | undefined;
  readonly error?: number | string | undefined;
  readonly isIssued: boolean;
}

/** What a refusal is told in. `now`: epoch ms of the server's clock. */
export interface Telling {
  readonly flavour: Flavour;
  readonly clientRequestId: string | undefined;
  readonly now: number;
}

export function refusalReply(
  refusal: Refused,
  { flavour, clientRequestId, now }: Telling,
  credential?: string,
): Reply {
  const { status, error, code } = inFlavour(refusal, flavour);
  const known = { status, credential, isIssued: false };
  return flavour === 'oauth'
    ? { ...known, error, body: plainBody({ ...refusal, error }) }
    : { ...known, error: code, body: entraBody(refusal, clientRequestId, now) };
}

/** The whole server's limit answers with plain text, as whatever stands before a server does. */
export function throttledReply(
  { limit, retryAfterSeconds }: Throttled,
  form: RetryAfterForm,
  telling: Telling,
): Reply {
  const headers =
    retryAfterSeconds === undefined ? undefined : retryAfter(retryAfterSeconds, form, telling.now);
  if (limit !== 'rate') return { ...refusalReply(limit === 'loop' ? LOOP : THROTTLED, telling), headers };
  const plain = { body: 'Too Many Requests', contentType: 'text/plain; charset=utf-8' };
  return { status: 429, ...plain, headers, error: 'rate', isIssued: false };
}

/** A date has whole seconds, so it is a bit later rather than earlier. */
function retryAfter(seconds: number, form: RetryAfterForm, now: number): Readonly<Record<string, string>> {
  const date = new Date((Math.ceil(now / 1000) + seconds) * 1000);
  return { 'retry-after': form === 'date' ? date.toUTCString() : String(seconds) };
}
