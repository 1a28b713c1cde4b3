/**
 * Loaded into the demo's child processes before their own program (`node --import`). The demo holds the other
 * end of their standard input for as long as it lives, however it dies: where that end comes, the demo has not
 * ended this process itself, and nobody else will.
 */
import { rmSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** The environment variable that names the directory to remove when the demo is gone. */
const DIRECTORY_VARIABLE = 'EVERTOKEN_DEMO_DIRECTORY';

function endLeftBehind(): void {
  try {
    rmSync(process.env[DIRECTORY_VARIABLE] ?? '', { recursive: true, force: true });
  } catch {
    // The other children remove it at the same moment.
  }
  process.kill(process.pid, 'SIGKILL');
}

// A thread's standard input ends at once.
if (isMainThread && process.env[DIRECTORY_VARIABLE] !== undefined) {
  process.stdin.once('end', endLeftBehind).once('error', endLeftBehind).resume();
  process.stdin.unref();
}
