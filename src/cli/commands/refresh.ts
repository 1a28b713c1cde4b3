import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalogue } from '../../config/catalogue.ts';
import { decide } from '../../core/decide.ts';
import { type ParsedSelect, parseSelect } from '../../core/target.ts';
import type { OrderResult } from '../../refresh/orders.ts';
import type { Pause } from '../../store/fleet.ts';
import { type Awaited, type AwaitedOutcome, awaitOutcomes } from '../awaited.ts';
import { type OrderFlags, orderedBy, type SelectFlags } from '../flags.ts';
import { type ManagedTarget, managedTargets, pausedUntil } from '../managed.ts';
import { describeResult, giveOrder } from '../order.ts';
import { print, printJson } from '../output.ts';
import { Progress } from '../progress.ts';
import { renderEnd, type Waiting } from '../refresh-view.ts';
import { type Session, withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';
import { explainTarget } from './explain.ts';

export interface RefreshFlags extends OrderFlags, SelectFlags {
  readonly force?: boolean;
  readonly reason?: string;
  readonly wait?: boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

/** The ends of targets that still wait are explained one by one; of a great many only the first are. */
const MOST_EXPLAINED = 20;

/** Orders a refresh. 1 when all is refused, and with `--wait` when a target failed or took too long. */
export async function runRefresh(flags: RefreshFlags, written: string): Promise<number> {
  const select = parseSelect(written, { all: flags.all === true });
  return withSession(loadSettings(flags), async (session) => {
    // What is accepted without force is known only from how things were before.
    const before = flags.wait === true && flags.force !== true ? await willBeAccepted(session, select) : [];
    const { force, all, reason } = flags;
    const result = await giveOrder(session, 'refresh', {
      select: written,
      force,
      all,
      reason,
      by: orderedBy(flags),
    });
    const accepted = result.accepted > 0;
    if (flags.wait !== true || !accepted) {
      if (flags.json === true) printJson(result);
      else print(`${describeResult(result)}.`);
      return accepted ? 0 : 1;
    }
    const awaited = result.order === undefined ? before : await forced(session, select, result.order);
    return waitFor(session, flags, result, awaited);
  });
}

async function willBeAccepted(session: Session, select: ParsedSelect): Promise<Awaited[]> {
  const now = await session.fleet.now();
  const [catalogue, pauses] = await Promise.all([session.catalogue(), session.fleet.pauses(now)]);
  const awaited: Awaited[] = [];
  for await (const page of managedTargets(session, select, now)) {
    for (const { id, state } of page.filter((target) => isAccepted(target, catalogue, pauses, now)))
      awaited.push({ id, since: Math.max(state.generation, state.attempted) + 1 });
  }
  return awaited;
}

/** As the daemon sees it: what is not paused and would be refreshed now if its turn came. */
function isAccepted(
  { id, state }: ManagedTarget,
  catalogue: Catalogue,
  pauses: readonly Pause[],
  now: number,
): boolean {
  if ((pausedUntil(pauses, id) ?? 0) > now) return false;
  const policy = catalogue.get(id);
  if (policy === undefined) return true;
  const decision = decide(state, policy, now);
  return decision.act === 'refresh' || decision.reason === 'dormant';
}

/** A forced order has left its mark on those that it was accepted for: wanted, or already fulfilled. */
async function forced(session: Session, select: ParsedSelect, order: number): Promise<Awaited[]> {
  const awaited: Awaited[] = [];
  for await (const page of managedTargets(session, select, 0)) {
    for (const { id, state } of page) {
      const isMarked = Math.max(state.wanted, state.generation) >= order;
      if (isMarked) awaited.push({ id, since: order });
    }
  }
  return awaited;
}

async function waitFor(
  session: Session,
  flags: RefreshFlags,
  result: OrderResult,
  awaited: readonly Awaited[],
): Promise<number> {
  const outcomes: AwaitedOutcome[] = [];
  const progress = new Progress(awaited.length, flags.json === true ? undefined : process.stderr);
  const left = await awaitOutcomes(awaited, {
    timeoutMs: flags.timeout,
    read: (ids) => session.states.read(ids),
    now: () => session.fleet.now(),
    sleep: (ms) => sleep(ms),
    onOutcome: (outcome) => {
      outcomes.push(outcome);
      progress.show(outcome);
    },
  });
  progress.end();
  const waiting = await explainLeft(session, left);
  if (flags.json === true) printJson({ ...result, outcomes, waiting });
  else print(renderEnd(outcomes, waiting, left.length, await session.fleet.now()));
  return outcomes.some(({ outcome }) => outcome === 'failed') || left.length > 0 ? 1 : 0;
}

async function explainLeft(session: Session, left: readonly Awaited[]): Promise<Waiting[]> {
  if (left.length === 0) return [];
  const [catalogue, now] = await Promise.all([session.catalogue(), session.fleet.now()]);
  const pauses = await session.fleet.pauses(now);
  return Promise.all(
    left.slice(0, MOST_EXPLAINED).map(async ({ id }) => {
      const { summary, next } = await explainTarget(session, catalogue, pauses, id);
      return { target: id, summary, next: next.what };
    }),
  );
}
