import type { ClientAuthentication, ClientTls } from '../core/client-authentication.ts';
import type { Problem } from '../core/failure.ts';

/** A credential that can be used. */
export interface AtHand {
  /** 8 characters; the same for as long as the credential is the same. */
  readonly fingerprint: string;
  readonly authenticate: ClientAuthentication;
  /** With what the connection itself has to prove the client; undefined: the usual connection. */
  readonly tls: ClientTls | undefined;
  /** When it ends, epoch ms, where that is known and an operator has to do something about it. */
  readonly endsAt: number | undefined;
  /** Whether a clock can be the reason why it is refused, and a new signature the remedy. */
  readonly signsAssertions: boolean;
}

/** A credential as it was read, and when it can be used, epoch ms. */
export interface Loaded {
  readonly atHand: AtHand;
  readonly from: number;
  readonly until: number;
  /** What is wrong with it from `until` on. */
  readonly ended: Problem;
}

/** What is wrong with a credential, as the end of a sentence. Holds nothing of the credential itself. */
export interface Trouble {
  readonly problem: Problem;
  readonly detail: string;
}

/** What never ends by itself. */
export const always = (atHand: AtHand): Loaded => ({
  atHand,
  from: Number.NEGATIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
  ended: 'credential unreadable',
});

export function timeTrouble({ from, until, ended }: Loaded, now: number): Trouble | undefined {
  if (now < from) {
    return { problem: 'certificate not yet valid', detail: `it is valid from ${formatTime(from)}` };
  }
  return now >= until ? { problem: ended, detail: `it ended at ${formatTime(until)}` } : undefined;
}

/** A certificate may name any year. */
function formatTime(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? 'an unknown time' : date.toISOString().replace('.000Z', 'Z');
}
