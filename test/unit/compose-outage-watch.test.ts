import { describe, expect, it } from 'vitest';
import { HealthState } from '../../src/compose/health.ts';
import { OutageWatch } from '../../src/compose/outage-watch.ts';
import { Catalogue } from '../../src/config/catalogue.ts';
import type { Life } from '../../src/core/feasibility.ts';
import type { Logger } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { targetOf } from '../support/target.ts';

const HOUR_MS = 3_600_000;

const steady = (lifeMs: number): Life => ({ shortestMs: lifeMs, meanMs: lifeMs, longestMs: lifeMs });

function scene() {
  const lines: Record<string, unknown>[] = [];
  const at = (level: string) => (line: object) => void lines.push({ level, ...line });
  const metrics = new Metrics();
  const health = new HealthState();
  const { client } = targetOf({ tokenUrl: 'https://idp.example/token' });
  let catalogue = new Catalogue([{ ...client, expectLifetimeMs: HOUR_MS, outageTargetMs: 20 * 60_000 }]);
  const seen = { lives: new Map<string, Life>(), perHost: { count: 50, windowMs: 1000 } };
  const watch = new OutageWatch({
    lifetimes: { exchange: async () => seen.lives },
    clock: { now: async () => 1_800_000_000_000 },
    catalogue: () => catalogue,
    perHost: () => seen.perHost,
    log: { info: at('info'), warn: at('warn') } as unknown as Logger,
    metrics,
    health,
  });
  const look = async (lifeMs?: number): Promise<Record<string, unknown>[]> => {
    lines.length = 0;
    if (lifeMs !== undefined) seen.lives = new Map([['billing', steady(lifeMs)]]);
    await watch.look();
    return [...lines];
  };
  const replace = (changes: object): void => {
    catalogue = new Catalogue([{ ...client, expectLifetimeMs: HOUR_MS, ...changes }]);
  };
  return { watch, look, seen, metrics, health, replace };
}

const gauges = async (metrics: Metrics): Promise<string[]> =>
  (await metrics.expose(undefined)).split('\n').filter((line) => line.startsWith('evertoken_outage_'));

describe('the watch over outage targets', () => {
  it('says nothing while all are held', async () => {
    const { look, health, metrics } = scene();
    expect(await look()).toEqual([]);
    expect(health.has('outage-target-not-held')).toBe(false);
    expect(await gauges(metrics)).toEqual([
      'evertoken_outage_target_seconds{client="billing"} 1200',
      'evertoken_outage_held_seconds{client="billing"} 1200',
    ]);
  });

  it('says once what is not held, why and what to do, and again when it is another', async () => {
    const { look, health, metrics } = scene();
    expect(await look(300_000)).toMatchObject([
      {
        level: 'warn',
        code: 'OUTAGE_TARGET_NOT_HELD',
        client: 'billing',
        what: 'holds 2 of 20 min',
        why: expect.stringContaining('tokens that live 5m'),
        todo: expect.stringContaining('refresh.outageTarget'),
      },
    ]);
    expect(await look()).toEqual([]);
    expect(health.has('outage-target-not-held')).toBe(true);
    expect(health.now(true).ready).toBe(true);
    expect(await gauges(metrics)).toContain('evertoken_outage_held_seconds{client="billing"} 120');
    expect(await look(600_000)).toMatchObject([{ level: 'warn', what: 'holds 4m 30s of 20m' }]);
    expect(await look(HOUR_MS)).toMatchObject([{ level: 'info', client: 'billing' }]);
    expect(health.has('outage-target-not-held')).toBe(false);
  });

  it('goes by the limit of the fleet, and says it of the host when even the latest window is too much', async () => {
    const { look, seen } = scene();
    seen.perHost = { count: 1, windowMs: 2 * HOUR_MS };
    expect(await look()).toMatchObject([
      { level: 'warn', host: 'idp.example', what: 'asks for more than 80 % of limits.perHost' },
    ]);
  });

  it('plans anew for other targets by the lives that it knows', async () => {
    const { look, watch, replace, health, metrics } = scene();
    await look(300_000);
    replace({ name: 'other', outageTargetMs: 60_000 });
    watch.replan();
    expect(health.has('outage-target-not-held')).toBe(false);
    expect(await gauges(metrics)).toEqual([
      'evertoken_outage_target_seconds{client="other"} 60',
      'evertoken_outage_held_seconds{client="other"} 60',
    ]);
  });
});
