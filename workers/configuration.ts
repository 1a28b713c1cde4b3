import { needsRestart } from '../src/compose/configuration.ts';
import type { Parts } from '../src/compose/parts.ts';

export interface FollowedConfiguration {
  /** Reads the configuration again now. What failed for want of a right credential or configuration is tried again. */
  reload(): void;
  stop(): void;
}

/**
 * Keeps a process with its configuration as it is written. One that is broken changes nothing and is told loudly, as is
 * what cannot be taken over while the process runs.
 */
export function followConfiguration(
  parts: Parts,
  wake: () => void,
  onTrouble: (error: unknown) => void,
): FollowedConfiguration {
  const { config, configuration, member, log, health, metrics } = parts;
  const loaded = (): void => {
    metrics.configurationValid.set(1);
    metrics.configurationLoaded.set(Date.now() / 1000);
    if (health.set('configuration-broken', false)) log.info('the configuration is well again');
  };
  const takeOver = async (): Promise<void> => {
    await member.reload();
    wake();
  };

  const onChange = (changed: Parts['config']): void => {
    loaded();
    reportRestart(needsRestart(config, changed), parts);
    configuration.offer(changed.clients);
    // Where Redis does not answer, the next heartbeat that gets through takes it over.
    takeOver().catch(onTrouble);
  };
  const onProblem = (error: unknown): void => {
    metrics.configurationValid.set(0);
    health.set('configuration-broken', true);
    const findings = error instanceof Error ? error.message.split('\n') : [];
    log.error(
      { findings },
      'the configuration cannot be used as it is written now: the last one that could runs on',
    );
  };

  loaded();
  const watch = parts.watchConfig({ onChange, onProblem });
  return watch;
}

function reportRestart(keys: readonly string[], { health, log }: Parts): void {
  health.set('configuration-needs-restart', keys.length > 0);
  if (keys.length > 0)
    log.error(
      { keys },
      'these keys of the configuration are changed only by a restart; the rest is taken over',
    );
}
