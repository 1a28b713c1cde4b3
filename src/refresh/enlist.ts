import { type Client, type Target, withoutTenants } from '../core/client.ts';
import { decide } from '../core/decide.ts';
import type { Due } from '../core/filing.ts';
import { candidates } from '../core/plan.ts';
import type { TargetState } from '../core/state.ts';
import { clientOf, type TargetId } from '../core/target.ts';
import type { CataloguePort, ClockPort, Draw, IndexesPort, StatesPort } from './ports.ts';

export interface EnlistDependencies {
  readonly catalogue: () => CataloguePort;
  readonly states: Pick<StatesPort, 'read' | 'want'>;
  readonly indexes: Pick<IndexesPort, 'dueAt' | 'enlist' | 'setDue'>;
  readonly clock: ClockPort;
  readonly draw: Draw;
  /** Monotonic ms. */
  readonly elapsed: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Told after each chunk, since all of them may take minutes: the process is well. */
  readonly alive?: () => void;
}

export interface EnlistOptions {
  /**
   * Whether what failed for want of a right credential or configuration is tried at once, because starting a daemon or
   * changing its configuration is what an operator does after mending one.
   */
  readonly retryParked: boolean;
  /** What was managed so far, to find refreshes that run with an older configuration. */
  readonly before?: CataloguePort | undefined;
}

export interface Enlisted {
  readonly added: number;
  /** Managed before, now with another configuration, so their tokens are wanted anew. */
  readonly changed: number;
}

/** Enlisting goes on beside refreshes, which wait for one chunk at most. */
const CHUNK = 200;

/** Begins to manage what is configured and not yet managed, and wants anew what is configured differently. */
export async function enlist(options: EnlistOptions, deps: EnlistDependencies): Promise<Enlisted> {
  // One catalogue from beginning to end: another one may come meanwhile, and is enlisted after it.
  const catalogue = deps.catalogue();
  const waiting = new Map<string, Target[]>();
  const total = { added: 0, changed: 0 };
  const turn = turnsAtPace(catalogue);
  const flush = async (host: string, targets: readonly Target[]): Promise<void> => {
    const { added, changed } = await enlistChunk(host, targets, options, turn, deps);
    total.added += added;
    total.changed += changed;
  };
  let startedAt = deps.elapsed();
  for (const id of catalogue.ids()) {
    const target = catalogue.get(id);
    if (target === undefined) continue;
    const targets = waiting.get(target.host) ?? [];
    waiting.set(target.host, targets);
    if (targets.push(target) < CHUNK) continue;
    await flush(target.host, targets.splice(0));
    deps.alive?.();
    // While refreshes are running, half of the time is left to them.
    if (options.before !== undefined) await deps.sleep(deps.elapsed() - startedAt);
    startedAt = deps.elapsed();
  }
  for (const [host, targets] of waiting) if (targets.length > 0) await flush(host, targets);
  return total;
}

async function enlistChunk(
  host: string,
  targets: readonly Target[],
  options: EnlistOptions,
  turn: Turn,
  { states, indexes, clock, draw }: EnlistDependencies,
): Promise<Enlisted> {
  const ids = targets.map(({ id }) => id);
  const [dueAt, known, now] = await Promise.all([indexes.dueAt(host, ids), states.read(ids), clock.now()]);
  const missing: Due[] = [];
  const changed: TargetId[] = [];
  const wants: Promise<unknown>[] = [];
  for (const [i, target] of targets.entries()) {
    const state = known[i] as TargetState;
    const isManaged = dueAt[i] !== undefined;
    const by = reasonToWant(target, state, isManaged, options, now);
    if (by !== undefined) {
      wants.push(states.want(target.id, by));
      changed.push(target.id);
    }
    if (!isManaged)
      missing.push({
        target: target.id,
        dueAt: by === undefined ? firstDue(target, state, now, turn, draw) : now,
      });
  }
  await Promise.all(wants);
  await indexes.enlist(host, missing);
  await indexes.setDue(host, changed, now);
  return { added: missing.length, changed: changed.length };
}

function firstDue(target: Target, state: TargetState, now: number, turn: Turn, draw: Draw): number {
  const decision = decide(state, target, now);
  if (decision.act === 'refresh') return decision.reason === 'never issued' ? turn(target, now) : now;
  // Of the part of the window that is still to come, so that a rebuilt index is as smooth as the lost one.
  const from = Math.max(now, decision.until.from);
  return candidates({ from, to: Math.max(from, decision.until.to) }, [draw(), 0])[0];
}

/** When the next target of a client that never had a token is due. */
type Turn = (target: Target, now: number) => number;

/**
 * Spreads what never had a token at twice the pace at which its host may be asked: soon enough to leave no turn unused,
 * and not all at once, since who waits longest has the next turn, and what is due is looked at and filed before it waits
 * for the gate. Each client for itself, so that a large one and a small one begin side by side, and none waits behind
 * another that may not go on.
 */
function turnsAtPace(catalogue: CataloguePort): Turn {
  const counts = new Map<string, number>();
  return ({ host, id }, now) => {
    const client = clientOf(id);
    const { count, windowMs } = catalogue.hosts().get(host)?.perHost ?? { count: 1, windowMs: 0 };
    const before = counts.get(client) ?? 0;
    counts.set(client, before + 1);
    return now + (before * windowMs) / count / 2;
  };
}

function reasonToWant(
  target: Target,
  state: TargetState,
  isManaged: boolean,
  { retryParked, before }: EnlistOptions,
  now: number,
): string | undefined {
  if (state.fingerprint !== '' && state.fingerprint !== target.fingerprint) return CHANGED;
  if (state.dormantSince > 0 && target.retireUnreadAfterMs === undefined)
    return 'its client no longer retires what is unread';
  // An attempt that runs may have begun with what was configured before, and its token has to be replaced.
  const isRunning = state.leaseUntil > now;
  if (isRunning && before !== undefined) {
    const earlier = before.get(target.id);
    if (earlier !== undefined && earlier.fingerprint !== target.fingerprint) return CHANGED;
  }
  const kind = state.failure?.kind;
  const isParked = kind === 'credential' || kind === 'configuration';
  return retryParked && isManaged && isParked && isChanged(before?.get(target.id)?.client, target.client)
    ? 'tried again after a start or a change of the configuration'
    : undefined;
}

const CHANGED = 'its configuration has changed';

/** Whether a client is another one than before, but for its tenants; without a before, as at a start, it is. */
function isChanged(before: Client | undefined, now: Client): boolean {
  if (before === undefined) return true;
  if (before === now) return false;
  const known = comparisons.get(now);
  if (known?.before === before) return known.changed;
  const changed = withoutTenants(before) !== withoutTenants(now);
  comparisons.set(now, { before, changed });
  return changed;
}

const comparisons = new WeakMap<Client, { readonly before: Client; readonly changed: boolean }>();
