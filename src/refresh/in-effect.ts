import { type ParsedSelect, parseSelect, type Select, type TargetId } from '../core/target.ts';
import { inTurn } from './in-turn.ts';
import type { CataloguePort } from './ports.ts';

type Overrides = ReadonlyMap<string, 'add' | 'remove'>;

/** What a process is told to manage by its configuration, which may change while it runs. */
export interface ConfigurationPort {
  /** Another one after each change of what is in effect. */
  readonly version: number;
  /** Whether a change waits to be taken over. */
  readonly changed: boolean;
  /** Takes over what waits. `now`: Redis time, ms. */
  takeOver(now: number): void;
  /** Client -> how many of its targets are kept until an operator confirms that they are meant to go. */
  readonly awaiting: ReadonlyMap<string, number>;
  /** Lets go of what operators have confirmed since it was taken over. Client -> Redis time of the confirmation, ms. */
  confirm(confirmations: ReadonlyMap<string, number>): void;
  /** Whether an operator has confirmed the removals of a client since the configuration was taken over. */
  isConfirmed(client: string): boolean;
  /** Says that the whole fleet has done what the configuration in effect asks for. */
  settle(): void;
  /** The targets in effect. */
  catalogue(overrides: Overrides): CataloguePort;
  /** The targets that are written, without what is kept. */
  written(overrides: Overrides): CataloguePort;
}

/** What the processes of a fleet share about what is to be managed. */
export interface SharedOrdersPort {
  now(): Promise<number>;
  tenantOverrides(): Promise<ReadonlyMap<string, { readonly op: 'add' | 'remove' }>>;
  pauses(
    now: number,
  ): Promise<readonly { readonly select: string; readonly all: boolean; readonly until: number }[]>;
  confirmations(): Promise<ReadonlyMap<string, number>>;
}

/** Everything that says what a process manages now: its configuration, and what operators have changed for all. */
export class InEffect {
  readonly #configuration: ConfigurationPort;
  readonly #shared: SharedOrdersPort;
  readonly #turn = inTurn();
  #catalogue: CataloguePort;
  #version: number;
  #writtenHash: string | undefined;
  /** What the catalogue was made of. */
  #basis: string;
  #pauses: readonly { readonly matches: Select; readonly until: number }[] = [];

  constructor(configuration: ConfigurationPort, shared: SharedOrdersPort) {
    this.#configuration = configuration;
    this.#shared = shared;
    this.#version = configuration.version;
    this.#basis = basisOf(configuration.version, []);
    this.#catalogue = configuration.catalogue(new Map());
  }

  get catalogue(): CataloguePort {
    return this.#catalogue;
  }

  /** Whether the catalogue was made of an older configuration. */
  get isStale(): boolean {
    return this.#configuration.changed || this.#configuration.version !== this.#version;
  }

  /** Of the configuration that the catalogue was made of. */
  get version(): number {
    return this.#version;
  }

  /** Hash of what is written; undefined where nothing is kept beside it. */
  get writtenHash(): string | undefined {
    return this.#writtenHash;
  }

  pausedUntil(target: TargetId): number | undefined {
    const untils = this.#pauses.filter((pause) => pause.matches(target)).map((pause) => pause.until);
    return untils.length === 0 ? undefined : Math.max(...untils);
  }

  /** Takes over a changed configuration and what the fleet shares. Gives whether other targets are in effect now. */
  read(): Promise<boolean> {
    // An older reading must not come after a newer one.
    return this.#turn(() => this.#read());
  }

  /** Taking over and making a catalogue are long for many targets: a wait for Redis after each lets other work run. */
  async #read(): Promise<boolean> {
    const [configuration, shared] = [this.#configuration, this.#shared];
    const now = await shared.now();
    configuration.takeOver(now);
    const [overrides, confirmations] = await Promise.all([shared.tenantOverrides(), shared.confirmations()]);
    configuration.confirm(confirmations);
    const { version } = configuration;
    const operations = [...overrides].map(([scope, { op }]) => [scope, op] as const).sort();
    const basis = basisOf(version, operations);
    // Making and hashing a million targets takes seconds, in which nothing else runs.
    const made = basis === this.#basis ? undefined : this.#make(new Map(operations));
    const pauses = await shared.pauses(now);
    this.#pauses = pauses.flatMap(({ select, all, until }) => {
      const parsed = readSelect(select, all);
      return parsed === undefined ? [] : [{ until, matches: parsed.matches }];
    });
    if (made === undefined) return false;
    this.#basis = basis;
    this.#version = version;
    this.#catalogue = made.catalogue;
    this.#writtenHash = made.writtenHash;
    return true;
  }

  #make(overrides: Overrides): { catalogue: CataloguePort; writtenHash: string | undefined } {
    const configuration = this.#configuration;
    return {
      catalogue: configuration.catalogue(overrides),
      writtenHash: configuration.awaiting.size > 0 ? configuration.written(overrides).hash : undefined,
    };
  }
}

const basisOf = (version: number, operations: readonly unknown[]): string =>
  JSON.stringify([version, operations]);

/** One pause that cannot be read (another version wrote it, say) must not keep a process from taking part. */
function readSelect(select: string, all: boolean): ParsedSelect | undefined {
  try {
    return parseSelect(select, { all });
  } catch {
    return undefined;
  }
}
