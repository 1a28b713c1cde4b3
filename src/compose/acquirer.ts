import { randomUUID } from 'node:crypto';
import type { Client, Target } from '../core/client.ts';
import type { Failure } from '../core/failure.ts';
import { Secret } from '../core/secret.ts';
import { secretAuthentication } from '../credentials/secret.ts';
import { type Environment, findSecret } from '../credentials/source.ts';
import { acquire } from '../oauth/acquire.ts';
import type { TokenEndpoint } from '../oauth/endpoint.ts';
import type { Outcome } from '../oauth/response.ts';

/** Brings credentials and the wire together. Remembers for each client which of its credentials worked last. */
export class Acquirer {
  readonly #endpoint: TokenEndpoint;
  readonly #env: Environment;
  readonly #worked = new Map<string, number>();

  constructor(endpoint: TokenEndpoint, env: Environment) {
    this.#endpoint = endpoint;
    this.#env = env;
  }

  /** Which credentials to try for a target: the one that worked last, then the others in the configured order. */
  credentials({ client }: Target): number[] {
    const all = client.credentials.map((_credential, index) => index);
    const worked = this.#worked.get(client.name);
    return worked === undefined ? all : [worked, ...all.filter((index) => index !== worked)];
  }

  /** One HTTP request with one credential; its secret is read anew, so that a rotated file counts at once. */
  async request(
    target: Target,
    credential: number,
    options: { timeoutMs: number; now: number },
  ): Promise<Outcome> {
    const authentication = authenticationOf(target.client, credential, this.#env);
    if (authentication === undefined) return { ok: false, failure: UNREADABLE };
    const outcome = await acquire(this.#endpoint, target, authentication, {
      ...options,
      requestId: randomUUID(),
    });
    if (outcome.ok) this.#worked.set(target.client.name, credential);
    return outcome;
  }
}

/** Nothing was sent: the secret's variable or file has gone since the configuration was checked. */
const UNREADABLE: Failure = {
  kind: 'credential',
  code: 'credential unreadable',
  answeredBy: 'nobody',
  status: undefined,
  retryAfterMs: undefined,
  loopDetected: false,
  correlationId: undefined,
  traceId: undefined,
};

function authenticationOf(
  client: Client,
  index: number,
  env: Environment,
): ReturnType<typeof secretAuthentication> | undefined {
  const credential = client.credentials[index];
  if (credential === undefined) return undefined;
  const secret = findSecret(credential.source, env);
  return secret instanceof Secret
    ? secretAuthentication(client.clientId, secret, credential.method)
    : undefined;
}
