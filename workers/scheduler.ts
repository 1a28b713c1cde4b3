import type { Parts } from '../src/compose/parts.ts';
import { Dispatcher } from '../src/refresh/dispatch.ts';
import { type Loop, startLoop } from './loop.ts';

export interface Scheduler {
  wake(): void;
  stop(): Promise<void>;
}

/** How long a host's dispatcher sleeps when this process has not joined the fleet yet. */
const NOT_JOINED_MS = 100;

/** Runs a dispatcher for every host of the configuration. */
export function startScheduler(parts: Parts, onError: (error: unknown) => void): Scheduler {
  const { log, health, member, states, indexes, refreshQueue, draw } = parts;
  const loops: Loop[] = [];
  for (const [host] of member.catalogue.hosts()) {
    const dispatcher = new Dispatcher(host, {
      catalogue: () => member.catalogue,
      states,
      indexes,
      enqueue: (targets) => refreshQueue.add(targets),
      pausedUntil: (target) => member.pausedUntil(target),
      epoch: () => member.epoch,
      draw,
    });
    const onFailure = (error: unknown): void => {
      health.failed('dispatch-failing');
      onError(error);
    };
    loops.push(startLoop({ turn: () => takeStep(dispatcher, host), onError: onFailure }));
  }

  async function takeStep(dispatcher: Dispatcher, host: string): Promise<number> {
    const limits = member.catalogue.hosts().get(host);
    if (member.epoch === '' || limits === undefined) return NOT_JOINED_MS;
    const step = await dispatcher.step(limits.perHost);
    health.succeeded('dispatch-failing');
    if (step.outcome === 'epoch lost') {
      // The next heartbeat begins a new epoch, or learns of the one that another process has begun.
      log.debug({ host }, 'Redis does not know this epoch');
      return NOT_JOINED_MS;
    }
    return step.sleepMs;
  }

  return {
    wake: () => {
      for (const loop of loops) loop.wake();
    },
    stop: async () => {
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}
