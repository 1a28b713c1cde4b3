/** Something that is done again and again until it is stopped. */
export interface Loop {
  /** Ends the current sleep. */
  wake(): void;
  /** Resolves when the turn that is running has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  /** One turn. Gives how long to sleep after it, ms; it may be woken earlier. */
  readonly turn: () => Promise<number>;
  /** Told of every turn that throws; the loop goes on after `afterErrorMs`. */
  readonly onError: (error: unknown) => void;
  /** Default 500. */
  readonly afterErrorMs?: number;
}

/** Runs a loop. Its timer does not keep the process alive. */
export function startLoop({ turn, onError, afterErrorMs = 500 }: LoopOptions): Loop {
  let stopped = false;
  let woken = false;
  let wakeUp: () => void = () => {};

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const run = async (): Promise<void> => {
    while (!stopped) {
      woken = false;
      const sleepMs = await turn().catch((error: unknown) => {
        onError(error);
        return afterErrorMs;
      });
      // A wake during the turn came for what the turn may have missed.
      if (!stopped && !woken) await sleep(sleepMs);
    }
  };
  const done = run();

  return {
    wake() {
      woken = true;
      wakeUp();
    },
    async stop() {
      stopped = true;
      wakeUp();
      await done;
    },
  };
}
