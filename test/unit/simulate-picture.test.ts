import { describe, expect, test } from 'vitest';
import { renderSvg } from '../../src/simulate/svg.ts';
import { describe as textOf } from '../../src/simulate/text.ts';
import { run } from '../support/simulation.ts';

const OUTAGE = '--targets 500 --idp-rate 5 --outage 25m@2h --outage 5m@210m:hangs --for 4h';

describe('the picture of a run', () => {
  test('is the same for the same options, and another for another seed', () => {
    const svg = renderSvg(run(OUTAGE));
    expect(renderSvg(run(OUTAGE))).toBe(svg);
    expect(renderSvg(run(`${OUTAGE} --seed 2`))).not.toBe(svg);
  });

  test('is well-formed and refers to nothing outside', () => {
    const svg = renderSvg(run(OUTAGE));
    expect(svg).not.toMatch(/href|url\(|@import|<script|NaN|undefined|Infinity/);
    const open: string[] = [];
    for (const [tag, closes, name, , empty] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*?)(\/?)>/g)) {
      if (closes) expect(open.pop(), tag).toBe(name);
      else if (!empty) open.push(name as string);
    }
    expect(open).toEqual([]);
  });

  test('shows the outages, the axes and what each colour means, and knows dark surroundings', () => {
    const svg = renderSvg(run(OUTAGE));
    expect(svg.match(/<rect class="outage"/g)).toHaveLength(2);
    for (const text of [
      'outage (refuses), 25m',
      'outage (hangs), 5m',
      'requests a second',
      'share of the targets',
    ])
      expect(svg).toContain(`>${text}<`);
    for (const text of ['shortest life left', '100 %', '3h', 'limit', 'fresh: not yet to be refreshed'])
      expect(svg).toContain(`>${text}<`);
    expect(svg).toContain('prefers-color-scheme:dark');
    expect(svg).toContain('class="failed"');
  });

  test('names outages inside it and beside each other, the others only in their tooltips', () => {
    const svg = renderSvg(
      run('--targets 20 --idp-rate 1 --outage 2m@0 --outage 3m@20m:hangs --outage 2h@450m --for 8h'),
    );
    const names = [
      ...svg.matchAll(/<text class="outage-name" text-anchor="middle" x="([\d.]+)"[^>]*>([^<]*)</g),
    ];
    expect(names.map(([, , name]) => name)).toEqual(['outage (refuses), 2m', 'outage (refuses), 2h']);
    for (const [, x, name = ''] of names) {
      expect(Number(x) - 3 * name.length).toBeGreaterThanOrEqual(0);
      expect(Number(x) + 3 * name.length).toBeLessThanOrEqual(960);
    }
    expect(svg).toContain('<title>outage (hangs), 3m</title>');
  });

  test('of a cold start has all of it, tokens or not', () => {
    const svg = renderSvg(run('--targets 20 --start cold --idp-rate 1 --outage 1m@0 --for 2m'));
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('stays small for a long run', () => {
    expect(renderSvg(run('--targets 20 --lifetime 24h --idp-rate 1 --for 20d')).length).toBeLessThan(100_000);
  });
});

describe('the text of a run', () => {
  test('says what was asked, how it went and where outages were', () => {
    const text = textOf(run(OUTAGE), 80);
    expect(text).toContain(
      '500 targets in 50 tenants, tokens of 1h, 2 daemons, at most 5/s; 4h from a warm start',
    );
    expect(text).toContain('The fleet holds 25 of 25 min');
    expect(text).toMatch(/outage {4,}▒+ +▒+$/m);
    expect(text).toMatch(/expired tokens +none/);
    expect(text).toMatch(
      /outage +25m after 2h \(refuses\): \d+ targets due at its end, all refreshed .* after its end/,
    );
    for (const line of text.split('\n').filter((each) => each.includes('│')))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  test('says why the target is not held, and which tokens ended', () => {
    const text = textOf(run('--targets 500 --lifetime 5m --idp-rate 5 --outage 20m@1h --for 2h'), 80);
    expect(text).toMatch(/holds 1m 53s of 20m: tokens that live 5m can hold at most/);
    expect(text).toMatch(/expired tokens +500 targets without a live token, for [\d,.]+ minutes together/);
    expect(text).toContain('0: a token ended before the next one came');
  });

  test('does not say that the fleet holds what a server that takes too little will not let it hold', () => {
    const { summary, ...done } = run('--targets 500 --idp-rate 0.1 --limit 5 --for 1h');
    expect(summary.problems).toEqual(['the server takes 0.1/s, and 0.26/s are planned: tokens expire']);
    expect(textOf(done, 80)).not.toContain('The fleet holds');
  });
});

describe('the figures of a run', () => {
  test('count an outage that lasts longer than the run as not recovered from', () => {
    const { summary } = run('--targets 100 --idp-rate 5 --outage 2h@1h --outage-target 20m --for 2h');
    expect(summary).toMatchObject({
      recoverySeconds: null,
      outages: [{ backlog: null, recoverySeconds: null }],
    });
    expect(summary.expiredTargets).toBeGreaterThan(0);
  });

  test('count time without a token only from the end of one', () => {
    const { summary } = run('--targets 10 --start cold --idp-rate 5 --outage 1h@0 --for 30m');
    expect(summary).toMatchObject({ expiredTokenMinutes: 0, expiredTargets: 0, shortestLifeSeconds: null });
    expect(summary.failedCalls).toBe(summary.calls);
  });

  test('are minutes without a token, over all targets', () => {
    // Ten tokens of an hour whose daemons are gone for the rest of the run.
    const { summary } = run(
      '--targets 10 --lifetime 1h --issued-within 1s --daemons 1 --crash 0+9h --for 3h --idp-rate 5',
    );
    expect(summary.calls).toBe(0);
    expect(summary.expiredTokenMinutes).toBeCloseTo(10 * 120, 0);
    expect(summary).toMatchObject({ expiredTargets: 10, shortestLifeSeconds: 0 });
  });
});
