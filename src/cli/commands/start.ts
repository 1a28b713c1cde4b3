import { type DaemonOptions, runDaemon } from '../../../workers/daemon.ts';
import { Catalogue } from '../../config/catalogue.ts';
import type { Config } from '../../config/config.ts';
import { EvertokenError } from '../../core/errors.ts';
import type { HostPlan } from '../../core/feasibility.ts';
import { feasibilityProblems } from '../../core/feasibility-words.ts';
import type { CommonFlags } from '../flags.ts';
import { withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';
import { readVersion } from '../version.ts';

interface Flags extends CommonFlags {
  readonly role: DaemonOptions['role'];
  readonly strict?: boolean;
}

/** Runs the daemon until a signal ends it. With `--strict` throws OUTAGE_TARGET_NOT_HELD where a target is not held. */
export async function runStart(flags: Flags): Promise<number> {
  const config = loadSettings(flags, { checkCredentials: 'enough' });
  if (flags.strict === true) refuseWhatIsNotHeld(await plansOf(config));
  return runDaemon({ config, role: flags.role, env: process.env, version: readVersion() });
}

/** By the lives that the fleet has seen; without Redis, which a daemon waits for, by those that are configured. */
async function plansOf(config: Config): Promise<HostPlan[]> {
  try {
    return await withSession(config, async (session) =>
      (await session.catalogue()).replan(await session.lifetimes.read()),
    );
  } catch (error) {
    if (!(error instanceof EvertokenError) || error.code !== 'REDIS_UNREACHABLE') throw error;
    return new Catalogue(config.clients).replan();
  }
}

function refuseWhatIsNotHeld(plans: readonly HostPlan[]): void {
  const problems = plans.flatMap(feasibilityProblems);
  if (problems.length === 0) return;
  throw new EvertokenError(
    'OUTAGE_TARGET_NOT_HELD',
    `not started, since --strict was given and not every outage target is held:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
  );
}
