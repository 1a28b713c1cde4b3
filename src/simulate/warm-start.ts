import { candidates, refreshWindow, slotWidthMs } from '../core/plan.ts';
import type { DueIndex } from './due-index.ts';
import type { Draw, Scenario } from './scenario.ts';
import { drawLifeMs, type SimulatedTarget } from './targets.ts';

/**
 * Gives a target the token that it has at the beginning, and a moment for its next refresh.
 *
 * In the steady state, a cycle takes from `earliest` to `latest` of the life, and a moment is in a cycle the more likely
 * the longer that is; where in it, is even. Of two such draws, the one in the emptier slot counts, as for any plan.
 */
export function startWarm(
  target: SimulatedTarget,
  due: DueIndex,
  { issuedWithinMs }: Pick<Scenario, 'issuedWithinMs'>,
  now: number,
  draw: Draw,
): number {
  const lifeMs = drawLifeMs(target.lifetime, draw);
  const window = refreshWindow(lifeMs, target);
  const [from, to] = [window.earliest * lifeMs, window.latest * lifeMs];
  if (issuedWithinMs !== undefined) {
    const issuedAt = now - Math.round(draw() * issuedWithinMs);
    const span = { from: issuedAt + from, to: issuedAt + to };
    const dueAt = emptierOf(due, candidates(span, [draw(), draw()]), slotWidthMs(span));
    return begin(target, issuedAt, lifeMs, Math.max(now, dueAt));
  }
  const inCycle = (): { issuedAt: number; dueAt: number } => {
    const cycleMs = Math.sqrt(from * from + draw() * (to * to - from * from));
    const issuedAt = Math.round(now - draw() * cycleMs);
    return { issuedAt, dueAt: Math.max(now, Math.round(issuedAt + cycleMs)) };
  };
  const [one, other] = [inCycle(), inCycle()];
  const dueAt = emptierOf(due, [one.dueAt, other.dueAt], slotWidthMs({ from, to }));
  return begin(target, dueAt === one.dueAt ? one.issuedAt : other.issuedAt, lifeMs, dueAt);
}

function emptierOf(due: DueIndex, [one, other]: readonly [number, number], slotMs: number): number {
  return due.count(other, other + slotMs) < due.count(one, one + slotMs) ? other : one;
}

function begin(
  { state, identical }: SimulatedTarget,
  issuedAt: number,
  lifeMs: number,
  dueAt: number,
): number {
  state.generation = issuedAt;
  state.attempted = issuedAt;
  state.concluded = issuedAt;
  state.issuedAt = issuedAt;
  state.expiresAt = issuedAt + lifeMs;
  if (issuedAt > dueAt - identical.windowMs) state.requestLog.push(issuedAt);
  return dueAt;
}
