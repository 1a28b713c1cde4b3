import { describe, expect, test } from 'vitest';
import { renderTargets } from '../../src/cli/commands/targets.ts';
import type { Status } from '../../src/cli/fleet-status.ts';
import type { ManagedTarget } from '../../src/cli/managed.ts';
import { describeResult } from '../../src/cli/order.ts';
import { Progress } from '../../src/cli/progress.ts';
import { renderEnd } from '../../src/cli/refresh-view.ts';
import { renderStatus } from '../../src/cli/status-view.ts';
import { type Column, renderTable } from '../../src/cli/table.ts';
import { EMPTY_STATE } from '../../src/core/state.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const ESCAPE = '\u001b';

describe('a table', () => {
  const columns: Column<{ name: string; count: number }>[] = [
    { title: 'NAME', cell: ({ name }) => name },
    { title: 'COUNT', align: 'right', cell: ({ count }) => `${count}`, style: () => 'red' },
  ];
  const rows = [
    { name: 'a', count: 5 },
    { name: 'longer', count: 1_000_000 },
  ];

  test('has aligned columns, as wide as their widest cell', () => {
    expect(renderTable(columns, rows, { colour: false })).toBe(
      ['NAME      COUNT', 'a             5', 'longer  1000000'].join('\n'),
    );
  });

  test('has no spaces at the ends of lines', () => {
    const text = renderTable([{ title: 'NAME', cell: () => 'x' }], rows, { colour: false });
    expect(text).toBe('NAME\nx\nx');
  });

  test('has colours only when asked, which do not count as width', () => {
    const text = renderTable(columns, rows, { colour: true });
    expect(text).toContain(ESCAPE);
    expect(text.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')).toBe(
      renderTable(columns, rows, { colour: false }),
    );
  });
});

describe('the list of targets', () => {
  const target: ManagedTarget = {
    id: 'billing/contoso/graph',
    host: 'idp.example',
    standing: { dueAt: NOW + 60_000, ready: false },
    state: { ...EMPTY_STATE, expiresAt: NOW + 120_000 },
    condition: 'fresh',
  };

  test('shows when a token ends, when something happens next and what failed last', () => {
    const failing: ManagedTarget = {
      ...target,
      id: 'billing/contoso/mail',
      condition: 'failing',
      standing: { dueAt: NOW + 60_000, ready: true },
      state: {
        ...EMPTY_STATE,
        expiresAt: NOW - 1000,
        failures: 2,
        failure: { kind: 'transient', code: 'HTTP 503' },
      },
    };
    expect(renderTargets([target, failing], NOW, false).split('\n')).toEqual([
      'TARGET                 STATE    EXPIRES   NEXT  FAILURES  LAST FAILURE',
      'billing/contoso/graph  fresh      in 2m  in 1m',
      'billing/contoso/mail   failing   1s ago    now         2  HTTP 503',
    ]);
  });

  test('shows of a dormant one that it waits to be asked for', () => {
    const dormant: ManagedTarget = {
      ...target,
      condition: 'dormant',
      standing: { dueAt: NOW + 3e10, ready: false },
      state: { ...EMPTY_STATE, expiresAt: NOW - 60_000, dormantSince: NOW - 70_000 },
    };
    expect(renderTargets([dormant], NOW, false)).toMatch(/dormant +1m ago +when asked for$/m);
  });

  test('says so when there is none', () => {
    expect(renderTargets([], NOW, false)).toMatch(/^No target is managed/);
  });
});

describe('the status', () => {
  const status: Status = {
    now: NOW,
    processes: [
      {
        id: 'p1',
        role: 'all',
        host: 'box',
        pid: 42,
        version: '1.2.3',
        configHash: '0123456789abcdef',
        startedAt: NOW - 90_000,
      },
    ],
    configuration: { hash: '0123456789abcdef', processesAgree: true, sameAsHere: true },
    credentials: [],
    hosts: [
      {
        host: 'idp.example',
        managed: 4,
        due: 1,
        ready: 2,
        gate: { closedUntil: 0, why: '', probing: false, limit: 50, rate: 50, lowered: undefined },
      },
    ],
    outages: [
      {
        client: 'billing',
        host: 'idp.example',
        outageTargetMs: 1_200_000,
        holdsMs: 1_200_000,
        obstacle: undefined,
        why: '',
      },
    ],
    queueWaiting: 3,
    targets: {
      total: 4,
      withToken: 2,
      byCondition: { fresh: 2, due: 0, failing: 1, expired: 0, 'never issued': 1, dormant: 0 },
      shortestLifeLeftMs: 61_000,
    },
    pauses: [],
    tenantOverrides: { added: 0, removed: 0 },
    awaitingRemoval: {},
  };
  const text = (changes: Partial<Status> = {}): string => renderStatus({ ...status, ...changes }, false);

  test('shows processes, hosts and how the targets are', () => {
    expect(text().split('\n')).toEqual([
      'PROCESS  ROLE  VERSION  CONFIG        UP',
      'box:42   all   1.2.3    01234567  1m 30s',
      '',
      'HOST         MANAGED  DUE  READY  GATE',
      'idp.example        4    1      2  open',
      'In the queue for a worker: 3',
      '',
      'Targets: 4: 2 fresh, 1 failing, 1 never issued',
      'Tokens that live: 2; the shortest life left is 1m 1s',
      '',
      'billing holds 20 of 20 min',
    ]);
  });

  test.each<[string, Partial<Status>, string]>([
    ['that no daemon lives', { processes: [] }, 'No daemon lives: nothing is refreshed until one is started'],
    [
      'that the processes disagree',
      { configuration: { hash: 'fedcba9876543210', processesAgree: false, sameAsHere: false } },
      'The processes have different configurations, so nothing is removed until they agree; the one at hand is fedcba98.',
    ],
    [
      'that the configuration at hand is another one',
      { configuration: { hash: 'fedcba9876543210', processesAgree: true, sameAsHere: false } },
      'The processes agree on a configuration that is not the one at hand (fedcba98).',
    ],
    [
      'an outage target that is not held, and why',
      {
        outages: [
          {
            ...{ client: 'billing', host: 'idp.example', outageTargetMs: 1_200_000, holdsMs: 438_000 },
            ...{ obstacle: 'life', why: 'tokens that live 15m can hold at most 11m' },
          },
        ],
      },
      'billing holds 7 of 20 min: tokens that live 15m can hold at most 11m',
    ],
    [
      'a pause',
      { pauses: [{ select: 'billing/*/*', all: false, until: NOW + 60_000, by: 'oncall' }] },
      'Paused: billing/*/* until 2026-11-22T12:01:00Z (in 1m), by oncall',
    ],
    [
      'a credential that servers refuse, and when it is tried again',
      {
        credentials: [
          {
            ...{ client: 'billing', fingerprint: 'abcdefgh', standing: 'refused', code: 'AADSTS7000222' },
            ...{ since: NOW - 60_000, probeAt: NOW + 30_000 },
          },
        ],
      },
      'billing  abcdefgh    refused: AADSTS7000222  2026-11-22T11:59:00Z (1m ago)  2026-11-22T12:00:30Z (in 30s)',
    ],
    [
      'tenants that operators added and removed',
      { tenantOverrides: { added: 2, removed: 1 } },
      'Tenants by operators: 2 added, 1 removed',
    ],
    [
      'removals that wait, and how to confirm them',
      { awaitingRemoval: { billing: 12 } },
      '12 of client billing (confirm with: evertoken remove billing --absent)',
    ],
    ['that nothing is managed', { targets: { ...status.targets, total: 0 } }, 'No target is managed.'],
  ])('says %s', (_what, changes, expected) => {
    expect(text(changes)).toContain(expected);
  });

  test.each([
    [
      { closedUntil: NOW + 5000, why: 'throttled', probing: false },
      'closed until 2026-11-22T12:00:05Z (in 5s): throttled',
    ],
    [{ closedUntil: NOW - 1, why: 'down: timeout', probing: true }, 'probing: down: timeout'],
    [{ closedUntil: NOW - 1, why: 'throttled', probing: false }, 'open'],
    [
      { closedUntil: NOW - 1, why: 'throttled', probing: false, lowered: '21/s of 50/s, refused at 30/s' },
      'open at 21/s of 50/s, refused at 30/s',
    ],
  ])('shows the gate %j', (changes, expected) => {
    const hosts = status.hosts.map((host) => ({ ...host, gate: { ...host.gate, ...changes } }));
    expect(text({ hosts })).toContain(`  ${expected}\n`);
  });
});

describe('the result of an order', () => {
  test.each([
    [{ matched: 1, accepted: 1, refused: 0, reasons: {} }, '1 target accepted'],
    [
      { matched: 5, accepted: 2, refused: 3, reasons: { fresh: 2, paused: 1 } },
      '5 targets: 2 accepted, 3 refused (fresh: 2, paused: 1)',
    ],
  ])('%j reads well', (result, expected) => {
    expect(describeResult(result)).toBe(expected);
  });
});

describe('the end of a wait', () => {
  const refreshed = (target: string) =>
    ({ outcome: 'refreshed', target, generation: 7, expiresAt: NOW + 60_000 }) as const;

  test('tells what became of each target', () => {
    const failed = {
      outcome: 'failed',
      target: 'b/t/r',
      failure: { kind: 'credential', code: 'AADSTS7000222' },
      retryAt: NOW + 30_000,
    } as const;
    const waiting = [{ target: 'c/t/r', summary: '', next: 'It waits for its turn.' }];
    expect(renderEnd([refreshed('a/t/r'), failed], waiting, 3, NOW).split('\n')).toEqual([
      'refreshed  a/t/r: generation 7, lives for 1m',
      'failed     b/t/r: AADSTS7000222: the client secret has expired; what to do: create a new secret for the application and configure it; tried again 2026-11-22T12:00:30Z (in 30s)',
      'waiting    c/t/r: It waits for its turn.',
      'waiting    and 2 more',
      '1 refreshed, 1 failed, 3 still waiting at the time-out.',
    ]);
  });

  test('does not list a great many that went well', () => {
    const many = Array.from({ length: 21 }, (_, i) => refreshed(`a/t${i}/r`));
    expect(renderEnd(many, [], 0, NOW)).toBe('21 refreshed.');
  });
});

describe('progress', () => {
  const failed = {
    outcome: 'failed',
    target: 'a/t/r',
    failure: { kind: 'transient', code: 'timeout' },
    retryAt: 0,
  } as const;

  function shown(isTTY: boolean): string {
    let text = '';
    const write = (more: string): void => {
      text += more;
    };
    const progress = new Progress(2, { isTTY, write });
    progress.show({ outcome: 'refreshed', target: 'b/t/r', generation: 7, expiresAt: 0 });
    progress.show(failed);
    progress.end();
    return text;
  }

  test('is one line on a terminal that is drawn again, and gone at the end', () => {
    const lines = shown(true).split(`\r${ESCAPE}[2K`).slice(1);
    expect(lines).toEqual([
      '0 of 2 refreshed, 2 waiting',
      '1 of 2 refreshed, 1 waiting',
      '1 of 2 refreshed, 1 failed, 0 waiting',
      '',
    ]);
  });

  test('is a line for each target elsewhere', () => {
    expect(shown(false)).toBe('b/t/r refreshed, generation 7\na/t/r failed: timeout\n');
  });
});
