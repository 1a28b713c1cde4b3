import type { Parts } from '../src/compose/parts.ts';
import { startLoop } from './loop.ts';
import type { Service } from './service.ts';

/** Somebody may change the settings of Redis, and those of a configuration, while a daemon runs. */
const LOOK_MS = 60_000;
const AFTER_ERROR_MS = 5000;

/** Watches whether Redis tells what is read, where unread targets are to retire. */
export function startWatchingReads(
  { readsWatch, member }: Parts,
  onError: (error: unknown) => void,
): Service {
  const turn = async (): Promise<number> => {
    await readsWatch.look();
    return LOOK_MS;
  };
  const loop = startLoop({ turn, onError, afterErrorMs: AFTER_ERROR_MS });
  member.onChange(() => loop.wake());
  return { stop: async () => loop.stop(), disconnect: () => {} };
}
