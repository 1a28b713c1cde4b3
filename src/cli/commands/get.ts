import { EvertokenError } from '../../core/errors.ts';
import type { CommonFlags } from '../flags.ts';
import { print } from '../output.ts';
import { withSession } from '../session.ts';
import { loadForTarget } from '../settings.ts';

/** Prints a target's access token alone, or its record. Reads the token key and nothing else: no daemon is needed. */
export async function runGet(flags: CommonFlags, written: string): Promise<number> {
  const { config, id } = loadForTarget(flags, written);
  const record = await withSession(config, ({ states }) => states.tokenRecord(id));
  if (record === undefined)
    throw new EvertokenError('NOT_FOUND', `there is no token for ${id}; evertoken explain ${id} says why`);
  print(flags.json === true ? record : accessTokenOf(record));
  return 0;
}

function accessTokenOf(record: string): string {
  const { access_token: accessToken } = JSON.parse(record) as { readonly access_token?: unknown };
  if (typeof accessToken !== 'string')
    throw new EvertokenError('STATE_MALFORMED', 'expected a token record of version 1 in the token key');
  return accessToken;
}
