import { EvertokenError } from '../../core/errors.ts';
import { formatMoment } from '../../core/moment.ts';
import { parseSelect } from '../../core/target.ts';
import { LONGEST_PAUSE_MS } from '../../refresh/orders.ts';
import { type OrderFlags, orderedBy, type SelectFlags } from '../flags.ts';
import { describeResult, giveOrder } from '../order.ts';
import { print, printJson } from '../output.ts';
import { withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';

interface PauseFlags extends OrderFlags, SelectFlags {
  /** Milliseconds. */
  readonly for?: number;
  /** Epoch milliseconds. */
  readonly until?: number;
}

/**
 * Holds back the refreshing of targets for a time; without an end a daemon says how long. The end is a moment, so that
 * an order that has to wait for a daemon does not begin to count only then.
 */
export async function runPause(flags: PauseFlags, select: string): Promise<number> {
  parseSelect(select, { all: flags.all === true });
  return withSession(loadSettings(flags), async (session) => {
    const now = await session.fleet.now();
    const until = flags.until ?? (flags.for === undefined ? undefined : now + flags.for);
    if (until !== undefined && (until <= now || until > now + LONGEST_PAUSE_MS))
      throw new EvertokenError('USAGE', 'expected a pause that ends in the future and lasts at most 24 h');
    const order = { select, all: flags.all, until, by: orderedBy(flags) };
    const result = await giveOrder(session, 'pause', order);
    if (flags.json === true) printJson(result);
    else print(`Paused until ${formatMoment((result.until ?? 0) * 1000, now)}: ${describeResult(result)}.`);
    return 0;
  });
}

/** Ends a pause. 3 where there is none by that select. */
export async function runResume(flags: OrderFlags, select: string): Promise<number> {
  parseSelect(select, { all: true });
  const order = { select, by: orderedBy(flags) };
  const result = await withSession(loadSettings(flags), (session) => giveOrder(session, 'resume', order));
  if (flags.json === true) printJson(result);
  else print(`Resumed: ${describeResult(result)}.`);
  return 0;
}
