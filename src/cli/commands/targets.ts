import { EvertokenError } from '../../core/errors.ts';
import { formatDistance } from '../../core/moment.ts';
import { parseSelect } from '../../core/target.ts';
import type { CommonFlags } from '../flags.ts';
import { EVERYTHING, type ManagedTarget, managedTargets } from '../managed.ts';
import { isColourful, print } from '../output.ts';
import { withSession } from '../session.ts';
import { loadSettings } from '../settings.ts';
import { CONDITION_STYLES, type Column, renderTable } from '../table.ts';

/** Lists managed targets by id. `--json`: one array, a target a line. 3 when a select matches none. */
export async function runTargets(flags: CommonFlags, written?: string): Promise<number> {
  const select = written === undefined ? EVERYTHING : parseSelect(written, { all: true });
  const { targets, now } = await withSession(loadSettings(flags), async (session) => {
    const now = await session.fleet.now();
    const targets: ManagedTarget[] = [];
    for await (const page of managedTargets(session, select, now)) targets.push(...page);
    return { targets: targets.sort(byId), now };
  });
  if (targets.length === 0 && written !== undefined)
    throw new EvertokenError('NOT_FOUND', `select "${written}" matches no managed target`);
  print(flags.json === true ? renderJson(targets) : renderTargets(targets, now, isColourful(process.stdout)));
  return 0;
}

const byId = (a: ManagedTarget, b: ManagedTarget): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/** The table for people. */
export function renderTargets(targets: readonly ManagedTarget[], now: number, colour: boolean): string {
  if (targets.length === 0)
    return 'No target is managed: a daemon begins with those of its configuration when it starts.';
  const columns: Column<ManagedTarget>[] = [
    { title: 'TARGET', cell: ({ id }) => id },
    {
      title: 'STATE',
      cell: ({ condition }) => condition,
      style: ({ condition }) => CONDITION_STYLES[condition],
    },
    { title: 'EXPIRES', align: 'right', cell: ({ state }) => distance(state.expiresAt, now) },
    { title: 'NEXT', align: 'right', cell: (target) => nextAction(target, now) },
    {
      title: 'FAILURES',
      align: 'right',
      cell: ({ state }) => (state.failures === 0 ? '' : `${state.failures}`),
    },
    { title: 'LAST FAILURE', cell: ({ state }) => state.failure?.code ?? '' },
  ];
  return renderTable(columns, targets, { colour });
}

const distance = (at: number, now: number): string => (at === 0 ? '' : formatDistance(at, now));

function nextAction({ condition, standing: { ready, dueAt } }: ManagedTarget, now: number): string {
  if (condition === 'dormant') return 'when asked for';
  return ready || dueAt <= now ? 'now' : formatDistance(dueAt, now);
}

function renderJson(targets: readonly ManagedTarget[]): string {
  const lines = targets.map(({ id, host, condition, standing, state }) =>
    JSON.stringify({
      ...{ target: id, host, state: condition, expiresAt: state.expiresAt, dueAt: standing.dueAt },
      ...{ ready: standing.ready, generation: state.generation, failures: state.failures },
      failure: state.failure ?? null,
    }),
  );
  return `[${lines.length > 0 ? '\n' : ''}${lines.join(',\n')}${lines.length > 0 ? '\n' : ''}]`;
}
