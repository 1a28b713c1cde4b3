import { decide } from '../core/decide.ts';
import type { TargetId } from '../core/target.ts';
import type { CataloguePort, ClockPort, IndexesPort, StatesPort } from './ports.ts';

export interface RecoveryDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: Pick<StatesPort, 'read' | 'want'>;
  readonly indexes: Pick<IndexesPort, 'setDue'>;
  readonly clock: ClockPort;
  /** Wakes this process's dispatchers. */
  readonly wake: () => void;
}

/** Refreshes wait for one chunk at most. */
const CHUNK = 200;

/**
 * Lets the targets of a client go on that have waited for a credential: those that wait without having failed, and
 * those that failed with one. Gives how many.
 */
export async function wakeClient(client: string, deps: RecoveryDependencies): Promise<number> {
  let woken = 0;
  let chunk: TargetId[] = [];
  const flush = async (): Promise<void> => {
    const targets = chunk;
    chunk = [];
    woken += await wakeChunk(targets, deps);
    deps.wake();
  };
  for (const target of deps.catalogue().ids(client)) {
    if (chunk.push(target) === CHUNK) await flush();
  }
  if (chunk.length > 0) await flush();
  return woken;
}

async function wakeChunk(
  targets: readonly TargetId[],
  { catalogue, states, indexes, clock }: RecoveryDependencies,
): Promise<number> {
  // A client has one endpoint.
  const host = catalogue().get(targets[0] ?? '')?.host;
  if (host === undefined) return 0;
  const [known, now] = await Promise.all([states.read(targets), clock.now()]);
  const waiting: TargetId[] = [];
  const wants: Promise<unknown>[] = [];
  for (const [i, target] of targets.entries()) {
    const [state, policy] = [known[i], catalogue().get(target)];
    // What is being tried goes on by itself.
    if (state === undefined || policy === undefined || state.leaseUntil > now) continue;
    const failed = state.failure?.kind === 'credential';
    if (failed) wants.push(states.want(target, 'a credential of its client works'));
    if (failed || decide(state, policy, now).act === 'refresh') waiting.push(target);
  }
  await Promise.all(wants);
  await indexes.setDue(host, waiting, now);
  return waiting.length;
}
