import type { Recovery } from '../core/credential-choice.ts';
import { decide } from '../core/decide.ts';
import type { TargetId } from '../core/target.ts';
import type { CataloguePort, ClockPort, IndexesPort, StatesPort } from './ports.ts';

export interface RecoveryDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: Pick<StatesPort, 'read' | 'want'>;
  readonly indexes: Pick<IndexesPort, 'dueAt' | 'setDue'>;
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
export async function wakeClient(
  client: string,
  recovery: Recovery,
  deps: RecoveryDependencies,
): Promise<number> {
  // One catalogue from beginning to end: another one may come meanwhile.
  const catalogue = deps.catalogue();
  let woken = 0;
  let chunk: TargetId[] = [];
  const flush = async (): Promise<void> => {
    const targets = chunk;
    chunk = [];
    woken += await wakeChunk(targets, catalogue, recovery, deps);
    deps.wake();
  };
  for (const target of catalogue.ids(client)) {
    if (chunk.push(target) === CHUNK) await flush();
  }
  if (chunk.length > 0) await flush();
  return woken;
}

async function wakeChunk(
  targets: readonly TargetId[],
  catalogue: CataloguePort,
  { withinMs, excused }: Recovery,
  { states, indexes, clock }: RecoveryDependencies,
): Promise<number> {
  // A client has one endpoint.
  const host = catalogue.get(targets[0] ?? '')?.host;
  if (host === undefined) return 0;
  const [known, dueAt, now] = await Promise.all([
    states.read(targets),
    indexes.dueAt(host, targets),
    clock.now(),
  ]);
  const waiting: TargetId[] = [];
  const wants: Promise<unknown>[] = [];
  for (const [i, target] of targets.entries()) {
    const [state, policy, due] = [known[i], catalogue.get(target), dueAt[i]];
    // What is being tried goes on by itself.
    if (state === undefined || policy === undefined || state.leaseUntil > now) continue;
    const failed = state.failure?.kind === 'credential' && !isExcused(target, policy.tenant, excused);
    if (failed) wants.push(states.want(target, 'a credential of its client works'));
    const waited = due !== undefined && due > now && due - now <= withinMs;
    if (failed || (waited && decide(state, policy, now).act === 'refresh')) waiting.push(target);
  }
  await Promise.all(wants);
  await indexes.setDue(host, waiting, now);
  return waiting.length;
}

/** As in the marks: the tenant, or the target where the endpoint has no tenants. */
const isExcused = (target: TargetId, tenant: string, excused: readonly string[]): boolean =>
  excused.includes(tenant) || excused.includes(target);
