import { EvertokenError } from '../../core/errors.ts';
import { isTenant, printable, TENANT_GRAMMAR } from '../../core/target.ts';
import type { OrderResult } from '../../refresh/orders.ts';
import { type OrderFlags, orderedBy } from '../flags.ts';
import { describeResult, giveOrder } from '../order.ts';
import { print, printJson } from '../output.ts';
import { withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';

interface RemoveFlags extends OrderFlags {
  readonly absent?: boolean;
}

/** Begins to manage tenants that the configuration does not name. */
export async function runAdd(flags: OrderFlags, client: string, tenants: readonly string[]): Promise<number> {
  checkTenants(tenants);
  const order = { client, tenants, by: orderedBy(flags) };
  const result = await withSession(loadSettings(flags), (session) => giveOrder(session, 'add', order));
  const nothing = 'Nothing new: they are managed already.';
  show(flags, result, result.accepted === 0 ? nothing : `Added: ${describeResult(result)}.`);
  return 0;
}

/** Ends the management of tenants: of those that are named, or of those that nothing names any more. */
export async function runRemove(
  flags: RemoveFlags,
  client: string,
  tenants: readonly string[],
): Promise<number> {
  if ((flags.absent === true) === tenants.length > 0)
    throw new EvertokenError('USAGE', 'expected either tenants or --absent');
  checkTenants(tenants);
  const meant = flags.absent === true ? { absent: true } : { tenants };
  const order = { client, ...meant, by: orderedBy(flags) };
  const result = await withSession(loadSettings(flags), (session) => giveOrder(session, 'remove', order));
  show(flags, result, `Removed: ${describeResult(result)}.`);
  return 0;
}

function checkTenants(tenants: readonly string[]): void {
  const wrong = tenants.find((tenant) => !isTenant(tenant));
  if (wrong !== undefined)
    throw new EvertokenError('USAGE', `expected tenants of ${TENANT_GRAMMAR}, but got "${printable(wrong)}"`);
}

function show(flags: OrderFlags, result: OrderResult, text: string): void {
  if (flags.json === true) printJson(result);
  else print(text);
}
