/**
 * The daemon as `evertoken start` runs it, which also tells what processor time it has used, in ms, and, asked for its
 * `stall`, the longest time for which its event loop has stood still since it was asked last, in ms.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadConfig } from '../../src/config/load.ts';
import { runDaemon } from '../../workers/daemon.ts';

/** Watching costs something: from the first question on. */
let delays: ReturnType<typeof monitorEventLoopDelay> | undefined;

function stallMs(): number {
  const longest = delays === undefined ? 0 : delays.max / 1e6;
  if (delays === undefined) {
    delays = monitorEventLoopDelay({ resolution: 1 });
    delays.enable();
  }
  delays.reset();
  return longest;
}

process.on('message', (question) => {
  if (question === 'stall') {
    process.send?.(stallMs());
    return;
  }
  const { user, system } = process.cpuUsage();
  process.send?.((user + system) / 1000);
});
process.on('disconnect', () => process.exit(1));

const config = loadConfig(process.argv[2] ?? '', process.env);
process.exitCode = await runDaemon({ config, role: 'all', env: process.env, version: '0.0.0' });
process.removeAllListeners('disconnect');
process.disconnect();
