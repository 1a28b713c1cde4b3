import { EvertokenError } from '../../core/errors.ts';
import { isTenant, parseSelect, parseTarget, printable, TENANT_GRAMMAR } from '../../core/target.ts';
import { matchManaged } from '../../refresh/match.ts';
import type { OrderResult } from '../../refresh/orders.ts';
import { type OrderFlags, orderedBy } from '../flags.ts';
import { indexesOf } from '../managed.ts';
import { describeResult, giveOrder } from '../order.ts';
import { print, printJson } from '../output.ts';
import { type Session, withSession } from '../session.ts';
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
  return withSession(loadSettings(flags), async (session) => {
    const meant = flags.absent === true ? await absentTenants(session, client) : tenants;
    const result = await giveOrder(session, 'remove', { client, tenants: meant, by: orderedBy(flags) });
    show(
      flags,
      result,
      `Removed ${meant.length} tenant${meant.length === 1 ? '' : 's'}: ${describeResult(result)}.`,
    );
    return 0;
  });
}

function checkTenants(tenants: readonly string[]): void {
  const wrong = tenants.find((tenant) => !isTenant(tenant));
  if (wrong !== undefined)
    throw new EvertokenError('USAGE', `expected tenants of ${TENANT_GRAMMAR}, but got "${printable(wrong)}"`);
}

/** Tenants of a client with managed targets of which neither the configuration nor an operator names any. */
async function absentTenants(session: Session, client: string): Promise<string[]> {
  const catalogue = await session.catalogue();
  const named = new Set<string>();
  const managed = new Set<string>();
  for (const id of catalogue.ids()) if (id.startsWith(`${client}/`)) named.add(parseTarget(id).tenant);
  const select = parseSelect(`${client}/*/*`);
  for await (const { entries } of matchManaged(indexesOf(session), select))
    for (const { target } of entries) managed.add(parseTarget(target).tenant);
  const absent = [...managed].filter((tenant) => !named.has(tenant)).sort();
  if (absent.length > 0) return absent;
  throw new EvertokenError(
    'NOT_FOUND',
    `client ${printable(client)} has no managed tenant that the configuration at hand does not name`,
  );
}

function show(flags: OrderFlags, result: OrderResult, text: string): void {
  if (flags.json === true) printJson(result);
  else print(text);
}
