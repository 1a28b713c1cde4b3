import type { Parts } from '../src/compose/parts.ts';
import { startLoop } from './loop.ts';
import type { Service } from './service.ts';

/** As often as everything else that the fleet shares is read. */
const LOOK_MS = 5000;

/** Plans by how long tokens live now, and says what of the outage targets can be held. */
export function startWatchingOutages(
  { outageWatch, member }: Parts,
  onError: (error: unknown) => void,
): Service {
  const turn = async (): Promise<number> => {
    await outageWatch.look();
    return LOOK_MS;
  };
  const loop = startLoop({ turn, onError, afterErrorMs: LOOK_MS });
  member.onChange(() => outageWatch.replan());
  return { stop: async () => loop.stop(), disconnect: () => {} };
}
