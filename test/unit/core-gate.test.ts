import { describe, expect, it, test } from 'vitest';
import { awaitsAnswer, type Gate, type GateEvent, OPEN_GATE, reduceGate } from '../../src/core/gate.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
/** When something is told, ms after `NOW`; sent 50 ms before that unless said otherwise. */
type Told = readonly [atMs: number, event: (startedAt: number) => GateEvent, sentMs?: number];

const answered = (startedAt: number): GateEvent => ({ kind: 'answered', startedAt });
const down =
  (tenant: string) =>
  (startedAt: number): GateEvent => ({
    kind: 'unreachable',
    tenant,
    startedAt,
    code: 'timeout',
  });
const throttled =
  (tenant: string, retryAfterMs?: number, wholeScope = false) =>
  (startedAt: number): GateEvent => ({ kind: 'throttled', tenant, startedAt, retryAfterMs, wholeScope });

function gateAfter(...told: Told[]): Gate {
  return told.reduce(
    (gate, [atMs, event, sentMs = atMs - 50]) => reduceGate(gate, event(NOW + sentMs), NOW + atMs),
    OPEN_GATE,
  );
}
/** For how long after `NOW` the gate is closed; 0: open. */
const closedMs = (gate: Gate): number => Math.max(0, gate.closedUntil - NOW);
const DOWN: Told[] = [
  [0, down('a')],
  [100, down('b')],
];

describe('a host that does not answer', () => {
  test.each<[what: string, told: Told[], closedMs: number]>([
    ['one tenant does not close it', [[0, down('a')]], 0],
    [
      'one tenant does not close it, however often',
      [0, 1, 2, 3].map((at): Told => [at * 1000, down('a')]),
      0,
    ],
    ['two tenants close it for a second', DOWN, 1100],
    [
      'two tenants close it within 10 s',
      [
        [0, down('a')],
        [10_000, down('b')],
      ],
      11_000,
    ],
    [
      'two tenants do not when they are further apart',
      [
        [0, down('a')],
        [10_001, down('b')],
      ],
      0,
    ],
    [
      'a proof of life between them keeps it open',
      [
        [0, down('a')],
        [50, answered],
        [100, down('b')],
      ],
      0,
    ],
    [
      'a failure and a throttled request are not two failures',
      [
        [0, down('a')],
        [9, throttled('b')],
      ],
      0,
    ],
    ['a third tenant of the same event does not close it for longer', [...DOWN, [150, down('c'), 90]], 1100],
    ['a probe that fails closes it for twice as long', [...DOWN, [1200, down('a'), 1150]], 3200],
    [
      'a probe that is throttled closes it as long as it says',
      [...DOWN, [1200, throttled('a', 60_000, true)]],
      61_200,
    ],
  ])('%s', (_what, told, expected) => {
    expect(closedMs(gateAfter(...told))).toBe(expected);
  });

  it('is closed for 1, 2, 4, 8 and then 15 seconds, while probe after probe fails', () => {
    let gate = gateAfter(...DOWN);
    let at = gate.closedUntil;
    const pauses: number[] = [];
    for (let i = 0; i < 1100; i++) {
      gate = reduceGate(gate, down('a')(at), at + 1);
      pauses.push(gate.closedUntil - at - 1);
      at = gate.closedUntil;
    }
    expect(pauses.slice(0, 5)).toEqual([2000, 4000, 8000, 15_000, 15_000]);
    expect(Math.max(...pauses)).toBe(15_000);
    expect(gate.closures).toBe(1101);
  });

  it('says what it was, and waits for an answer', () => {
    const gate = gateAfter(...DOWN);
    expect(gate).toMatchObject({ why: 'down: timeout', probing: true, closures: 1, suspect: '' });
    expect(awaitsAnswer(gate)).toBe(true);
  });

  it('is opened by an answer to a probe, and begins anew with short pauses', () => {
    const gate = gateAfter(...DOWN, [1200, answered, 1150]);
    expect(gate).toEqual({ ...OPEN_GATE, changedAt: NOW + 1200 });
    expect(awaitsAnswer(gate)).toBe(false);
  });

  test.each([-10_000, 0, 99, 1099])('is not opened by an answer to what was sent at %i ms', (sentMs) => {
    const closed = gateAfter(...DOWN);
    expect(reduceGate(closed, answered(NOW + sentMs), NOW + 1200)).toBe(closed);
  });

  it('is not opened before Retry-After by an answer that slipped through', () => {
    const closed = gateAfter(...DOWN, [1200, throttled('a', 60_000, true)]);
    expect(reduceGate(closed, answered(NOW + 1300), NOW + 1400)).toBe(closed);
    expect(closedMs(reduceGate(closed, down('c')(NOW + 1300), NOW + 1400))).toBe(61_200);
    expect(reduceGate(closed, answered(NOW + 61_300), NOW + 61_400).probing).toBe(false);
  });

  it('is not taken for down again by what was sent before it was opened', () => {
    const open = gateAfter(...DOWN, [1200, answered, 1150]);
    for (const tenant of ['a', 'b', 'c']) {
      expect(reduceGate(open, down(tenant)(NOW + 1199), NOW + 9000)).toBe(open);
    }
  });
});

describe('a scope that throttles', () => {
  test.each<[what: string, told: Told[], closedMs: number]>([
    ['is closed at once by evidence about all of it', [[0, throttled('a', 7000, true)]], 7000],
    ['is closed for a minute when the server says nothing', [[0, throttled('a', undefined, true)]], 60_000],
    ['is not closed for all by one tenant', [[0, throttled('a', 7000)]], 0],
    [
      'is not closed for all by one tenant that goes on',
      [
        [0, throttled('a', 7000)],
        [9, throttled('a', 7000)],
      ],
      0,
    ],
    [
      'is closed for all by a second tenant',
      [
        [0, throttled('a', 7000)],
        [100, throttled('b', 5000)],
      ],
      5100,
    ],
    [
      'is closed by a second within 10 s',
      [
        [0, throttled('a')],
        [10_000, throttled('b', 1000)],
      ],
      11_000,
    ],
    [
      'is not closed by a second after that',
      [
        [0, throttled('a')],
        [10_001, throttled('b', 1000)],
      ],
      0,
    ],
    [
      'is closed by a second, though others are answered',
      [
        [0, throttled('a')],
        [50, answered],
        [99, throttled('b', 1)],
      ],
      100,
    ],
    [
      'is closed for as long as the longest says',
      [
        [0, throttled('a', 9000, true)],
        [9, throttled('b', 30_000, true)],
      ],
      30_009,
    ],
    [
      'is not closed for less by a shorter one',
      [
        [0, throttled('a', 9000, true)],
        [9, throttled('b', 1000, true)],
      ],
      9000,
    ],
    [
      'is not opened by an answer',
      [
        [0, throttled('a', 9000, true)],
        [100, answered, 60],
      ],
      9000,
    ],
  ])('%s', (_what, told, expected) => {
    expect(closedMs(gateAfter(...told))).toBe(expected);
  });

  it('is not probed: it opens by the clock', () => {
    const gate = gateAfter([0, throttled('a', 9000, true)]);
    expect(gate).toMatchObject({ probing: false, closures: 0, why: 'throttled' });
    expect(awaitsAnswer(gate)).toBe(false);
  });
});

describe('the gate stays the same object', () => {
  const open = OPEN_GATE;
  const closed = gateAfter(...DOWN);
  test.each<[what: string, gate: Gate, event: GateEvent, at: number]>([
    ['when an open one hears of an answer', open, answered(NOW), NOW],
    ['when it is told too late of a failure', open, down('a')(NOW), NOW + 60_001],
    ['when it is told too late of throttling', open, throttled('a', 9000, true)(NOW), NOW + 60_001],
    ['when it is told too late of an answer', closed, answered(NOW + 1200), NOW + 61_201],
    ['when fellows of the closing requests fail', closed, down('c')(NOW + 99), NOW + 200],
    ['when throttling ends before it opens anyway', closed, throttled('a', 100, true)(NOW + 150), NOW + 200],
  ])('%s', (_what, gate, event, at) => {
    expect(reduceGate(gate, event, at)).toBe(gate);
  });
});
