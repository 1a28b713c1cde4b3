import { decide } from '../core/decide.ts';
import { clientOf, type TargetId } from '../core/target.ts';
import type { CataloguePort, ClockPort, IndexesPort, StatesPort } from './ports.ts';

export interface RecoveryDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: Pick<StatesPort, 'read' | 'want'>;
  readonly indexes: Pick<IndexesPort, 'setDue'>;
  readonly clock: ClockPort;
  /** Wakes this process's dispatchers. */
  readonly wake: () => void;
}

const CHUNK = 1000;

/**
 * Lets the targets of a client go on that have waited for a credential: those that wait without having failed, and
 * those that failed with one. Gives how many.
 */
export async function wakeClient(client: string, deps: RecoveryDependencies): Promise<number> {
  let woken = 0;
  for (const [host, targets] of targetsByHost(client, deps.catalogue())) {
    for (let start = 0; start < targets.length; start += CHUNK) {
      woken += await wakeChunk(host, targets.slice(start, start + CHUNK), deps);
      deps.wake();
    }
  }
  return woken;
}

function targetsByHost(client: string, catalogue: CataloguePort): Map<string, TargetId[]> {
  const byHost = new Map<string, TargetId[]>();
  for (const target of catalogue.ids()) {
    const host = clientOf(target) === client ? catalogue.get(target)?.host : undefined;
    if (host === undefined) continue;
    const known = byHost.get(host);
    if (known === undefined) byHost.set(host, [target]);
    else known.push(target);
  }
  return byHost;
}

async function wakeChunk(
  host: string,
  targets: readonly TargetId[],
  { catalogue, states, indexes, clock }: RecoveryDependencies,
): Promise<number> {
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
