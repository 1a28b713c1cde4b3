import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { EvertokenError } from '../../core/errors.ts';
import { type ParsedSelect, parseSelect } from '../../core/target.ts';
import { matchManaged } from '../../refresh/match.ts';
import { type OrderFlags, orderedBy, type SelectFlags } from '../flags.ts';
import { indexesOf } from '../managed.ts';
import { describeResult, giveOrder } from '../order.ts';
import { note, print, printJson } from '../output.ts';
import { type Session, withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';

interface PurgeFlags extends OrderFlags, SelectFlags {
  readonly yes?: boolean;
}

/** Deletes tokens. Asks first, unless `--yes` says that nobody needs to. */
export async function runPurge(flags: PurgeFlags, written: string): Promise<number> {
  const select = parseSelect(written, { all: flags.all === true });
  if (flags.yes !== true && !process.stdin.isTTY)
    throw new EvertokenError(
      'USAGE',
      'purge deletes tokens that consumers use: say --yes where nobody can be asked',
    );
  return withSession(loadSettings(flags), async (session) => {
    if (flags.yes !== true && !(await isMeant(session, select))) {
      note('Nothing was purged.');
      return 1;
    }
    const order = { select: written, all: flags.all, by: orderedBy(flags) };
    const result = await giveOrder(session, 'purge', order);
    if (flags.json === true) printJson(result);
    else print(`Purged: ${describeResult(result)}. New tokens are fetched at once.`);
    return 0;
  });
}

async function isMeant(session: Session, select: ParsedSelect): Promise<boolean> {
  let count = 0;
  for await (const { entries } of matchManaged(indexesOf(session), select)) count += entries.length;
  if (count === 0) throw new EvertokenError('NOT_FOUND', `select "${select.text}" matches no managed target`);
  const targets = `${count} target${count === 1 ? '' : 's'} (${select.text})`;
  return (await ask(`Delete the tokens of ${targets} now? Type yes: `)) === 'yes';
}

async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D end the terminal without an answer.
  const ended = once(terminal, 'close').then(() => '');
  try {
    return (await Promise.race([terminal.question(question), ended])).trim().toLowerCase();
  } finally {
    terminal.close();
  }
}
