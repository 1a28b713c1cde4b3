import type { TargetId } from '../core/target.ts';

/**
 * Every Redis key and channel, and the only place that knows them. `<ns>:token:`, `<ns>:refreshed` and
 * `<ns>:requests` are the contract with consumers; the rest is the daemon's own. A target's state shares the
 * slot of its token, what concerns the fleet shares the slot of `{<ns>}`, and no script spans both.
 */
export class Keys {
  readonly namespace: string;
  readonly #fleet: string;

  constructor(namespace: string) {
    this.namespace = namespace;
    this.#fleet = `{${namespace}}`;
  }

  token(target: TargetId): string {
    return `${this.namespace}:token:${target}`;
  }

  state(target: TargetId): string {
    return `{${this.token(target)}}:s`;
  }

  /** A key that is there for a moment, while it is tried whether the server knows of reads. */
  get idleTrial(): string {
    return `${this.#fleet}:idle-trial`;
  }

  /** Pub/sub channel: `<target> <generation>` after each new token. */
  get refreshed(): string {
    return `${this.namespace}:refreshed`;
  }

  /** Stream in which consumers ask. */
  get requests(): string {
    return `${this.namespace}:requests`;
  }

  /** Prefix of the BullMQ queues. */
  get queuePrefix(): string {
    return this.#fleet;
  }

  /** The list of a BullMQ queue's waiting jobs. */
  waiting(queue: string): string {
    return `${this.#fleet}:${queue}:wait`;
  }

  /** BullMQ's key that holds back another job for a target while one is waiting. */
  deduplication(queue: string, target: TargetId): string {
    return `${this.#fleet}:${queue}:de:${target}`;
  }

  due(host: string): string {
    return `${this.#fleet}:due:${host}`;
  }

  ready(host: string): string {
    return `${this.#fleet}:ready:${host}`;
  }

  hostGate(host: string): string {
    return `${this.#fleet}:gate:host:${host}`;
  }

  /** Prefix of the gates of client + tenant. */
  get tenantGates(): string {
    return `${this.#fleet}:gate:tenant:`;
  }

  tenantGate(tenantScope: string): string {
    return this.tenantGates + tenantScope;
  }

  /** What is known of a client's credentials. */
  credentials(client: string): string {
    return `${this.#fleet}:credentials:${client}`;
  }

  /** Hash: client -> ms between two requests for one of its tenants. */
  get limits(): string {
    return `${this.#fleet}:limits`;
  }

  /** Hash: client -> how long its tokens live, as seen lately. */
  get lifetimes(): string {
    return `${this.#fleet}:lifetimes`;
  }

  /** Hash `id`, `opensAt`, `begunAt`; its absence is how a loss of state is noticed. */
  get epoch(): string {
    return `${this.#fleet}:epoch`;
  }

  /** Set of the hosts that have indexes. */
  get hosts(): string {
    return `${this.#fleet}:hosts`;
  }

  get processes(): string {
    return `${this.#fleet}:processes`;
  }

  get processDetails(): string {
    return `${this.#fleet}:processes:details`;
  }

  /** Hash: client/tenant -> what an operator's `add` or `remove` said. */
  get tenants(): string {
    return `${this.#fleet}:tenants`;
  }

  /** Hash: select -> until when, by whom. */
  get pauses(): string {
    return `${this.#fleet}:pauses`;
  }

  /** Hash: client -> when an operator confirmed that what is no longer configured of it is meant to go. */
  get confirmed(): string {
    return `${this.#fleet}:confirmed`;
  }

  /** Pub/sub channel among the daemons: what an operator's command changed. */
  get changes(): string {
    return `${this.#fleet}:changes`;
  }
}
