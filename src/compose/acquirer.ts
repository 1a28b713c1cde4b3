import { randomUUID } from 'node:crypto';
import type { Client, Target } from '../core/client.ts';
import { classify, type Problem } from '../core/failure.ts';
import { CredentialError } from '../credentials/credential-error.ts';
import type { Entry, Keyring } from '../credentials/keyring.ts';
import { acquire } from '../oauth/acquire.ts';
import type { TokenEndpoint } from '../oauth/endpoint.ts';
import type { Acquired, AcquireOptions, AcquirePort, CredentialAtHand } from '../refresh/ports.ts';

/** Brings credentials and the wire together. */
export class Acquirer implements AcquirePort {
  readonly #endpoint: TokenEndpoint;
  readonly #keyring: Keyring;

  constructor(endpoint: TokenEndpoint, keyring: Keyring) {
    this.#endpoint = endpoint;
    this.#keyring = keyring;
  }

  async atHand(client: Client): Promise<readonly CredentialAtHand[]> {
    return (await this.#keyring.of(client)).map(toCredentialAtHand);
  }

  async request(target: Target, fingerprint: string, options: AcquireOptions): Promise<Acquired> {
    const requestId = randomUUID();
    const entries = await this.#keyring.of(target.client);
    const atHand = entries.find((entry) => entry.atHand?.fingerprint === fingerprint)?.atHand;
    // Replaced since it was chosen: the next request is sent with what has come in its place.
    if (atHand === undefined) return unsent(requestId, 'credential unreadable');
    const { authenticate, tls, signsAssertions } = atHand;
    try {
      return await acquire(this.#endpoint, target, authenticate, {
        ...options,
        requestId,
        tls,
        signsAssertions,
      });
    } catch (error) {
      if (error instanceof CredentialError) return unsent(requestId, error.problem);
      throw error;
    }
  }
}

const unsent = (requestId: string, problem: Problem): Acquired => ({
  ok: false,
  requestId,
  failure: classify({ answeredBy: 'unsent', problem }),
  signAgain: false,
});

const toCredentialAtHand = ({ atHand, problem }: Entry): CredentialAtHand =>
  atHand === undefined
    ? { problem: problem ?? 'credential unreadable' }
    : { fingerprint: atHand.fingerprint };
