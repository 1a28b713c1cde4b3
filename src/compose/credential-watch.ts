import type { Client } from '../core/client.ts';
import { advice } from '../core/failure.ts';
import { type ExpiryWarning, expiryWarning } from '../credentials/expiry.ts';
import type { Change, Entry, Keyring } from '../credentials/keyring.ts';
import type { Logger } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Credentials } from '../refresh/credentials.ts';
import type { HealthState } from './health.ts';

export interface CredentialWatchDependencies {
  readonly keyring: Keyring;
  readonly credentials: Credentials;
  /** Lets the targets of a client go on that have waited for a credential. */
  readonly wakeTargets: (client: string) => Promise<number>;
  readonly clients: () => readonly Client[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
  /** Epoch ms of this machine, for the ends of certificates. */
  readonly clock: () => number;
}

/** Looks after the credentials of a process: what has changed, what cannot be used, what is about to end. */
export class CredentialWatch {
  readonly #deps: CredentialWatchDependencies;
  #retained: readonly Client[] | undefined;
  readonly #introduced = new Set<Client>();
  /** Fingerprint -> the last warning about its end. */
  readonly #warned = new Map<string, ExpiryWarning>();
  /** Clients whose targets are still to be told that they need not wait, and why. */
  readonly #toWake = new Map<string, string>();

  constructor(deps: CredentialWatchDependencies) {
    this.#deps = deps;
  }

  /** One look at everything. Throws when Redis does not answer; what could not be done is done with the next look. */
  async look(): Promise<void> {
    const { keyring, clients } = this.#deps;
    if (this.#retained !== clients()) keyring.retain(clients());
    this.#retained = clients();
    const changes = await keyring.check();
    for (const change of changes) this.#logChange(change);
    await this.#introduce();
    const changed = new Set(
      changes.flatMap(({ client, fingerprint }) => (fingerprint === undefined ? [] : [client])),
    );
    for (const client of clients()) if (changed.has(client.name)) await this.#tell(client, { again: false });
    await this.#wake();
    await this.#expose();
  }

  /** A client has a good credential again, after it had none. */
  recovered(client: string): void {
    this.#toWake.set(client, 'a credential works');
    // Not with the next look: a second is long for a token that is about to end.
    this.#wake().catch((error: unknown) =>
      this.#deps.log.warn(
        { client, error },
        'targets that waited for a credential are woken with the next look',
      ),
    );
  }

  async #wake(): Promise<void> {
    for (const [client, why] of [...this.#toWake]) {
      this.#toWake.delete(client);
      try {
        const woken = await this.#deps.wakeTargets(client);
        this.#deps.log.info({ client, why, woken }, 'targets that waited for a credential go on');
      } catch (error) {
        this.#toWake.set(client, why);
        throw error;
      }
    }
  }

  /** Reads what new clients have, so that the fleet knows since when. */
  async #introduce(): Promise<void> {
    const { clients, keyring } = this.#deps;
    const current = new Set(clients());
    for (const known of this.#introduced) if (!current.has(known)) this.#introduced.delete(known);
    for (const client of current) {
      if (this.#introduced.has(client)) continue;
      // What is wrong with them comes with the changes of the next look.
      await keyring.of(client);
      await this.#tell(client, { again: true });
      this.#introduced.add(client);
    }
  }

  async #tell(client: Client, options: { again: boolean }): Promise<void> {
    if (await this.#deps.credentials.introduce(client, options))
      this.#toWake.set(client.name, 'there is one to try');
  }

  #logChange({ client, index, fingerprint, previous, problem, detail }: Change): void {
    const line = { client, credential: index + 1, fingerprint, previous };
    if (problem === undefined) this.#deps.log.info(line, 'a credential has changed');
    else
      this.#deps.log.error(
        { ...line, problem, detail, todo: advice({ kind: 'credential', code: problem }).todo },
        fingerprint === undefined
          ? 'a credential cannot be used'
          : 'a changed credential cannot be used; the one before stays in use as long as it is valid',
      );
  }

  async #expose(): Promise<void> {
    const { clients, keyring, metrics, health } = this.#deps;
    metrics.credentialEnds.reset();
    metrics.credentialUsable.reset();
    let allUsable = true;
    for (const client of clients()) {
      for (const entry of await keyring.of(client)) {
        const credential = String(entry.index + 1);
        metrics.credentialUsable.set({ client: client.name, credential }, entry.atHand === undefined ? 0 : 1);
        allUsable &&= entry.atHand !== undefined;
        this.#exposeEnd(client.name, entry);
      }
    }
    health.set('credential-unusable', !allUsable);
  }

  #exposeEnd(client: string, { index, atHand }: Entry): void {
    if (atHand?.endsAt === undefined) return;
    const { clock, log, metrics } = this.#deps;
    const { fingerprint, endsAt } = atHand;
    metrics.credentialEnds.set({ client, credential: String(index + 1), fingerprint }, endsAt / 1000);
    const warning = expiryWarning(endsAt, clock());
    if (warning === undefined || this.#warned.get(fingerprint) === warning) return;
    this.#warned.set(fingerprint, warning);
    const line = { client, credential: index + 1, fingerprint, endsAt: new Date(endsAt).toISOString() };
    if (warning === 'ended') log.error(line, 'a credential has ended');
    else
      log.warn({ ...line, withinDays: warning }, 'a credential is about to end: put the next one beside it');
  }
}
