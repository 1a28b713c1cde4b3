import { stripVTControlCharacters } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Ending } from '../../src/demo/ending.ts';
import { NO_TRAFFIC, nextTraffic } from '../../src/demo/request-rate.ts';
import { lineScreen, terminalScreen } from '../../src/demo/screen.ts';
import { type Run, summarise, summaryLines } from '../../src/demo/summary.ts';
import { paint, progressLine, tableLines, type View } from '../../src/demo/table.ts';
import type { Counts } from '../../src/demo/tally.ts';

const COUNTS: Counts = {
  targets: 600,
  fresh: 598,
  expiring: 1,
  missing: 1,
  everThere: 600,
  warmUpMs: 4600,
  warmUpReads: 1200,
  reads: 14_400,
  missed: 0,
  shortestNow: { leftMs: 15_300, wholeMs: 58_000 },
  shortestSeen: { leftMs: 12_000, wholeMs: 50_000 },
};

const WARMING: Counts = {
  ...COUNTS,
  everThere: 312,
  warmUpMs: undefined,
  reads: 0,
  shortestNow: undefined,
  shortestSeen: undefined,
};

const TRAFFIC = { requests: 1234, failed: 2, peakPerSecond: 114, perSecond: 17.6 };

const view = (counts: Counts = COUNTS): View => ({
  counts,
  traffic: TRAFFIC,
  elapsedMs: 12_345,
  forMs: 30_000,
});

const rows = (columns: number, counts?: Counts): string[] =>
  tableLines(view(counts), columns).map((line) => paint(line, columns, false));

describe('the table', () => {
  test('shows what there is to see', () => {
    expect(rows(78)).toEqual([
      '  fresh                     598  ████████████████████████████████████████',
      '  expiring                    1  █',
      '  expired or missing          1  █',
      '',
      '  requests a second          18  at most 114 in a second, 1,234 in all, 2 fail',
      '  shortest life left      15.3s  12.0s of 50s at the least so far',
      '  reads                  14,400  0 missed, since it was warm after 4.6s',
      '  elapsed                 12.3s  of 30.0s',
    ]);
  });

  test('says how far the warm-up is', () => {
    expect(rows(78, WARMING)[6]).toBe('  reads                   1,200  warming up: 312 of 600 were there');
  });

  test.each([1, 20, 34, 50, 79])('keeps within %i columns', (columns) => {
    for (const row of rows(columns)) expect(row.length).toBeLessThanOrEqual(columns);
  });

  test('is the same with colours and without', () => {
    const [line = []] = tableLines(view(), 78);
    expect(paint(line, 78, true)).toContain('\x1b[32m');
    expect(stripVTControlCharacters(paint(line, 78, true))).toBe(paint(line, 78, false));
  });
});

test('without a terminal a moment is one line', () => {
  expect(progressLine(view())).toBe(
    ' 12.3s  fresh 598, expiring 1, missing 1  18 requests/s  shortest life left 15.3s  14400 reads, 0 missed',
  );
  expect(progressLine(view(WARMING))).toMatch(/shortest life left - {2}warming up: 312 of 600 were there$/);
});

interface FakeTerminal {
  columns: number;
  rows: number;
  readonly written: string[];
  write(text: string): boolean;
}

function fakeTerminal(): FakeTerminal {
  const written: string[] = [];
  return { columns: 80, rows: 24, written, write: (text) => written.push(text) > 0 };
}

describe('a terminal', () => {
  test('is redrawn in place, one write a time, and has its cursor back in the end', () => {
    const terminal = fakeTerminal();
    const screen = terminalScreen(terminal, false);
    screen.show(view());
    screen.show(view());
    screen.close();
    screen.close();
    const [first = '', second = '', ...rest] = terminal.written;
    expect(first.startsWith('\x1b[?25l  fresh')).toBe(true);
    expect(second.startsWith('\x1b[8A\r  fresh')).toBe(true);
    expect(rest).toEqual(['\x1b[?25h']);
    expect(second).not.toContain('\x1b[0m');
  });

  test('that was made narrower has more rows to go up over', () => {
    const terminal = fakeTerminal();
    const screen = terminalScreen(terminal, false);
    onTestFinished(() => screen.close());
    screen.show(view());
    terminal.columns = 40;
    screen.show(view());
    expect(terminal.written[1]?.startsWith('\x1b[13A\r')).toBe(true);
  });

  test('that is low gets no more lines than it has', () => {
    const terminal = { ...fakeTerminal(), rows: 4 };
    const screen = terminalScreen(terminal, false);
    onTestFinished(() => screen.close());
    screen.show(view());
    expect(terminal.written[0]?.match(/\n/g)).toHaveLength(3);
  });

  test('gets its cursor back also when the process ends in between', () => {
    const before = process.listenerCount('exit');
    const screen = terminalScreen(fakeTerminal(), false);
    screen.show(view());
    expect(process.listenerCount('exit')).toBe(before + 1);
    screen.close();
    expect(process.listenerCount('exit')).toBe(before);
  });
});

test('any other output gets no control characters', () => {
  const output = fakeTerminal();
  const screen = lineScreen(output);
  screen.say('hello');
  screen.show(view());
  screen.close();
  expect(output.written.join('')).toBe(`hello\n${progressLine(view())}\n`);
});

describe('the traffic', () => {
  test('is what came between two looks', () => {
    const first = nextTraffic(NO_TRAFFIC, { requests: 50, failed: 0, peakPerSecond: 40 }, 1000);
    const second = nextTraffic(first, { requests: 60, failed: 1, peakPerSecond: 40 }, 500);
    expect(second).toEqual({ requests: 60, failed: 1, peakPerSecond: 40, perSecond: 20 });
    expect(nextTraffic(second, second, 0).perSecond).toBe(20);
  });
});

describe('the summary', () => {
  const TIME: Ending = { kind: 'time' };
  const INTERRUPTED: Ending = { kind: 'interrupted', by: 'SIGINT' };
  const options = {
    tenants: 200,
    resources: 3,
    lifetime: { minSeconds: 50, maxSeconds: 70 },
    forMs: 30_000,
    json: false,
  };
  const run = (change: Partial<Run> = {}): Run => ({
    ...{ options, counts: COUNTS, traffic: TRAFFIC, elapsedMs: 30_001.5, ending: TIME },
    ...change,
  });

  test('of a run that went well has all figures', () => {
    expect(summarise(run())).toEqual({
      ok: true,
      problem: null,
      targets: 600,
      lifetime: '50s..70s',
      elapsedMs: 30_002,
      warmUpMs: 4600,
      warmUpReads: 1200,
      reads: 14_400,
      missed: 0,
      requests: 1234,
      failedRequests: 2,
      peakRequestsPerSecond: 114,
      shortestLife: { leftMs: 12_000, wholeMs: 50_000 },
    });
  });

  test('reads well', () => {
    expect(summaryLines(summarise(run()))).toEqual([
      '600 tokens kept fresh for 30.0s: no read missed',
      '  warm-up        4.6s until every token was there (1,200 reads)',
      '  reads          14,400 after it, 0 missed',
      '  requests       1,234, 2 failed, at most 114 in a second',
      '  shortest life  12.0s of 50s left',
    ]);
  });

  test.each<[string, Partial<Run>, string | null]>([
    ['a missed read', { counts: { ...COUNTS, missed: 3 } }, '3 of 14,400 reads found no token'],
    [
      'a warm-up that takes too long',
      { counts: WARMING },
      'after 30.0s only 312 of 600 tokens had been there',
    ],
    [
      'a signal while warming up',
      { counts: WARMING, ending: INTERRUPTED },
      'it was ended by SIGINT: after 30.0s only 312 of 600 tokens had been there',
    ],
    [
      'no read after the warm-up',
      { counts: { ...COUNTS, reads: 0 } },
      'the run was too short for a read after the warm-up',
    ],
    ['a part that ends', { ending: { kind: 'failed', message: 'it ended', log: undefined } }, 'it ended'],
    [
      'a signal before the time that was asked for',
      { ending: INTERRUPTED, elapsedMs: 9000 },
      'it was ended by SIGINT after 9.0s of 30.0s',
    ],
    [
      'a signal where no end was set, which is how it ends',
      { ending: INTERRUPTED, options: { ...options, forMs: undefined } },
      null,
    ],
  ])('judges %s', (_what, change, problem) => {
    expect(summarise(run(change))).toMatchObject({ ok: problem === null, problem });
  });
});
