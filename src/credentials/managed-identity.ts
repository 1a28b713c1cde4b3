import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, ManagedIdentity } from '../core/client.ts';
import type { ClientAuthentication, Moment } from '../core/client-authentication.ts';
import { Secret } from '../core/secret.ts';
import { placeAssertion } from './assertion.ts';
import type { Azure, TokenSource } from './azure.ts';
import { CredentialError } from './credential-error.ts';

/** The endpoint of the machine answers in milliseconds, or is not there. */
const TIMEOUT_MS = 5000;
/** What a token must have left to be sent again. */
const SPARE_MS = 300_000;

interface Held {
  readonly jwt: Secret;
  readonly expiresAt: number;
}

/** Sends the token of a managed identity as the assertion. It is asked for when it is needed, and kept until shortly before its end. */
export async function managedIdentityAssertion(
  client: Pick<Client, 'clientId' | 'grant'>,
  identity: ManagedIdentity,
  azure: Azure,
): Promise<ClientAuthentication> {
  const source = await azure.managedIdentity(identity);
  let held: Held | undefined;
  let asking: Promise<Held> | undefined;

  const fresh = async (): Promise<Held> => {
    try {
      held = await ask(source, `${identity.audience}/.default`);
      return held;
    } finally {
      asking = undefined;
    }
  };
  const take = async ({ now, signAgain }: Moment): Promise<Held> => {
    if (held && !signAgain && now < held.expiresAt - SPARE_MS) return held;
    // Requests that need it at the same time share one question.
    asking ??= fresh();
    try {
      return await asking;
    } catch (error) {
      if (held && now < held.expiresAt) return held;
      throw error;
    }
  };

  return async (request, moment) => placeAssertion(request, client, (await take(moment)).jwt);
}

async function ask(source: TokenSource, scope: string): Promise<Held> {
  const giveUp = new AbortController();
  const tooLate = sleep(TIMEOUT_MS, 'too late' as const, { signal: giveUp.signal }).catch(() => null);
  // What the SDK says may hold anything.
  const answer = source.getToken(scope).catch(() => null);
  const token = await Promise.race([answer, tooLate]);
  giveUp.abort();
  if (token === 'too late') throw unavailable(`gave no token within ${TIMEOUT_MS / 1000} s`);
  if (token === null) throw unavailable('gave no token');
  return { jwt: new Secret(token.token), expiresAt: token.expiresOnTimestamp };
}

const unavailable = (what: string): CredentialError =>
  new CredentialError('managed identity unavailable', `the managed identity of this machine ${what}`);
