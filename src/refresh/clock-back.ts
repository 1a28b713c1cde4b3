import type { Target } from '../core/client.ts';
import type { TargetState } from '../core/state.ts';
import type { CataloguePort, ClockPort, IndexesPort, StatesPort } from './ports.ts';

/** Redis time that runs back by more than this is another clock, as after a failover, and not one that was set right. */
const GONE_BACK_MS = 5000;

/** Notices that Redis time has gone back: it is then another clock, by which nothing that was written is right. */
export class RedisClock {
  readonly #elapsed: () => number;
  #last: { readonly now: number; readonly elapsed: number } | undefined;

  /** `elapsed`: monotonic ms of this process. */
  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  /** By how much Redis time has gone back since it was seen last, ms; 0: it has not. `now`: Redis time. */
  goneBackMs(now: number): number {
    const seen = { now, elapsed: this.#elapsed() };
    const last = this.#last ?? seen;
    this.#last = seen;
    const lostMs = seen.elapsed - last.elapsed - (now - last.now);
    return lostMs > GONE_BACK_MS && now < last.now ? lostMs : 0;
  }
}

export interface RenewDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: Pick<StatesPort, 'read' | 'want'>;
  readonly indexes: Pick<IndexesPort, 'setDue'>;
  readonly clock: ClockPort;
  /** Told after each chunk: the process is well. */
  readonly alive?: () => void;
}

const CHUNK = 200;

/**
 * Wants every token anew after Redis time has gone back: by the new clock all are younger than they are, and would be
 * refreshed too late by what the clock has lost. They come due one after the other at the pace of their host, the
 * earliest expiry first. Gives how many there are.
 */
export async function renewAll(deps: RenewDependencies): Promise<number> {
  const { catalogue, states, indexes, clock } = deps;
  const current = catalogue();
  const byHost = new Map<string, { readonly target: Target; readonly expiresAt: number }[]>();
  for await (const { target, state } of known(current, states)) {
    const ofHost = byHost.get(target.host) ?? [];
    byHost.set(target.host, ofHost);
    ofHost.push({ target, expiresAt: state.expiresAt });
    if (ofHost.length % CHUNK === 0) deps.alive?.();
  }
  let renewed = 0;
  for (const [host, found] of byHost) {
    const { count, windowMs } = current.hosts().get(host)?.perHost ?? { count: 1, windowMs: 0 };
    const inTurn = found.sort((a, b) => a.expiresAt - b.expiresAt);
    for (let start = 0; start < inTurn.length; start += CHUNK) {
      const ids = inTurn.slice(start, start + CHUNK).map(({ target }) => target.id);
      await Promise.all(ids.map((id) => states.want(id, GONE_BACK)));
      await indexes.setDue(host, ids, (await clock.now()) + (start * windowMs) / count);
      deps.alive?.();
    }
    renewed += inTurn.length;
  }
  return renewed;
}

const GONE_BACK = 'the clock of Redis has gone back';

/** Every target that Redis knows something of. */
async function* known(
  catalogue: CataloguePort,
  states: Pick<StatesPort, 'read'>,
): AsyncGenerator<{ readonly target: Target; readonly state: TargetState }> {
  let chunk: Target[] = [];
  const read = async () => {
    const targets = chunk;
    chunk = [];
    const found = await states.read(targets.map(({ id }) => id));
    return targets.flatMap((target, i) => {
      const state = found[i] as TargetState;
      return state.attempted > 0 && state.dormantSince === 0 ? [{ target, state }] : [];
    });
  };
  for (const id of catalogue.ids()) {
    const target = catalogue.get(id);
    if (target === undefined) continue;
    if (chunk.push(target) === CHUNK) yield* await read();
  }
  yield* await read();
}
