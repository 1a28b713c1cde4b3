/** The daemon as `evertoken start` runs it, which also tells what processor time it has used, in ms. */
import { loadConfig } from '../../src/config/load.ts';
import { runDaemon } from '../../workers/daemon.ts';

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.((user + system) / 1000);
});
process.on('disconnect', () => process.exit(1));

const config = loadConfig(process.argv[2] ?? '', process.env);
process.exitCode = await runDaemon({ config, role: 'all', env: process.env, version: '0.0.0' });
process.removeAllListeners('disconnect');
process.disconnect();
