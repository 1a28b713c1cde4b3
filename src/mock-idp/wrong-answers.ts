import type { IncomingMessage } from 'node:http';
import type { Mode } from './options.ts';
import { type Refused, SERVER_ERROR, UNAVAILABLE } from './refusal.ts';
import type { Message } from './wire.ts';

/** A token response (RFC 6749 section 5.1) with Entra's additions. */
export interface TokenAnswer {
  readonly token_type: string;
  readonly expires_in: number;
  readonly ext_expires_in: number;
  readonly refresh_in?: number | undefined;
  readonly access_token: string;
}

/** The modes without an HTTP answer. */
export const UNANSWERED: Partial<Record<Mode, (request: IncomingMessage) => void>> = {
  hang: () => {},
  reset: (request) => request.socket.resetAndDestroy(),
};

/** The modes that refuse whatever is asked. */
export const REFUSALS: Partial<Record<Mode, Refused>> = {
  unavailable: UNAVAILABLE,
  'server-error': SERVER_ERROR,
};

/** Where a redirect leads to: nothing is there but somebody who counts. */
export const REDIRECT_PATH = '/redirected';

const PAGE =
  '<!DOCTYPE html><html><head><title>Proxy</title></head><body><h1>Something went wrong</h1></body></html>';
const HTML = { body: PAGE, contentType: 'text/html; charset=utf-8' };

/** The modes in which something else answers, whatever is asked. */
export const STRANGE: Partial<Record<Mode, Message>> = {
  empty: { status: 200, body: '' },
  html: { status: 200, ...HTML },
  'bad-gateway': { status: 502, ...HTML },
  redirect: { status: 302, body: '', headers: { location: REDIRECT_PATH } },
};

/** The modes that spoil what would have been a token. `isIssued`: the token is still in it. */
export const SPOILED: Partial<
  Record<Mode, { readonly write: (answer: TokenAnswer) => string; readonly isIssued: boolean }>
> = {
  truncated: {
    write: (answer) => {
      const json = JSON.stringify(answer);
      return json.slice(0, json.length / 2);
    },
    isIssued: false,
  },
  'no-token': { write: (answer) => JSON.stringify({ ...answer, access_token: undefined }), isIssued: false },
  'no-expiry': { write: (answer) => JSON.stringify({ ...answer, expires_in: undefined }), isIssued: true },
};
