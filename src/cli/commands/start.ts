import { type DaemonOptions, runDaemon } from '../../../workers/daemon.ts';
import type { CommonFlags } from '../flags.ts';
import { loadSettings } from '../settings.ts';
import { readVersion } from '../version.ts';

interface Flags extends CommonFlags {
  readonly role: DaemonOptions['role'];
}

/** Runs the daemon until a signal ends it. */
export async function runStart(flags: Flags): Promise<number> {
  const config = loadSettings(flags, { checkCredentials: 'enough' });
  return runDaemon({ config, role: flags.role, env: process.env, version: readVersion() });
}
