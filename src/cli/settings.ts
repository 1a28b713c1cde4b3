import type { Config } from '../config/config.ts';
import { findConfigFile, type LoadOptions, loadConfig } from '../config/load.ts';
import { normaliseTenant } from '../config/wire.ts';
import { formatTarget, parseTarget, type TargetId } from '../core/target.ts';
import type { CommonFlags } from './flags.ts';

/** The configuration that the command line means: `-c`, else EVERTOKEN_CONFIG, else ./evertoken.yaml. */
export function loadSettings(flags: CommonFlags, options: LoadOptions = {}): Config {
  return loadConfig(findConfigFile({ flag: flags.config, env: process.env }), process.env, options);
}

/**
 * The configuration, and the id of a target as it stands in Redis for one as somebody writes it. Throws
 * TARGET_INVALID before anything else.
 */
export function loadForTarget(flags: CommonFlags, written: string): { config: Config; id: TargetId } {
  const parts = parseTarget(written);
  const config = loadSettings(flags);
  const client = config.clients.find(({ name }) => name === parts.client);
  if (client === undefined) return { config, id: written };
  return { config, id: formatTarget({ ...parts, tenant: normaliseTenant(client.endpoint, parts.tenant) }) };
}
