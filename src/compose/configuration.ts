import { isDeepStrictEqual } from 'node:util';
import { Catalogue } from '../config/catalogue.ts';
import type { Config } from '../config/config.ts';
import { everKnown, type Held, holdRemovals } from '../config/held.ts';
import type { Client } from '../core/client.ts';
import type { ConfigurationPort } from '../refresh/in-effect.ts';

type Overrides = ReadonlyMap<string, 'add' | 'remove'>;

/** The configuration of a process while it runs: what is written, what is in effect, and what waits for a confirmation. */
export class RunningConfiguration implements ConfigurationPort {
  #written: readonly Client[];
  #offered: readonly Client[] | undefined;
  #inEffect: Held;
  /** What Redis may still manage of earlier configurations, in one with what is in effect. */
  #known: readonly Client[];
  #version = 0;
  /** Redis time since which this configuration is in effect, ms; a confirmation is of what it names after that. */
  #since: number | undefined;
  #confirmations: ReadonlyMap<string, number> = new Map();

  constructor(clients: readonly Client[]) {
    this.#written = clients;
    this.#inEffect = { clients, awaiting: new Map() };
    this.#known = clients;
  }

  get clients(): readonly Client[] {
    return this.#inEffect.clients;
  }

  get awaiting(): ReadonlyMap<string, number> {
    return this.#inEffect.awaiting;
  }

  get version(): number {
    return this.#version;
  }

  get changed(): boolean {
    return this.#offered !== undefined;
  }

  /** Has a changed configuration taken over when next the process hears of its fleet. */
  offer(clients: readonly Client[]): void {
    this.#offered = clients;
  }

  takeOver(now: number): void {
    this.#since ??= now;
    if (this.#offered === undefined) return;
    this.#written = this.#offered;
    this.#offered = undefined;
    this.#since = now;
    this.#put(holdRemovals(this.#known, this.#written));
  }

  confirm(confirmations: ReadonlyMap<string, number>): void {
    this.#confirmations = confirmations;
    const released = [...this.awaiting.keys()].filter((client) => this.isConfirmed(client));
    if (released.length === 0) return;
    this.#known = this.#known.filter(({ name }) => !released.includes(name));
    this.#put(holdRemovals(this.#known, this.#written));
  }

  isConfirmed(client: string): boolean {
    const at = this.#confirmations.get(client);
    return at !== undefined && this.#since !== undefined && at >= this.#since;
  }

  settle(): void {
    this.#known = this.#inEffect.clients;
  }

  catalogue(overrides: Overrides): Catalogue {
    return new Catalogue(this.#inEffect.clients, overrides);
  }

  written(overrides: Overrides): Catalogue {
    return new Catalogue(this.#written, overrides);
  }

  #put(held: Held): void {
    this.#inEffect = held;
    this.#known = everKnown(this.#known, held);
    this.#version += 1;
  }
}

/** The keys of a changed configuration that a process cannot take over while it runs. */
export function needsRestart(running: Config, changed: Config): string[] {
  return (['redis', 'namespace', 'http'] as const).filter(
    (key) => !isDeepStrictEqual(plain(running[key]), plain(changed[key])),
  );
}

/** With the texts of secrets, which are compared and shown to nobody. */
function plain(setting: Config['redis' | 'namespace' | 'http']): unknown {
  if (typeof setting === 'string' || 'listen' in setting) return setting;
  const { url, username, password, tls } = setting;
  return [url.reveal(), username, password?.reveal(), tls?.ca, tls !== undefined];
}
