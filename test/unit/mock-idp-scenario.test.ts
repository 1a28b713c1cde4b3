import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, test, vi } from 'vitest';
import { type Behaviour, WELL_BEHAVED } from '../../src/mock-idp/behaviour.ts';
import { Changes } from '../../src/mock-idp/changes.ts';
import { parseChange, SETTING_NAMES, showBehaviour } from '../../src/mock-idp/control.ts';
import { DEMO_CLIENT } from '../../src/mock-idp/options.ts';
import { parseScenario, playScenario } from '../../src/mock-idp/scenario.ts';
import { type MockIdp, type MockIdpOptions, startMockIdp } from '../../src/mock-idp/server.ts';
import { startNode } from '../support/process.ts';

const BEGINNING: Behaviour = { ...WELL_BEHAVED, clients: new Map() };

async function start(options: MockIdpOptions = {}): Promise<MockIdp> {
  const idp = await startMockIdp({ signing: 'premade', ...options });
  onTestFinished(() => idp.close());
  return idp;
}

async function ask(url: string): Promise<number> {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: DEMO_CLIENT.clientId,
    client_secret: DEMO_CLIENT.secret,
    scope: 'https://g.example/.default',
  });
  return (await fetch(`${url}/t/oauth2/v2.0/token`, { method: 'POST', body })).status;
}

const post = (url: string, change: object): Promise<Response> =>
  fetch(`${url}/control`, { method: 'POST', body: JSON.stringify(change) });

describe('changes', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function changes() {
    const made = new Changes(BEGINNING);
    let now = 0;
    const modeAt = (ms: number): string => {
      vi.advanceTimersByTime(ms - now);
      now = ms;
      return made.current.mode;
    };
    return { made, modeAt };
  }

  it('go back after their time', () => {
    const { made, modeAt } = changes();
    const ended = vi.fn();
    made.apply({ settings: { mode: 'hang', delayMs: 5 }, forMs: 1000 }, ended);
    expect([modeAt(0), modeAt(999), ended.mock.calls.length]).toEqual(['hang', 'hang', 0]);
    expect([modeAt(1000), ended.mock.calls.length]).toEqual(['ok', 1]);
    expect(made.current).toEqual(BEGINNING);
  });

  it('lie on top of each other, whichever ends first', () => {
    const { made, modeAt } = changes();
    made.apply({ settings: { mode: 'hang' }, forMs: 1000 });
    made.apply({ settings: { mode: 'reset' }, forMs: 2000 });
    made.apply({ settings: { mode: 'empty' }, forMs: 500 });
    expect([0, 500, 1000, 1999, 2000].map(modeAt)).toEqual(['empty', 'reset', 'reset', 'reset', 'ok']);
  });

  it('end when something else is set for good, and leave that', () => {
    const { made, modeAt } = changes();
    made.apply({ settings: { mode: 'hang', delayMs: 5 }, forMs: 1000 });
    made.apply({ settings: { mode: 'html' } });
    expect([modeAt(0), made.current.delayMs]).toEqual(['html', 5]);
    expect([modeAt(1000), made.current.delayMs]).toEqual(['html', 0]);
  });

  it('do not go back after the end', () => {
    const { made, modeAt } = changes();
    made.apply({ settings: { mode: 'hang' }, forMs: 1000 });
    made.close();
    expect(modeAt(2000)).toBe('hang');
  });

  it('of a scenario come in their time', () => {
    const steps = parseScenario(
      '[{"at":"2s","mode":"ok"},{"at":"1s","mode":"hang"},{"at":"9s","mode":"reset"}]',
    );
    const applied: number[] = [];
    const stop = playScenario(steps, ({ index }) => applied.push(index));
    vi.advanceTimersByTime(999);
    expect(applied).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(applied).toEqual([1]);
    vi.advanceTimersByTime(1000);
    expect(applied).toEqual([1, 0]);
    stop();
    vi.advanceTimersByTime(60_000);
    expect(applied).toEqual([1, 0]);
  });
});

describe('a scenario', () => {
  it('is read in the order of its times, from JSON or YAML', () => {
    const json = parseScenario('[{"at":"2m","mode":"unavailable","for":"25m"},{"at":"0s","rate":"30/s"}]');
    expect(json).toEqual([
      { index: 1, at: '0s', atMs: 0, change: { settings: { rate: { count: 30, windowMs: 1000 } } } },
      { index: 0, at: '2m', atMs: 120_000, change: { settings: { mode: 'unavailable' }, forMs: 1_500_000 } },
    ]);
    expect(parseScenario('- { at: 2m, mode: unavailable, for: 25m }\n- { at: 0s, rate: 30/s }\n')).toEqual(
      json,
    );
  });

  test.each([
    ['{"at":"1s"}', 'expected a scenario: a list'],
    ['[}', 'expected a scenario: a list'],
    ['', 'expected a scenario: a list'],
    ['[{"at":"1s"},{"mode":"ok"}]', 'step 1 of the scenario: expected an object with "at"'],
    ['[5]', 'step 0 of the scenario: expected an object with "at"'],
    ['[{"at":5}]', 'step 0 of the scenario: expected an object with "at"'],
    ['[{"at":"soon"}]', 'step 0 of the scenario: expected a duration'],
    ['[{"at":"25d"}]', 'step 0 of the scenario: expected at most 24d'],
    ['[{"at":"1s"},{"at":"0s"},{"at":"2s","mode":"x"}]', 'step 2 of the scenario: expected one of ok, '],
    ['[{"at":"1s","speed":1}]', 'step 0 of the scenario: expected only mode, '],
    ['[{"at":"1s","for":"x"}]', 'step 0 of the scenario: expected a duration'],
  ])('like %s is refused', (text, message) => {
    expect(() => parseScenario(text)).toThrow(message);
  });

  it('changes the server while it runs', async () => {
    const events: string[] = [];
    const idp = await start({
      scenario: parseScenario('[{"at":"1ms","mode":"unavailable"}]'),
      onStep: (event) => events.push(event),
    });
    await expect.poll(() => ask(idp.url), { interval: 10, timeout: 5000 }).toBe(503);
    expect(events).toEqual(['applied']);
  });
});

describe('control', () => {
  it('shows the behaviour as it can be set, and of the clients the number', async () => {
    const idp = await start();
    const change = {
      ...{ mode: 'html', share: '12.5%', tenants: ['a'], delay: '150ms', lifetime: '50s..70s' },
      ...{ refreshIn: '50%', flavour: 'oauth', sameToken: true, expiredTokens: true, clockSkewSeconds: -5 },
      ...{ rate: '7/2s', tenantRate: '1/1s', loop: '3/1500ms', retryAfter: 'none', retryAfterAs: 'date' },
      ...{ grace: '20ms' },
    };
    expect((await post(idp.url, { ...change, clients: ['a:hush', 'b:hush'] })).status).toBe(200);
    const shown: unknown = await (await fetch(`${idp.url}/control`)).json();
    expect(shown).toEqual({ ...change, clients: 2 });
    expect(Object.keys(shown as object).sort()).toEqual([...SETTING_NAMES].sort());
  });

  it('shows what can be set in every case', () => {
    const { clients, ...shown } = showBehaviour(BEGINNING);
    expect(clients).toBe(0);
    const { clients: _, ...expected } = BEGINNING;
    expect(parseChange(shown).settings).toEqual(expected);
  });

  it('changes for a while', async () => {
    const idp = await start();
    await post(idp.url, { mode: 'unavailable', for: '1s' });
    expect(await ask(idp.url)).toBe(503);
    await expect.poll(() => ask(idp.url), { interval: 20, timeout: 5000 }).toBe(200);
  });

  test.each([
    { rate: '0/s' },
    { rate: '5' },
    { tenantRate: 5 },
    { loop: '1/5m' },
    { loop: 'x' },
    { retryAfter: '0s' },
    { retryAfter: null },
    { retryAfter: '100d' },
    { retryAfterAs: 'words' },
    { grace: '-1s' },
    { refreshIn: '101%' },
    { refreshIn: 0.5 },
    { share: '50' },
    { share: null },
    { tenants: [] },
    { tenants: 'a' },
    { tenants: [1] },
    { mode: 'ok', for: 5 },
    { mode: 'ok', at: '1s' },
  ])('refuses %j and changes nothing', async (change) => {
    const idp = await start();
    const before = await (await fetch(`${idp.url}/control`)).json();
    const response = await post(idp.url, { delay: '5ms', ...change });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringContaining('expected') });
    expect(await (await fetch(`${idp.url}/control`)).json()).toEqual(before);
  });
});

describe('the process', () => {
  const MAIN = 'src/mock-idp/main.ts';

  async function fileOf(content: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'evertoken-test-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'scenario.json');
    writeFileSync(file, content);
    return file;
  }

  it('takes its behaviour from flags and says what its scenario does', async () => {
    const scenario = await fileOf('- { at: 50ms, mode: reset, for: 100ms }');
    const flags = [
      ...['--mode', 'unavailable', '--share', '0%', '--rate', '100/s', '--tenant-rate', '1/1h'],
      ...['--loop', '15/5m', '--retry-after', '5s', '--grace', '1s', '--refresh-in', '40%'],
      ...['--lifetime', '1h', '--delay', '1ms', '--scenario', scenario],
    ];
    const child = startNode([MAIN, ...flags]);
    const { listening } = JSON.parse(await child.waitForLine(() => true)) as { listening: string };
    await child.waitForLine((line) => line === '{"applied":0,"at":"50ms"}');
    await child.waitForLine((line) => line === '{"ended":0,"at":"50ms"}');
    expect(await (await fetch(`${listening}/control`)).json()).toMatchObject({
      ...{ mode: 'unavailable', share: '0%', rate: '100/1s', tenantRate: '1/3600s', loop: '15/300s' },
      ...{ retryAfter: '5s', grace: '1s', refreshIn: '40%', lifetime: '3600s', delay: '1ms' },
    });
    expect([await ask(listening), await ask(listening)]).toEqual([200, 429]);
    expect(await child.stop()).toEqual({ code: 0, signal: null });
  });

  test.each([
    ['--rate', '0/s'],
    ['--tenant-rate', 'many'],
    ['--loop', '1/5m'],
    ['--retry-after', '0s'],
    ['--share', '110%'],
    ['--mode', 'evil'],
    ['--refresh-in', 'half'],
    ['--scenario', '/nowhere/scenario.json'],
  ])('refuses %s %s without a stack trace', async (flag, value) => {
    const child = startNode([MAIN, flag, value]);
    expect((await child.exited).code).toBe(2);
    expect(child.stderr).toMatch(/^error: .*expected .*\n$/);
  });

  it('refuses a scenario by the step that is wrong, without showing what is in it', async () => {
    const file = await fileOf('[{"at":"1s"},{"at":"2s","clients":{"a":{"secret":"hush"}}}]');
    const child = startNode([MAIN, '--scenario', file]);
    expect((await child.exited).code).toBe(2);
    expect(child.stderr).toMatch(/^error: .*step 1 of the scenario: expected .*\n$/);
    expect(child.stderr).not.toContain('hush');
  });
});
