import type { CommonFlags } from '../flags.ts';
import { gatherStatus } from '../fleet-status.ts';
import { isColourful, print, printJson } from '../output.ts';
import { withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';
import { renderStatus } from '../status-view.ts';

/** Shows the fleet. 1 when no daemon lives. */
export async function runStatus(flags: CommonFlags): Promise<number> {
  const status = await withSession(loadSettings(flags), gatherStatus);
  if (flags.json === true) printJson(status);
  else print(renderStatus(status, isColourful(process.stdout)));
  return status.processes.length === 0 ? 1 : 0;
}
