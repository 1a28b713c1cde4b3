import { describe, expect, it, test } from 'vitest';
import { awaitsAnswer, type Gate, type GateEvent, OPEN_GATE, reduceGate } from '../../src/core/gate.ts';
import { FULL_PACE, rateAt } from '../../src/core/pace.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
/** When something is told, ms after `NOW`; sent 50 ms before that unless said otherwise. */
type Told = readonly [atMs: number, event: (startedAt: number) => GateEvent, sentMs?: number];

const CEILING = 50;
const answered = (startedAt: number): GateEvent => ({
  kind: 'answered',
  startedAt,
  issued: true,
  ceiling: CEILING,
});
const refused = (startedAt: number): GateEvent => ({ ...answered(startedAt), issued: false }) as GateEvent;
const down =
  (tenant: string, isAnswered = false) =>
  (startedAt: number): GateEvent => ({
    kind: 'unreachable',
    tenant,
    startedAt,
    code: 'timeout',
    ceiling: CEILING,
    isAnswered,
  });
const throttled =
  (tenant: string, retryAfterMs?: number, wholeScope = false) =>
  (startedAt: number): GateEvent => ({
    ...{ kind: 'throttled', tenant, startedAt, retryAfterMs, wholeScope, ceiling: CEILING },
  });

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

describe('a host that says that it is in trouble', () => {
  const says = (count: number): Told[] =>
    Array.from({ length: count }, (_, i): Told => [i * 100, down(`tenant-${i}`, true)]);

  test.each<[what: string, told: Told[], closedMs: number]>([
    ['nine tenants do not close it: it may mean their directories', says(9), 0],
    ['ten in a row close it', says(10), 1900],
    [
      'the same one does not close it, however often',
      Array.from({ length: 40 }, (_, i): Told => [i * 100, down('a', true)]),
      0,
    ],
    ['a token for another tenant ends the row', [...says(9), [850, answered], [900, down('x', true)]], 0],
    [
      'no answer at all is stronger evidence, after a tenant of the row',
      [...says(1), [100, down('b')]],
      1100,
    ],
    ['is no proof of life for a probe', [...DOWN, [1200, down('a', true), 1150]], 2600],
  ])('%s', (_what, told, expected) => {
    expect(closedMs(gateAfter(...told))).toBe(expected);
  });
});

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
    ['a probe that fails closes it for 1.4 times as long', [...DOWN, [1200, down('a'), 1150]], 2600],
    [
      'a probe that is throttled closes it as long as it says',
      [...DOWN, [1200, throttled('a', 60_000, true)]],
      61_200,
    ],
  ])('%s', (_what, told, expected) => {
    expect(closedMs(gateAfter(...told))).toBe(expected);
  });

  it('is closed for ever longer, up to 15 seconds, while probe after probe fails', () => {
    let gate = gateAfter(...DOWN);
    let at = gate.closedUntil;
    const pauses: number[] = [];
    for (let i = 0; i < 1100; i++) {
      gate = reduceGate(gate, down('a')(at), at + 1);
      pauses.push(gate.closedUntil - at - 1);
      at = gate.closedUntil;
    }
    expect(pauses.slice(0, 9)).toEqual([1400, 1960, 2744, 3842, 5378, 7530, 10_541, 14_758, 15_000]);
    expect(Math.max(...pauses)).toBe(15_000);
    expect(gate.closures).toBe(1101);
  });

  it('says what it was, and waits for an answer', () => {
    const gate = gateAfter(...DOWN);
    expect(gate).toMatchObject({ why: 'down: timeout', probing: true, closures: 1, suspect: '' });
    expect(awaitsAnswer(gate, false)).toBe(true);
  });

  it('is opened by an answer to a probe, with short pauses again and slowly', () => {
    const gate = gateAfter(...DOWN, [1200, answered, 1150]);
    const pace = { rate: 2.5, rateAt: NOW + 1200, refused: 0, untested: false };
    expect(gate).toEqual({ ...OPEN_GATE, pace, changedAt: NOW + 1200 });
    expect(awaitsAnswer(gate, true)).toBe(false);
  });

  it('is opened by a refusal as well, but only a token tells that requests are accepted again', () => {
    const gate = gateAfter(...DOWN, [1200, refused, 1150]);
    expect(gate).toMatchObject({ probing: false, pace: { rate: 2.5, untested: true } });
    expect([awaitsAnswer(gate, false), awaitsAnswer(gate, true)]).toEqual([false, true]);
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
      'is closed for a minute at most by what was asked of tenants',
      [
        [0, throttled('a', 3_600_000)],
        [100, throttled('b', 3_600_000)],
      ],
      60_100,
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
    expect(awaitsAnswer(gate, false)).toBe(false);
  });
});

describe('the rate of a gate', () => {
  const at = (gate: Gate, ms: number): number => Math.round(10 * rateAt(gate.pace, CEILING, NOW + ms)) / 10;
  const event = throttled('a', 5000, true);

  it('is the ceiling until a server refuses, whatever else is told', () => {
    expect(gateAfter([0, throttled('a', 5000)], [9, down('b')], [50, answered]).pace).toEqual(FULL_PACE);
  });

  it('is lowered by a refusal, and grows from the end of the closure', () => {
    const gate = gateAfter([0, event]);
    expect([at(gate, 0), at(gate, 5000), at(gate, 11_000)]).toEqual([35, 35, 40]);
  });

  it('is lowered once by all that was on its way, in whatever order it is told', () => {
    const once = gateAfter([0, event]);
    for (const sentMs of [-9000, -60, -1, 0, 100, 4999]) {
      const gate = gateAfter([0, event], [5100, event, sentMs]);
      expect(gate.pace).toEqual({ ...once.pace, rateAt: NOW + 10_100 });
      expect(closedMs(gate)).toBe(10_100);
    }
  });

  it('is lowered again by what was sent after the closure', () => {
    const gate = gateAfter([0, event], [5100, event, 5050]);
    expect([at(gate, 5100), at(gate, 10_100)]).toEqual([24.6, 24.6]);
  });

  it('is not lowered by one tenant alone, and once by several that reach the whole', () => {
    expect(gateAfter([0, throttled('a', 5000)], [9, throttled('a', 5000)]).pace).toEqual(FULL_PACE);
    const gate = gateAfter([0, throttled('a', 5000)], [9, throttled('b', 5000)], [20, throttled('c', 5000)]);
    expect(at(gate, 20)).toBe(35);
  });

  it('waits for a longer Retry-After of a fellow', () => {
    const gate = gateAfter([0, event], [20, throttled('b', 9000, true), -30]);
    expect([at(gate, 9020), at(gate, 15_020)]).toEqual([35, 40]);
  });

  it('is known to be refused once a token was issued at it, not before', () => {
    const again: Told = [5100, event, 5050];
    expect(gateAfter([0, event], again).pace.refused).toBe(50);
    expect(gateAfter([0, event], [5020, refused, 5001], again).pace.refused).toBe(50);
    expect(gateAfter([0, event], [5020, answered, 4000], again).pace.refused).toBe(50);
    expect(gateAfter([0, event], [5020, answered, 5001], again).pace.refused).toBeCloseTo(35.08);
  });

  it('waits for a token after it was lowered, and no longer when one has come', () => {
    const gate = gateAfter([0, event]);
    expect(awaitsAnswer(gate, true)).toBe(true);
    expect(awaitsAnswer(gateAfter([0, event], [5020, answered, 5001]), true)).toBe(false);
  });

  it('begins at its floor after an outage, and doubles until it is near what was refused', () => {
    const gate = gateAfter(...DOWN, [1200, answered, 1150]);
    expect([0, 500, 1000, 2000, 2500].map((ms) => at(gate, 1200 + ms))).toEqual([2.5, 5, 10, 40, 50]);
    const lowered = gateAfter([-9000, event], [-3900, answered], ...DOWN, [1200, answered, 1150]);
    expect([0, 1000, 2085, 152_085].map((ms) => at(lowered, 1200 + ms))).toEqual([2.5, 10, 45, 50]);
  });

  it('is not held back after an outage by a refusal that had been left behind before it', () => {
    const passed = { ...OPEN_GATE, pace: { rate: 7, rateAt: NOW - 3_600_000, refused: 10, untested: false } };
    const down2 = [down('a')(NOW), down('b')(NOW)].reduce((g, e) => reduceGate(g, e, NOW), passed);
    expect(down2.pace.refused).toBe(0);
    const near = { ...passed, pace: { ...passed.pace, rateAt: NOW - 10_000 } };
    const later = [down('a')(NOW), down('b')(NOW), down('a')(NOW + 900_000)].reduce(
      (g, e) => reduceGate(g, e, e.startedAt),
      near,
    );
    expect(later.pace.refused).toBe(10);
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
    ['when a tenant was throttled before it closed', closed, throttled('a', 9000)(NOW), NOW + 200],
    ['when throttling ends before it opens anyway', closed, throttled('a', 100, true)(NOW + 150), NOW + 200],
  ])('%s', (_what, gate, event, at) => {
    expect(reduceGate(gate, event, at)).toBe(gate);
  });
});

describe('tenants of a host that are throttled', () => {
  /** What `b` does to a host of which `a` was throttled when it had given 100 requests, and now it has given `claims`. */
  const second = (claims: number): Gate => {
    const first = reduceGate({ ...OPEN_GATE, claims: 100 }, throttled('a', 5000)(NOW), NOW);
    return reduceGate({ ...first, claims }, throttled('b', 5000)(NOW + 1000), NOW + 1000);
  };

  it('are its trouble when they are two of twenty requests', () => {
    expect(closedMs(second(120))).toBe(6000);
  });

  it('are chance when they are two among more, and then a third one counts from the second', () => {
    const gate = second(121);
    expect(closedMs(gate)).toBe(0);
    expect(closedMs(reduceGate({ ...gate, claims: 130 }, throttled('c', 5000)(NOW + 2000), NOW + 2000))).toBe(
      7000,
    );
  });
});
