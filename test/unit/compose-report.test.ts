import { expect, test } from 'vitest';
import { HealthState } from '../../src/compose/health.ts';
import { memberEvents, reportRefresh } from '../../src/compose/report.ts';
import type { Target } from '../../src/core/client.ts';
import { classify } from '../../src/core/failure.ts';
import type { Logger } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import type { RefreshReport } from '../../src/refresh/report.ts';

const TARGET = { client: { name: 'billing' }, host: 'idp.example' } as Target;

function report(id: string, target: Target | undefined, errorCode: number) {
  const metrics = new Metrics();
  const lines: object[] = [];
  const write = (line: object): void => {
    lines.push(line);
  };
  const failed: RefreshReport = {
    target: id,
    outcome: 'failed',
    reason: 'due',
    why: '',
    durationMs: 1,
    requests: 1,
    failure: classify({ answeredBy: 'server', status: 400, errorCodes: [errorCode] }),
  };
  reportRefresh(failed, target, { warn: write, info: write, debug: write } as unknown as Logger, metrics);
  return { metrics, lines };
}

const labelsOf = async ({ metrics }: ReturnType<typeof report>): Promise<unknown[]> => {
  const [{ values: refreshes }, { values: failures }] = await Promise.all([
    metrics.refreshes.get(),
    metrics.failures.get(),
  ]);
  return [...refreshes, ...failures].map(({ labels }) => labels);
};

test('a job is counted under its client and the code of its failure', async () => {
  expect(await labelsOf(report('billing/contoso/graph', TARGET, 7000215))).toEqual([
    { client: 'billing', outcome: 'failed', reason: 'due' },
    { client: 'billing', kind: 'credential', code: 'AADSTS7000215' },
  ]);
});

test('jobs of unknown clients share one label, whatever they name', async () => {
  expect(await labelsOf(report('invented-1/contoso/graph', undefined, 7000215))).toMatchObject([
    { client: 'unknown' },
    { client: 'unknown' },
  ]);
});

test("a server's numbers that nobody knows share one label, and the log names them", async () => {
  const reported = report('billing/contoso/graph', TARGET, 4711);
  expect(await labelsOf(reported)).toMatchObject([{}, { code: 'AADSTS other' }]);
  expect(reported.lines).toMatchObject([{ failure: { code: 'AADSTS4711' } }]);
});

test.each([
  [7, 'error', /every token is wanted anew, since/, { lostSeconds: 3600, renewed: 7 }],
  [undefined, 'info', /remembers of requests is dated anew/, { lostSeconds: 3600 }],
] as const)(
  'a clock that has gone back is told of as what it means for the process: %j',
  (renewed, level, says, fields) => {
    const told: unknown[] = [];
    const tell = (as: string) => (line: object, message: string) => told.push([as, line, message]);
    const log = { error: tell('error'), info: tell('info') } as unknown as Logger;
    const { clockWentBack } = memberEvents({ log, metrics: new Metrics(), health: new HealthState() });
    clockWentBack({ lostMs: 3_600_000, renewed });
    expect(told).toEqual([[level, fields, expect.stringMatching(says)]]);
  },
);
