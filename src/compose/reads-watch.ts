import type { Client } from '../core/client.ts';
import type { Logger } from '../observe/log.ts';
import type { HealthState } from './health.ts';

export interface ReadsWatchDependencies {
  readonly clients: () => readonly Pick<Client, 'retireUnreadAfterMs'>[];
  /** Why Redis does not tell when a key was last read; undefined: it does. */
  readonly whyUnknown: () => Promise<string | undefined>;
  readonly log: Logger;
  readonly health: HealthState;
}

/** Where unread targets are to retire, sees that Redis tells what is read. Where it does not, all are refreshed on. */
export class ReadsWatch {
  readonly #deps: ReadsWatchDependencies;

  constructor(deps: ReadsWatchDependencies) {
    this.#deps = deps;
  }

  async look(): Promise<void> {
    const { clients, whyUnknown, log, health } = this.#deps;
    const why = retiresUnread(clients()) ? await whyUnknown() : undefined;
    if (!health.set('reads-unknown', why !== undefined)) return;
    if (why === undefined) log.info('what is unread can retire again, or need not');
    else log.warn({ code: 'READS_UNKNOWN', why }, READS_UNKNOWN);
  }
}

export const READS_UNKNOWN =
  'refresh.retireUnreadAfter does nothing, since Redis does not tell what is read; see "Reads" in docs/redis.md';

export const retiresUnread = (clients: readonly Pick<Client, 'retireUnreadAfterMs'>[]): boolean =>
  clients.some(({ retireUnreadAfterMs }) => retireUnreadAfterMs !== undefined);
