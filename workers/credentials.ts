import type { Parts } from '../src/compose/parts.ts';
import { startLoop } from './loop.ts';
import type { Service } from './service.ts';

const CHECK_MS = 1000;

/** Watches what the credentials of the configured clients are made of, and the clocks that they are judged by. */
export function startWatchingCredentials(
  { credentialWatch, clockWatch }: Parts,
  onError: (error: unknown) => void,
): Service {
  const turn = async (): Promise<number> => {
    clockWatch.look();
    await credentialWatch.look();
    return CHECK_MS;
  };
  const loop = startLoop({ turn, onError, afterErrorMs: CHECK_MS });
  return { stop: async () => loop.stop(), disconnect: () => {} };
}
