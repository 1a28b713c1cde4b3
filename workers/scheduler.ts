import type { Parts } from '../src/compose/parts.ts';
import { Dispatcher } from '../src/refresh/dispatch.ts';
import { type Loop, startLoop } from './loop.ts';

export interface Scheduler {
  wake(): void;
  stop(): Promise<void>;
}

/** How long a host's dispatcher sleeps when this process has not joined the fleet yet. */
const NOT_JOINED_MS = 100;

/** Runs a dispatcher for every host of the configuration, also for those that come while it runs. */
export function startScheduler(parts: Parts, onError: (error: unknown) => void): Scheduler {
  const { log, health, member, states, indexes, marks, refreshQueue, draw } = parts;
  const loops = new Map<string, Loop>();
  const ending = new Set<Promise<void>>();
  let stopped = false;

  function startHost(host: string): Loop {
    const dispatcher = new Dispatcher(host, {
      catalogue: () => member.catalogue,
      states,
      indexes,
      marks,
      enqueue: (targets) => refreshQueue.add(targets),
      pausedUntil: (target) => member.pausedUntil(target),
      mayRetire: () => member.allAgree(),
      epoch: () => member.epoch,
      draw,
    });
    const onFailure = (error: unknown): void => {
      health.failed('dispatch-failing');
      onError(error);
    };
    return startLoop({ turn: () => takeStep(dispatcher, host), onError: onFailure });
  }

  function endHost(host: string, loop: Loop): void {
    loops.delete(host);
    const ended = loop.stop();
    ending.add(ended);
    void ended.finally(() => ending.delete(ended));
  }

  function followHosts(): void {
    if (stopped) return;
    const hosts = member.catalogue.hosts();
    for (const [host, loop] of loops) if (!hosts.has(host)) endHost(host, loop);
    for (const host of hosts.keys()) if (!loops.has(host)) loops.set(host, startHost(host));
  }

  followHosts();
  member.onChange(followHosts);

  async function takeStep(dispatcher: Dispatcher, host: string): Promise<number> {
    const perHost = member.perHost(host);
    if (member.epoch === '' || perHost === undefined) return NOT_JOINED_MS;
    const step = await dispatcher.step(perHost);
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
      for (const loop of loops.values()) loop.wake();
    },
    stop: async () => {
      stopped = true;
      await Promise.all([...[...loops.values()].map((loop) => loop.stop()), ...ending]);
    },
  };
}
