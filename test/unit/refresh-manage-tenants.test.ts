import { describe, expect, it } from 'vitest';
import { ManageTenants, type ManageTenantsDependencies } from '../../src/refresh/manage-tenants.ts';
import type { Reconciler, Removals } from '../../src/refresh/reconcile.ts';

/** A fleet in which `kept` targets of `billing` are kept by this process, and `absent` ones only by Redis. */
function scene({ kept = 0, absent = [] as string[] } = {}) {
  const done: string[] = [];
  const fleet = { readsTheSame: true, disagreements: 1, kept };
  const say = async (what: string): Promise<void> => void done.push(what);
  const reconciler: Pick<Reconciler, 'removeAbsent'> = {
    removeAbsent: async (agreed, isConfirmed): Promise<Removals> => {
      await say(`remove absent of ${['billing', 'crm'].filter((client) => isConfirmed?.(client))}`);
      return { removed: (await agreed()) ? absent : [], awaitingConfirmation: new Map() };
    },
  };
  const deps: Partial<ManageTenantsDependencies> = {
    readsTheSame: async () => fleet.readsTheSame,
    agrees: async () => fleet.disagreements-- <= 0,
    kept: () => new Map(fleet.kept === 0 ? [] : [['billing', fleet.kept]]),
    orders: {
      overrideTenants: async () => {},
      confirmRemoval: (client) => say(`confirm ${client}`),
      announce: (change) => say(`announce ${change}`),
    },
    reconciler: reconciler as Reconciler,
    reload: () => say('reload'),
    sleep: (ms) => say(`sleep ${ms}`),
  };
  const tenants = new ManageTenants(deps as ManageTenantsDependencies);
  const confirm = (client = 'billing') => tenants.remove({ client, tenants: [], absent: true });
  return { done, fleet, confirm };
}

describe('an operator who confirms a removal', () => {
  it('is heard by every process before anything is removed', async () => {
    const { confirm, done } = scene({ absent: ['billing/contoso/graph'] });
    expect(await confirm()).toMatchObject({ matched: 1, accepted: 1 });
    expect(done).toEqual([
      ...['confirm billing', 'announce removals', 'reload', 'sleep 100'],
      ...['remove absent of billing', 'announce purge billing/contoso/graph'],
    ]);
  });

  it('is told of what was kept also where another process was faster to remove it', async () => {
    const { confirm } = scene({ kept: 6 });
    expect(await confirm()).toMatchObject({ matched: 6, accepted: 6 });
  });

  it('changes nothing while the processes read different configurations', async () => {
    const { confirm, fleet, done } = scene({ kept: 6 });
    fleet.readsTheSame = false;
    await expect(confirm()).rejects.toThrow('different configurations');
    expect(done).toEqual([]);
  });

  it('is asked to say it again when a process has not heard of it in time', async () => {
    const { confirm, fleet, done } = scene({ kept: 6 });
    fleet.disagreements = Number.POSITIVE_INFINITY;
    await expect(confirm()).rejects.toThrow('say it again');
    expect(done).not.toContain('remove absent of billing');
    expect(done.filter((what) => what.startsWith('sleep'))).toHaveLength(50);
  });

  it('hears that there is nothing to remove, and leaves no trace of what cannot be a client', async () => {
    const { confirm, done } = scene();
    await expect(confirm('*')).rejects.toThrow('nothing that is managed');
    expect(done).not.toContain('confirm *');
  });
});
