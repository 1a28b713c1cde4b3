import type { Catalogue } from '../../config/catalogue.ts';
import { credentialHold } from '../../core/credential-choice.ts';
import { perSecond } from '../../core/duration.ts';
import { type Explanation, explain } from '../../core/explain.ts';
import { lowestLimit } from '../../core/lowest-limit.ts';
import { clientOf, type TargetId } from '../../core/target.ts';
import type { Pause } from '../../store/fleet.ts';
import type { CommonFlags } from '../flags.ts';
import { liveProcesses, pausedUntil, standingOf } from '../managed.ts';
import { print, printJson } from '../output.ts';
import { type Session, withSession } from '../session.ts';
import { loadForTarget } from '../settings.ts';

const NOBODY_LIVES = 'No daemon lives: until one is started (evertoken start), nothing of this happens.';

/** Says why a target's token is as it is. 3 for a target that is not managed. */
export async function runExplain(flags: CommonFlags, written: string): Promise<number> {
  const { config, id } = loadForTarget(flags, written);
  const { explanation, lives } = await withSession(config, async (session) => {
    const pauses = await session.fleet.pauses(await session.fleet.now());
    return {
      explanation: await explainTarget(session, await session.catalogue(), pauses, id),
      lives: (await liveProcesses(session)).length > 0,
    };
  });
  const lines = lives ? explanation.lines : [...explanation.lines, NOBODY_LIVES];
  if (flags.json === true) printJson({ ...explanation, lines });
  else print([explanation.summary, ...lines.map((line) => `- ${line}`)].join('\n'));
  return explanation.condition === 'not managed' ? 3 : 0;
}

/** Collects what is known about one target, and explains it. */
export async function explainTarget(
  session: Session,
  catalogue: Catalogue,
  pauses: readonly Pause[],
  id: TargetId,
): Promise<Explanation> {
  const { states, gates, marks, fleet } = session;
  const policy = catalogue.get(id);
  const managed = await standingOf(session, id);
  const [[state], tokenThere, [idleMs], hostGate, tenantGate, [ofClient = []], now, processes] =
    await Promise.all([
      states.read([id]),
      states.hasTokenKey(id),
      states.idleMs([id]),
      gates.read({ host: managed?.host ?? policy?.host ?? '' }),
      gates.read({ tenantScope: id.slice(0, id.lastIndexOf('/')) }),
      marks.read([clientOf(id)]),
      fleet.now(),
      liveProcesses(session),
    ]);
  if (state === undefined) throw new Error('expected a state for every target that is read');
  const perHost = policy && lowestLimit(policy.host, catalogue.hosts().get(policy.host)?.perHost, processes);
  return explain({
    ...{ id, state, policy, tokenThere, idleMs, hostGate, tenantGate, now },
    limits: policy &&
      perHost && { perHost: perSecond(perHost), perTenant: perSecond(policy.client.limits.perTenant) },
    standing: managed?.standing,
    pausedUntil: pausedUntil(pauses, id),
    hold: credentialHold(ofClient, now),
  });
}
