import type { Client, Credential } from '../core/client.ts';
import type { Problem } from '../core/failure.ts';
import { AZURE, type Azure } from './azure.ts';
import { type Entry, HeldCredential, type Surroundings } from './held-credential.ts';
import { KeyVault } from './key-vault.ts';
import type { Environment } from './source.ts';

export type { AtHand } from './loaded.ts';
export type { Entry };

export interface KeyringOptions {
  /** Where the variables are. */
  readonly env: Environment;
  /** Epoch ms; validity is judged by it. */
  readonly clock: () => number;
  /** Default: Azure's own packages. */
  readonly azure?: Azure;
}

/** What has become of a credential: another one, a problem, or the end of a problem. */
export interface Change {
  /** The client's name. */
  readonly client: string;
  /** The credential's place in the configuration. */
  readonly index: number;
  /** What is at hand now. */
  readonly fingerprint: string | undefined;
  /** What was at hand before, if that was another one. */
  readonly previous: string | undefined;
  readonly problem: Problem | undefined;
  readonly detail: string | undefined;
}

interface Told {
  readonly fingerprint: string | undefined;
  readonly problem: Problem | undefined;
}

/** The credentials of one client, in configured order, and what was last said of each. */
interface HeldClient {
  readonly client: Client;
  readonly credentials: readonly HeldCredential[];
  readonly told: Told[];
  readonly loaded: Promise<void>;
}

/**
 * The credentials of all clients: loaded at the first use of a client, and anew when their places hold something new.
 * Whoever took one from here may go on with it, so that a request in flight ends on the credential it began with.
 */
export class Keyring {
  readonly #surroundings: Surroundings;
  /** By what makes them: where a new configuration has the same credential, what is in use stays in use. */
  readonly #credentials = new Map<string, HeldCredential>();
  readonly #clients = new Map<Client, HeldClient>();
  #checking: Promise<readonly Change[]> | undefined;

  constructor({ env, clock, azure = AZURE }: KeyringOptions) {
    this.#surroundings = { sources: { env, keyVault: new KeyVault(azure) }, azure, clock };
  }

  /** A client's credentials as they are now, in configured order. Looks at no file once they are loaded. */
  async of(client: Client): Promise<readonly Entry[]> {
    const held = this.#clients.get(client) ?? this.#hold(client);
    await held.loaded;
    return this.#entries(held.credentials);
  }

  /**
   * Looks at the places of all credentials that are loaded, loads anew what has changed, and says what is different
   * since it was last said. A problem of the first loading is said as well. To be called every second or so; takes as
   * long as a key vault does, at most 5 s.
   */
  check(): Promise<readonly Change[]> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  /** Forgets the credentials of all clients but these: those of clients that are configured no more. */
  retain(clients: readonly Client[]): void {
    const kept = new Set(clients);
    const keys = new Set(clients.flatMap((client) => client.credentials.map((one) => keyOf(client, one))));
    for (const client of this.#clients.keys()) if (!kept.has(client)) this.#clients.delete(client);
    for (const key of this.#credentials.keys()) if (!keys.has(key)) this.#credentials.delete(key);
  }

  /** Forgets everything. */
  close(): void {
    this.retain([]);
  }

  #hold(client: Client): HeldClient {
    const credentials = client.credentials.map((credential) => this.#holdCredential(client, credential));
    const told: Told[] = [];
    const loaded = Promise.all(credentials.map((credential) => credential.load())).then(() => {
      for (const { atHand } of this.#entries(credentials)) {
        told.push({ fingerprint: atHand?.fingerprint, problem: undefined });
      }
    });
    const held = { client, credentials, told, loaded };
    this.#clients.set(client, held);
    return held;
  }

  #holdCredential(client: Client, credential: Credential): HeldCredential {
    const key = keyOf(client, credential);
    const held = this.#credentials.get(key) ?? new HeldCredential(client, credential, this.#surroundings);
    this.#credentials.set(key, held);
    return held;
  }

  #entries(credentials: readonly HeldCredential[]): Entry[] {
    const now = this.#surroundings.clock();
    return credentials.map((credential, index) => credential.entry(index, now));
  }

  async #check(): Promise<readonly Change[]> {
    const clients = [...this.#clients.values()];
    await Promise.all(clients.map(({ loaded }) => loaded));
    const credentials = new Set(clients.flatMap((held) => held.credentials));
    await Promise.all([...credentials].map((credential) => credential.look()));
    return clients.flatMap((held) => this.#changes(held));
  }

  #changes({ client, credentials, told }: HeldClient): Change[] {
    return this.#entries(credentials).flatMap((entry) => {
      const before = told[entry.index];
      told[entry.index] = { fingerprint: entry.atHand?.fingerprint, problem: entry.problem };
      return changeOf(client.name, entry, before) ?? [];
    });
  }
}

function changeOf(client: string, entry: Entry, told: Told | undefined): Change | undefined {
  const { index, problem, detail } = entry;
  const fingerprint = entry.atHand?.fingerprint;
  if (fingerprint === told?.fingerprint && problem === told?.problem) return undefined;
  const previous = fingerprint === told?.fingerprint ? undefined : told?.fingerprint;
  return { client, index, fingerprint, previous, problem, detail };
}

/** Of the names of places, not of what is in them. */
const keyOf = ({ name, clientId, grant }: Client, credential: Credential): string =>
  JSON.stringify([name, clientId, grant, credential]);
