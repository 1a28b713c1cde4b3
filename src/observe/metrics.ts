import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What is measured about the fleet as a whole, at the moment of a scrape. */
export interface FleetFigures {
  readonly hosts: readonly HostFigures[];
  readonly processes: number;
  readonly queueWaiting: number;
  readonly credentials: readonly CredentialFigures[];
}

/** How the fleet finds one credential; `fingerprint` tells it from the others of its client. */
export interface CredentialFigures {
  readonly client: string;
  readonly fingerprint: string;
  readonly refused: boolean;
}

export interface HostFigures {
  readonly host: string;
  readonly managed: number;
  readonly due: number;
  readonly ready: number;
  /** Left alone, since nobody reads their tokens. */
  readonly dormant: number;
  readonly closedSeconds: number;
  /** Requests a second that the gate gives while it is open; undefined where this process does not know the host. */
  readonly rate: number | undefined;
}

/**
 * The metrics of a process, `evertoken_*`. Labels are bounded: hosts and clients come from configuration, the
 * rest are enumerations; tenants and targets are never labels.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly refreshes = new Counter({
    name: 'evertoken_refreshes_total',
    help: 'Jobs by what became of them and the reason of the decision',
    labelNames: ['client', 'outcome', 'reason'] as const,
    registers: [this.registry],
  });
  readonly requests = new Counter({
    name: 'evertoken_token_requests_total',
    help: 'HTTP requests sent to token endpoints',
    labelNames: ['host'] as const,
    registers: [this.registry],
  });
  readonly failures = new Counter({
    name: 'evertoken_failures_total',
    help: 'Attempts that gave no token, by kind and stable code',
    labelNames: ['client', 'kind', 'code'] as const,
    registers: [this.registry],
  });
  readonly duration = new Histogram({
    name: 'evertoken_refresh_duration_seconds',
    help: 'From taking up a job to its end, for jobs that sent a request',
    labelNames: ['host'] as const,
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });
  readonly lifeLeft = new Histogram({
    name: 'evertoken_replaced_life_left_ratio',
    help: 'Share of its life that a token still had when it was replaced; 0: it had ended',
    buckets: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
    registers: [this.registry],
  });
  readonly repeatedTokens = new Counter({
    name: 'evertoken_repeated_tokens_total',
    help: 'Times that a server gave the token again that was there already',
    labelNames: ['client'] as const,
    registers: [this.registry],
  });
  readonly mixUps = new Counter({
    name: 'evertoken_mixed_up_tokens_total',
    help: 'Tokens that were refused because they are proven to be for another tenant, client or audience',
    labelNames: ['client'] as const,
    registers: [this.registry],
  });
  readonly credentialEnds = new Gauge({
    name: 'evertoken_credential_ends_timestamp_seconds',
    help: 'When a certificate or a dated secret ends, epoch seconds',
    labelNames: ['client', 'credential', 'fingerprint'] as const,
    registers: [this.registry],
  });
  readonly credentialUsable = new Gauge({
    name: 'evertoken_credential_usable',
    help: '1 for a configured credential that this process can use, 0 for one that cannot be read or has ended',
    labelNames: ['client', 'credential'] as const,
    registers: [this.registry],
  });
  readonly clockSkew = new Gauge({
    name: 'evertoken_clock_skew_seconds',
    help: 'By how much the clock of a token endpoint is ahead of the clock of this process',
    labelNames: ['host'] as const,
    registers: [this.registry],
  });
  readonly commands = new Counter({
    name: 'evertoken_commands_total',
    help: "Operators' commands by what became of them",
    labelNames: ['name', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly consumerRequests = new Counter({
    name: 'evertoken_consumer_requests_total',
    help: 'What consumers asked for, by answer',
    labelNames: ['answer'] as const,
    registers: [this.registry],
  });
  readonly redisUp = new Gauge({
    name: 'evertoken_redis_up',
    help: '1 while Redis answers this process',
    registers: [this.registry],
  });
  readonly unsavedTokens = new Gauge({
    name: 'evertoken_unsaved_tokens',
    help: 'Tokens that this process holds because Redis could not take them',
    registers: [this.registry],
  });
  readonly configurationValid = new Gauge({
    name: 'evertoken_configuration_valid',
    help: '1 while the configuration as it is written can be used; 0: an older one runs on',
    registers: [this.registry],
  });
  readonly configurationLoaded = new Gauge({
    name: 'evertoken_configuration_loaded_timestamp_seconds',
    help: 'When the configuration that is in use was read, in epoch seconds',
    registers: [this.registry],
  });
  readonly outageTarget = new Gauge({
    name: 'evertoken_outage_target_seconds',
    help: 'How long an outage of the token endpoint is to be survived',
    labelNames: ['client'] as const,
    registers: [this.registry],
  });
  readonly outageHeld = new Gauge({
    name: 'evertoken_outage_held_seconds',
    help: 'How much of that the lives of tokens and the limits allow',
    labelNames: ['client'] as const,
    registers: [this.registry],
  });
  readonly awaitingConfirmation = new Gauge({
    name: 'evertoken_removals_awaiting_confirmation',
    help: 'Targets that are no longer configured and are kept until an operator confirms',
    labelNames: ['client'] as const,
    registers: [this.registry],
  });
  readonly #managed = hostGauge(this.registry, 'evertoken_targets', 'Managed targets');
  readonly #due = hostGauge(
    this.registry,
    'evertoken_targets_due',
    'Targets that something should be done about now',
  );
  readonly #ready = hostGauge(this.registry, 'evertoken_targets_ready', 'Targets that wait for the gate');
  readonly #dormant = hostGauge(
    this.registry,
    'evertoken_targets_dormant',
    'Targets that are left alone until somebody asks, since nobody reads their tokens',
  );
  readonly #closed = hostGauge(
    this.registry,
    'evertoken_gate_closed_seconds',
    'For how long the gate stays closed',
  );
  readonly #rate = hostGauge(
    this.registry,
    'evertoken_gate_rate',
    'Requests a second that the gate gives while it is open: the limit, or less after refusals',
  );
  readonly #credentialRefused = new Gauge({
    name: 'evertoken_credential_refused',
    help: '1 for a credential that servers refuse, as the fleet knows it; else 0',
    labelNames: ['client', 'fingerprint'] as const,
    registers: [this.registry],
  });
  readonly #processes = new Gauge({
    name: 'evertoken_processes',
    help: 'Live processes of the fleet',
    registers: [this.registry],
  });
  readonly #waiting = new Gauge({
    name: 'evertoken_queue_waiting',
    help: 'Jobs waiting in the refresh queue',
    registers: [this.registry],
  });

  /** The exposition of this process, with the fleet's figures of this moment; without them where Redis gives none. */
  async expose(fleet: FleetFigures | undefined): Promise<string> {
    this.#clearFleet();
    if (fleet !== undefined) this.#setFleet(fleet);
    return this.registry.metrics();
  }

  /** What is not known must not look like what was known last, nor like 0. */
  #clearFleet(): void {
    for (const gauge of [this.#managed, this.#due, this.#ready, this.#dormant, this.#closed, this.#rate])
      gauge.reset();
    this.#credentialRefused.reset();
    for (const gauge of [this.#processes, this.#waiting]) gauge.remove();
  }

  #setFleet({ hosts, processes, queueWaiting, credentials }: FleetFigures): void {
    for (const { host, managed, due, ready, dormant, closedSeconds, rate } of hosts) {
      this.#managed.set({ host }, managed);
      this.#due.set({ host }, due);
      this.#ready.set({ host }, ready);
      this.#dormant.set({ host }, dormant);
      this.#closed.set({ host }, closedSeconds);
      if (rate !== undefined) this.#rate.set({ host }, rate);
    }
    for (const { client, fingerprint, refused } of credentials)
      this.#credentialRefused.set({ client, fingerprint }, refused ? 1 : 0);
    this.#processes.set(processes);
    this.#waiting.set(queueWaiting);
  }
}

function hostGauge(registry: Registry, name: string, help: string): Gauge<'host'> {
  return new Gauge({ name, help, labelNames: ['host'] as const, registers: [registry] });
}
