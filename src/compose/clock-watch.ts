import { hostOf } from '../config/wire.ts';
import type { Client } from '../core/client.ts';
import type { TokenEndpoint } from '../oauth/endpoint.ts';
import type { Logger } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { HealthState } from './health.ts';

export interface ClockWatchDependencies {
  readonly endpoint: Pick<TokenEndpoint, 'skewMs'>;
  readonly clients: () => readonly Client[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
}

/** Assertions are signed by the server's time, and certificates judged by ours: so much may be between the two. */
const SKEWED_MS = 60_000;

/** Shows how far the clocks of the token endpoints are from the one of this machine. */
export class ClockWatch {
  readonly #deps: ClockWatchDependencies;
  readonly #skewed = new Set<string>();

  constructor(deps: ClockWatchDependencies) {
    this.#deps = deps;
  }

  look(): void {
    const { clients, endpoint, metrics, health } = this.#deps;
    metrics.clockSkew.reset();
    for (const [host, url] of new Map(clients().map((client) => [hostOf(client.endpoint), urlOf(client)]))) {
      const skewMs = endpoint.skewMs(url);
      if (skewMs === undefined) continue;
      metrics.clockSkew.set({ host }, skewMs / 1000);
      this.#judge(host, skewMs);
    }
    health.set('clock-skewed', this.#skewed.size > 0);
  }

  #judge(host: string, skewMs: number): void {
    const isSkewed = Math.abs(skewMs) > SKEWED_MS;
    if (isSkewed === this.#skewed.has(host)) return;
    const line = { host, skewSeconds: Math.round(skewMs / 1000) };
    if (isSkewed) {
      this.#skewed.add(host);
      this.#deps.log.warn(line, 'the clock of a token endpoint and the one of this machine differ: mend it');
    } else {
      this.#skewed.delete(host);
      this.#deps.log.info(line, 'the clocks agree again');
    }
  }
}

const urlOf = ({ endpoint }: Client): string =>
  'authority' in endpoint ? endpoint.authority : endpoint.tokenEndpoint;
