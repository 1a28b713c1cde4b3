import type { EvertokenError } from '../core/errors.ts';
import type { Environment } from '../credentials/source.ts';
import type { Config } from './config.ts';
import { type Reading, signatureOfAll } from './files.ts';
import { tryLoadConfig } from './load.ts';

export interface WatchOptions {
  /** The configuration's file. */
  readonly file: string;
  readonly env: Environment;
  /** What was loaded from it. */
  readonly current: Config;
  /** Called with a configuration that is well, when something else stands in its files than at the last load. */
  readonly onChange: (config: Config) => void;
  /** Called once for each content that cannot be used; what was loaded before stays in force. */
  readonly onProblem: (error: EvertokenError) => void;
  /** How often the files are looked at. Default 1,000 ms. */
  readonly pollMs?: number | undefined;
}

export interface ConfigWatch {
  /** Loads at once and calls `onChange` or `onProblem`, also where nothing has changed. */
  reload(): void;
  stop(): void;
}

const POLL_MS = 1000;

/**
 * Follows the files of a configuration by looking at them, since notifications miss the swaps of symbolic links with
 * which volumes are updated. A change is loaded once it has been the same for two looks: whoever writes a file may be
 * half way. Files that a broken configuration names are followed as well. Keeps no process alive.
 */
export function watchConfig(options: WatchOptions): ConfigWatch {
  const { file, env, current, onChange, onProblem, pollMs = POLL_MS } = options;
  let files = current.files;
  let known: Reading = current.reading ?? { signature: signatureOfAll(files), digest: '' };
  let pending: string | undefined;

  const load = (isOrdered: boolean): void => {
    const loaded = tryLoadConfig(file, env);
    const isSame = loaded.reading.digest === known.digest;
    files = loaded.files;
    known = loaded.reading;
    pending = undefined;
    if (isSame && !isOrdered) return;
    if ('config' in loaded) onChange(loaded.config);
    else onProblem(loaded.error);
  };

  const look = (): void => {
    const seen = signatureOfAll(files);
    const [isKnown, isSettled] = [seen === known.signature, seen === pending];
    pending = isKnown ? undefined : seen;
    if (!isKnown && isSettled) load(false);
  };

  const timer = setInterval(look, pollMs);
  timer.unref();
  return { reload: () => load(true), stop: () => clearInterval(timer) };
}
