import { type Client, withoutTenants } from '../core/client.ts';
import type { Recovery } from '../core/credential-choice.ts';
import { advice } from '../core/failure.ts';
import { type ExpiryWarning, expiryWarning } from '../credentials/expiry.ts';
import type { Change, Entry, Keyring } from '../credentials/keyring.ts';
import type { Logger } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Credentials } from '../refresh/credential-choice.ts';
import type { HealthState } from './health.ts';

export interface CredentialWatchDependencies {
  readonly keyring: Keyring;
  readonly credentials: Credentials;
  /** Lets the targets of a client go on that have waited for a credential. */
  readonly wakeTargets: (client: string, recovery: Recovery) => Promise<number>;
  readonly clients: () => readonly Client[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
  /** Epoch ms of this machine, for the ends of certificates. */
  readonly clock: () => number;
}

interface Told {
  readonly client: Client;
  /** The client as it was, but for its tenants. */
  readonly as: string;
  /** Monotonic ms. */
  readonly at: number;
}

/** A mark that nobody renews counts for nothing after a while. */
const TELL_AGAIN_MS = 60_000;
const EVERYTHING: Recovery = { withinMs: Number.POSITIVE_INFINITY, excused: [] };

/** Looks after the credentials of a process: what has changed, what cannot be used, what is about to end. */
export class CredentialWatch {
  readonly #deps: CredentialWatchDependencies;
  /** Client name -> what the fleet was told of it last. */
  readonly #told = new Map<string, Told>();
  /** Clients whose credentials have changed and of which the fleet is still to be told. */
  readonly #changed = new Set<string>();
  /** Fingerprint -> the last warning about its end. */
  readonly #warned = new Map<string, ExpiryWarning>();
  /** Clients whose targets are still to be told that they need not wait, and why. */
  readonly #toWake = new Map<string, { why: string; recovery: Recovery }>();

  constructor(deps: CredentialWatchDependencies) {
    this.#deps = deps;
  }

  /** One look at everything. Throws when Redis does not answer; what could not be done is done with the next look. */
  async look(): Promise<void> {
    const { keyring, clients } = this.#deps;
    // Also those that requests in flight have brought back.
    keyring.retain(clients());
    for (const change of await keyring.check()) {
      this.#logChange(change);
      if (change.fingerprint !== undefined) this.#changed.add(change.client);
    }
    await this.#tellFleet();
    await this.#wake();
    await this.#expose();
  }

  /** A client has a good credential, after it had none. */
  recovered(client: string, recovery: Recovery): void {
    this.#toWake.set(client, { why: 'a credential works', recovery });
    // Not with the next look: a second is long for a token that is about to end.
    this.#wake().catch((error: unknown) =>
      this.#deps.log.warn(
        { client, error },
        'targets that waited for a credential are woken with the next look',
      ),
    );
  }

  async #wake(): Promise<void> {
    for (const [client, { why, recovery }] of [...this.#toWake]) {
      this.#toWake.delete(client);
      try {
        const woken = await this.#deps.wakeTargets(client, recovery);
        if (woken > 0)
          this.#deps.log.info({ client, why, woken }, 'targets that waited for a credential go on');
      } catch (error) {
        this.#toWake.set(client, { why, recovery });
        throw error;
      }
    }
  }

  /** Says what clients have at hand: at first, when it has changed, and every now and then that it is still so. */
  async #tellFleet(): Promise<void> {
    const current = this.#deps.clients();
    const names = new Set(current.map(({ name }) => name));
    for (const name of this.#told.keys()) if (!names.has(name)) this.#told.delete(name);
    for (const client of current) {
      const told = this.#told.get(client.name);
      const isSame = told !== undefined && (told.client === client || told.as === withoutTenants(client));
      const isRecent = told !== undefined && performance.now() - told.at < TELL_AGAIN_MS;
      if (isSame && isRecent && !this.#changed.has(client.name)) continue;
      // What is wrong with them comes with the changes of the next look.
      await this.#deps.keyring.of(client);
      // Starting a daemon or changing its configuration is what an operator does after mending it.
      if (await this.#deps.credentials.introduce(client, { again: !isSame }))
        this.#toWake.set(client.name, { why: 'there is one to try', recovery: EVERYTHING });
      this.#told.set(client.name, { client, as: withoutTenants(client), at: performance.now() });
      this.#changed.delete(client.name);
    }
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
    const shown = new Set<string>();
    for (const client of clients()) {
      for (const entry of await keyring.of(client)) {
        const credential = String(entry.index + 1);
        metrics.credentialUsable.set({ client: client.name, credential }, entry.atHand === undefined ? 0 : 1);
        // Also where the one before is still in use: the next start would not have it.
        allUsable &&= entry.problem === undefined;
        this.#exposeEnd(client.name, entry);
        if (entry.atHand !== undefined) shown.add(entry.atHand.fingerprint);
      }
    }
    for (const fingerprint of this.#warned.keys())
      if (!shown.has(fingerprint)) this.#warned.delete(fingerprint);
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
