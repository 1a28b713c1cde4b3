import { setTimeout as pause } from 'node:timers/promises';

/** Asks until it holds; for what nobody announces. Rejects after `withinMs`. */
export async function eventually(
  holds: () => Promise<boolean> | boolean,
  what: string,
  withinMs = 20_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(20);
  }
}
