import { EvertokenError } from '../../core/errors.ts';
import { formatMoment } from '../../core/moment.ts';
import { parseSelect } from '../../core/target.ts';
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

const DEFAULT_PAUSE_MS = 3_600_000;
const LONGEST_PAUSE_MS = 24 * 3_600_000;

/** Holds back the refreshing of targets for a time. */
export async function runPause(flags: PauseFlags, select: string): Promise<number> {
  parseSelect(select, { all: flags.all === true });
  return withSession(loadSettings(flags), async (session) => {
    const now = await session.fleet.now();
    const untilMs = flags.until ?? now + (flags.for ?? DEFAULT_PAUSE_MS);
    if (untilMs <= now || untilMs > now + LONGEST_PAUSE_MS)
      throw new EvertokenError('USAGE', 'expected a pause that ends in the future and lasts at most 24 h');
    const until = new Date(untilMs).toISOString();
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
