import { describe, expect, it, onTestFinished, test } from 'vitest';
import { WELL_BEHAVED } from '../../src/mock-idp/behaviour.ts';
import { readSetting } from '../../src/mock-idp/control.ts';
import { type LimitSettings, Limits, type Throttled } from '../../src/mock-idp/limits.ts';
import { DEMO_CLIENT } from '../../src/mock-idp/options.ts';
import { type MockIdp, type MockIdpOptions, startMockIdp } from '../../src/mock-idp/server.ts';

async function start(
  settings: Readonly<Record<string, unknown>>,
  options: MockIdpOptions = {},
): Promise<MockIdp> {
  const idp = await startMockIdp({ signing: 'premade', ...options });
  onTestFinished(() => idp.close());
  await control(idp, settings);
  return idp;
}

async function control(idp: MockIdp, change: object): Promise<void> {
  const response = await fetch(`${idp.url}/control`, { method: 'POST', body: JSON.stringify(change) });
  if (!response.ok) throw new Error(await response.text());
}

const GOOD = {
  grant_type: 'client_credentials',
  client_id: DEMO_CLIENT.clientId,
  client_secret: DEMO_CLIENT.secret,
  scope: 'https://g.example/.default',
};

function ask(idp: MockIdp, tenant = 'contoso', fields: Record<string, string> = {}): Promise<Response> {
  const body = new URLSearchParams({ ...GOOD, ...fields });
  return fetch(`${idp.url}/${tenant}/oauth2/v2.0/token`, { method: 'POST', body });
}

async function statusesOf(answers: readonly Promise<Response>[]): Promise<number[]> {
  return (await Promise.all(answers)).map(({ status }) => status);
}

const HOUR = '1/1h';

describe("the whole server's rate", () => {
  it('answers what is too much with plain text and Retry-After', async () => {
    const idp = await start({ rate: HOUR });
    expect((await ask(idp)).status).toBe(200);
    const refused = await ask(idp, 'another');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('content-type')).toMatch('text/plain');
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(await refused.text()).toBe('Too Many Requests');
    expect(idp.stats()).toMatchObject({
      issued: 1,
      throttled: 1,
      byStatus: { 429: 1 },
      byError: { rate: 1 },
    });
    await control(idp, { rate: null });
    expect((await ask(idp, 'another')).status).toBe(200);
  });

  it('takes a second of it at once', async () => {
    const idp = await start({ rate: '5/s', retryAfter: 'none' });
    const asked = await statusesOf(Array.from({ length: 30 }, (_, i) => ask(idp, `t${i}`)));
    const issued = asked.filter((status) => status === 200).length;
    // What came in within the time that they took.
    expect(issued).toBeGreaterThanOrEqual(5);
    expect(issued).toBeLessThanOrEqual(5 + Math.ceil(5 * (idp.stats().uptimeMs / 1000)));
    expect(idp.stats().throttled).toBe(30 - issued);
  });

  test.each<[Record<string, unknown>, string | null]>([
    [{ retryAfter: '2s' }, '2'],
    [{ retryAfter: '1500ms' }, '2'],
    [{ retryAfter: '1ms' }, '1'],
    [{ retryAfter: 'none' }, null],
  ])('with %j says Retry-After: %s', async (settings, expected) => {
    const idp = await start({ rate: HOUR, ...settings });
    await ask(idp);
    expect((await ask(idp)).headers.get('retry-after')).toBe(expected);
  });

  it("writes a date of the server's clock, not before its time", async () => {
    const idp = await start({ rate: HOUR, retryAfter: '30s', retryAfterAs: 'date', clockSkewSeconds: 600 });
    await ask(idp);
    const before = Date.now();
    const header = (await ask(idp)).headers.get('retry-after') ?? '';
    expect(header).toMatch(/GMT$/);
    const inSeconds = (Date.parse(header) - before) / 1000 - 600;
    expect(inSeconds).toBeGreaterThanOrEqual(30);
    expect(inSeconds).toBeLessThan(35);
  });
});

describe('the rate of a tenant', () => {
  it('is for each client in each tenant, and answers as Entra does', async () => {
    const other = { clientId: 'other', secret: 'secret' };
    const idp = await start({ tenantRate: HOUR }, { clients: [DEMO_CLIENT, other] });
    const asOther = { client_id: 'other', client_secret: 'secret' };
    const answers = [ask(idp), ask(idp, 'fabrikam'), ask(idp, 'contoso', asOther)];
    expect(await statusesOf(answers)).toEqual([200, 200, 200]);
    const refused = await ask(idp);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
    expect(await refused.json()).toMatchObject({
      error: 'temporarily_unavailable',
      error_codes: [90055],
      error_description: expect.stringMatching(/^AADSTS90055: .*too many/),
    });
    expect(idp.stats().byError).toEqual({ 90055: 1 });
  });

  it('answers without numbers where the server is not Entra', async () => {
    const idp = await start({ tenantRate: HOUR, flavour: 'oauth' });
    await ask(idp);
    expect(await (await ask(idp)).json()).toEqual({
      error: 'temporarily_unavailable',
      error_description: expect.stringContaining('too many'),
    });
  });
});

describe('the loop detector', () => {
  it('refuses the request that makes the loop, whatever it is proved by', async () => {
    const idp = await start({
      loop: '3/1m',
      clients: [`${DEMO_CLIENT.clientId}:a`, `${DEMO_CLIENT.clientId}:b`],
    });
    const statuses = [];
    for (const secret of ['a', 'b']) statuses.push((await ask(idp, 't', { client_secret: secret })).status);
    for (const other of [{ scope: 'https://h.example/.default' }, { claims: '{}' }])
      statuses.push((await ask(idp, 't', { client_secret: 'a', ...other })).status);
    expect(statuses).toEqual([200, 200, 200, 200]);
    const refused = await ask(idp, 't', { client_secret: 'a' });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
    expect(await refused.json()).toMatchObject({
      error_codes: [50196],
      error_description: expect.stringMatching(/^AADSTS50196: .*client request loop/),
    });
    expect((await ask(idp, 'u', { client_secret: 'a' })).status).toBe(200);
    expect(idp.stats()).toMatchObject({
      violations: { loop: 1 },
      byError: { 50196: 1 },
      identicalWindowMs: 60_000,
    });
  });

  it('is off until it is wanted', async () => {
    const idp = await start({});
    expect(new Set(await statusesOf(Array.from({ length: 20 }, () => ask(idp))))).toEqual(new Set([200]));
    expect(idp.stats()).toMatchObject({ violations: {}, identicalWindowMs: 300_000 });
  });
});

describe('a Retry-After', () => {
  it('that is ignored is counted, and answered with the rest of the time', async () => {
    const idp = await start({ rate: HOUR, grace: '0s' });
    await ask(idp);
    await ask(idp);
    expect(idp.stats().violations).toEqual({});
    const refused = await ask(idp, 'fabrikam');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toMatch(/^(?:60|5\d)$/);
    expect(idp.stats().violations).toEqual({ 'retry-after-ignored': 1 });
    const violations = await (await fetch(`${idp.url}/control/violations`)).json();
    expect(violations).toEqual([
      {
        at: expect.any(Number),
        name: 'retry-after-ignored',
        tenant: 'fabrikam',
        clientId: DEMO_CLIENT.clientId,
      },
    ]);
  });

  it('is not ignored by requests that were under way', async () => {
    const idp = await start({ rate: HOUR, grace: '1h' });
    await ask(idp);
    expect(await statusesOf([ask(idp), ask(idp), ask(idp)])).toEqual([429, 429, 429]);
    expect(idp.stats().violations).toEqual({});
  });

  const asker = (tenant = 't', identity = 'i') => ({ tenant, clientId: 'c', identity });
  const tell = (
    limits: Limits,
    at: number,
    who = asker(),
    answeredAt = at,
  ): [boolean, Throttled | undefined] => {
    const arrival = limits.arrived(who, at);
    return [arrival.ignored !== undefined, limits.refuse(arrival, answeredAt)];
  };
  const limitsOf = (settings: Partial<LimitSettings>): Limits => new Limits({ ...WELL_BEHAVED, ...settings });
  const refused = (limit: string, retryAfterSeconds?: number) => ({ limit, retryAfterSeconds });

  it('lasts as long as it said, from when it was sent, with the same end for everyone', () => {
    const limits = limitsOf({ ...readSetting('rate', '1/1h'), retryAfterMs: 9500 });
    expect(tell(limits, 0)).toEqual([false, undefined]);
    // 10 s are said. It came at 100 and was answered at 1000.
    expect(tell(limits, 100, asker(), 1000)).toEqual([false, refused('rate', 10)]);
    expect(tell(limits, 1500)).toEqual([false, refused('rate', 10)]);
    expect(tell(limits, 1501)).toEqual([true, refused('rate', 10)]);
    expect(tell(limits, 8000)).toEqual([true, refused('rate', 3)]);
    expect(tell(limits, 10_999)).toEqual([true, refused('rate', 1)]);
    expect(tell(limits, 11_000)).toEqual([false, refused('rate', 10)]);
    expect(tell(limits, 21_000 + 3_600_000)).toEqual([false, undefined]);
  });

  it('holds for what it was given for: the server, the client in its tenant, the identical request', () => {
    const byTenant = limitsOf(readSetting('tenantRate', '1/1h'));
    tell(byTenant, 0);
    expect(tell(byTenant, 1)).toEqual([false, refused('tenantRate', 60)]);
    expect(tell(byTenant, 1000, asker('t', 'another'))).toEqual([true, refused('tenantRate', 60)]);
    expect(tell(byTenant, 1000, asker('u'))).toEqual([false, undefined]);
    const byRequest = limitsOf(readSetting('loop', '2/5m'));
    tell(byRequest, 0);
    expect(tell(byRequest, 1)).toEqual([false, refused('loop', 60)]);
    expect(tell(byRequest, 1000)).toEqual([true, refused('loop', 60)]);
    expect(tell(byRequest, 1000, asker('t', 'another'))).toEqual([false, undefined]);
    expect(tell(byRequest, 60_001)).toEqual([false, refused('loop', 60)]);
  });

  it('counts on when its limit is lifted, but refuses nothing any more', () => {
    const settings = { ...WELL_BEHAVED, ...readSetting('rate', '1/1h') };
    const limits = new Limits(settings);
    tell(limits, 0);
    tell(limits, 0);
    Object.assign(settings, readSetting('rate', null));
    expect(limits.isIdle).toBe(false);
    expect(tell(limits, 30_000)).toEqual([true, undefined]);
    expect(tell(limits, 60_000)).toEqual([false, undefined]);
    expect(limits.isIdle).toBe(true);
  });

  it('is not remembered when none was given', () => {
    const limits = limitsOf({ ...readSetting('rate', '1/1h'), retryAfterMs: undefined });
    tell(limits, 0);
    expect(tell(limits, 0)).toEqual([false, refused('rate')]);
    expect(tell(limits, 30_000)).toEqual([false, refused('rate')]);
  });

  it('that was short has ended while an older one lasts', () => {
    const settings = { ...WELL_BEHAVED, ...readSetting('tenantRate', '1/1h') };
    const limits = new Limits(settings);
    tell(limits, 0, asker('a'));
    expect(tell(limits, 0, asker('a'))).toEqual([false, refused('tenantRate', 60)]);
    Object.assign(settings, readSetting('retryAfter', '1s'));
    tell(limits, 0, asker('b'));
    expect(tell(limits, 0, asker('b'))).toEqual([false, refused('tenantRate', 1)]);
    expect(tell(limits, 5000, asker('b'))).toEqual([false, refused('tenantRate', 1)]);
    expect(tell(limits, 5000, asker('a'))).toEqual([true, refused('tenantRate', 55)]);
  });

  it('leaves a limit that is set anew full', () => {
    const settings = { ...WELL_BEHAVED, ...readSetting('rate', '1/1h'), retryAfterMs: undefined };
    const limits = new Limits(settings);
    expect([tell(limits, 0)[1], tell(limits, 0)[1]]).toEqual([undefined, refused('rate')]);
    Object.assign(settings, readSetting('rate', '2/s'));
    expect([tell(limits, 0)[1], tell(limits, 0)[1], tell(limits, 0)[1]]).toEqual([
      undefined,
      undefined,
      refused('rate'),
    ]);
  });
});
