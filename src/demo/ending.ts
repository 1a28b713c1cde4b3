/** Why a run is over. */
export type Ending =
  | { readonly kind: 'time' }
  /** `by`: a signal, or the end of the output that it prints to. */
  | { readonly kind: 'interrupted'; readonly by: string }
  | { readonly kind: 'failed'; readonly message: string; readonly log: LogTail | undefined };

/** The last lines of the process that may tell what was wrong. */
export interface LogTail {
  readonly of: string;
  readonly lines: readonly string[];
}

/** A part of the demo does not start, or has ended by itself. */
export class DemoFailure extends Error {
  readonly log: LogTail;

  constructor(message: string, log: LogTail) {
    super(message);
    this.log = log;
  }
}

/** Somebody wants the demo to end. */
export class Interruption extends Error {
  readonly by: string;

  constructor(by: string) {
    super(`interrupted by ${by}`);
    this.by = by;
  }
}

/** What an error of this module means; any other is thrown on. */
export function endingOf(error: unknown): Ending {
  if (error instanceof Interruption) return { kind: 'interrupted', by: error.by };
  if (error instanceof DemoFailure) return { kind: 'failed', message: error.message, log: error.log };
  throw error;
}

/** npm passes a Ctrl-C on that the terminal has delivered already. */
const SAME_SIGNAL_MS = 500;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interruptions {
  /** Aborts with an {@link Interruption}. */
  readonly signal: AbortSignal;
  dispose(): void;
}

/**
 * Listens for signals and for the end of the output, as `| head` and a closed terminal bring it. A second
 * signal ends this process at once; the children then end themselves.
 */
export function listenForInterruptions(): Interruptions {
  const abort = new AbortController();
  let askedAt: number | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    if (askedAt !== undefined && performance.now() - askedAt > SAME_SIGNAL_MS) process.exit(1);
    askedAt ??= performance.now();
    abort.abort(new Interruption(name));
  };
  const onLostOutput = (): void => abort.abort(new Interruption('the end of its output'));
  for (const name of SIGNALS) process.on(name, onSignal);
  // Never taken away: what is printed while ending finds the output lost once more.
  for (const output of [process.stdout, process.stderr]) output.on('error', onLostOutput);
  return {
    signal: abort.signal,
    dispose() {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}

/** Resolves when the signal aborts, with its reason. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}
