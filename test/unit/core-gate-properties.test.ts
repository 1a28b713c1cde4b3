import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { awaitsAnswer, type Gate, type GateEvent, OPEN_GATE, reduceGate } from '../../src/core/gate.ts';
import { rateAt } from '../../src/core/pace.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const LATE_MS = 60_000;

const tenant = fc.constantFrom('a', 'b', 'c');
const startedAt = fc.integer({ min: NOW - 2 * LATE_MS, max: NOW });
const retryAfterMs = fc.option(fc.integer({ min: 1000, max: 3_600_000 }), { nil: undefined });
const oneOf = <T extends string>(kind: T): fc.Arbitrary<T> => fc.constant(kind);

const ceiling = fc.constant(50);

const anyAnswer = fc.record({ kind: oneOf('answered'), startedAt, ceiling, issued: fc.boolean() });
const anyFailure = fc.record({
  kind: oneOf('unreachable'),
  tenant,
  startedAt,
  ceiling,
  code: fc.constant('timeout'),
  isAnswered: fc.boolean(),
});
const anyThrottling = fc.record({
  kind: oneOf('throttled'),
  tenant,
  startedAt,
  ceiling,
  retryAfterMs,
  wholeScope: fc.boolean(),
});
const anyEvent: fc.Arbitrary<GateEvent> = fc.oneof(anyAnswer, anyFailure, anyThrottling);

/** A gate that a history of events has led to, told over two minutes that end at `NOW`. */
const anyHistory = fc.array(
  fc.tuple(anyEvent, fc.integer({ min: 0, max: 120_000 }), fc.integer({ min: 0, max: 12_000 })),
  { maxLength: 12 },
);
const anyGate: fc.Arbitrary<Gate> = anyHistory.map((history) =>
  history
    .sort(([, one], [, other]) => other - one)
    .reduce((gate, [event, agoMs, tookMs]) => {
      return reduceGate(gate, { ...event, startedAt: NOW - agoMs - tookMs }, NOW - agoMs);
    }, OPEN_GATE),
);

function always<E extends GateEvent>(
  events: fc.Arbitrary<E>,
  holds: (gate: Gate, event: E, after: Gate) => void,
) {
  fc.assert(
    fc.property(anyGate, events, (gate, event) => holds(gate, event, reduceGate(gate, event, NOW))),
    { numRuns: 1000 },
  );
}

describe('a gate, after any history', () => {
  it('is never closed for a shorter time by throttling or by failures', () => {
    always(fc.oneof(anyThrottling, anyFailure), (gate, _event, after) => {
      expect(after.closedUntil).toBeGreaterThanOrEqual(gate.closedUntil);
    });
  });

  it('is never opened by an answer to what was sent before it closed, or while it was closed', () => {
    always(anyAnswer, (gate, event, after) => {
      fc.pre(event.startedAt < Math.max(gate.changedAt, gate.closedUntil));
      expect(after).toBe(gate);
    });
  });

  it('is opened by an answer to what was sent after that', () => {
    always(anyAnswer, (gate, event, after) => {
      fc.pre(event.startedAt >= Math.max(gate.changedAt, gate.closedUntil, NOW - LATE_MS));
      expect(after).toMatchObject({ probing: false, closures: 0 });
      expect(awaitsAnswer(after, event.issued)).toBe(false);
    });
  });

  it('is changed by nothing that comes late', () => {
    always(anyEvent, (gate, event, after) => {
      fc.pre(event.startedAt + LATE_MS < NOW);
      expect(after).toBe(gate);
    });
  });

  it('is closed for an hour at most', () => {
    always(anyEvent, (_gate, _event, after) => {
      expect(after.closedUntil).toBeLessThanOrEqual(NOW + 3_600_000);
    });
  });

  it('is closed for as long as evidence about the whole scope says, at once', () => {
    always(anyThrottling, (_gate, event, after) => {
      fc.pre(event.wholeScope && event.startedAt + LATE_MS >= NOW);
      expect(after.closedUntil).toBeGreaterThanOrEqual(NOW + (event.retryAfterMs ?? 60_000));
    });
  });

  it('is as fast as its ceiling at most and as its floor at least, and no faster for a refusal or a failure', () => {
    always(anyEvent, (gate, event, after) => {
      const [before, now] = [gate, after].map(({ pace }) => rateAt(pace, 50, NOW)) as [number, number];
      expect(now).toBeLessThanOrEqual(50);
      expect(now).toBeGreaterThanOrEqual(2.5);
      if (event.kind !== 'answered') expect(now).toBeLessThanOrEqual(before);
    });
  });

  it('is lowered only by a refusal that was sent after it last opened, or when it opens after an outage', () => {
    always(anyEvent, (gate, event, after) => {
      fc.pre(after.pace.rate !== gate.pace.rate);
      expect(event.startedAt).toBeGreaterThanOrEqual(Math.max(gate.changedAt, gate.closedUntil));
      expect(event.kind === 'throttled' || (event.kind === 'answered' && gate.probing)).toBe(true);
    });
  });

  it('probes only what is down, and then always pauses first', () => {
    always(anyFailure, (gate, _event, after) => {
      fc.pre(after !== gate && after.probing);
      expect(after.closedUntil).toBeGreaterThanOrEqual(NOW + 1000);
      expect(after.closures).toBe(gate.closures + 1);
    });
  });
});

describe('one tenant in trouble, while any others are answered', () => {
  const ofOne = fc.oneof(
    anyAnswer,
    anyFailure.map((event) => ({ ...event, tenant: 'a' })),
    anyThrottling.map((event) => ({ ...event, tenant: 'a', wholeScope: false })),
  );

  it('never closes the host', () => {
    const told = fc.array(fc.tuple(ofOne, fc.integer({ min: 0, max: 20_000 }), fc.nat(12_000)), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(told, (events) => {
        let now = NOW;
        let gate = OPEN_GATE;
        for (const [event, gapMs, tookMs] of events) {
          now += gapMs;
          gate = reduceGate(gate, { ...event, startedAt: now - tookMs }, now);
          expect(gate.closedUntil).toBe(0);
          expect(gate.probing).toBe(false);
        }
      }),
    );
  });
});

describe('two tenants in trouble within ten seconds', () => {
  const gap = fc.integer({ min: 0, max: 10_000 });

  it('close the host when no answer comes between', () => {
    fc.assert(
      fc.property(anyGate, gap, fc.constantFrom('a', 'b'), (history, gapMs, first) => {
        fc.pre(history.closedUntil <= NOW);
        const second = first === 'a' ? 'b' : 'a';
        const fail = (gate: Gate, who: string, at: number) =>
          reduceGate(
            gate,
            {
              kind: 'unreachable',
              tenant: who,
              startedAt: at,
              ceiling: 50,
              code: 'timeout',
              isAnswered: false,
            },
            at,
          );
        const after = fail(fail(history, first, NOW + 1), second, NOW + 1 + gapMs);
        expect(after.closedUntil).toBeGreaterThan(NOW + 1);
        expect(after.probing).toBe(true);
      }),
    );
  });

  it('close the host when they are throttled, also when answers come between', () => {
    fc.assert(
      fc.property(fc.array(gap, { maxLength: 5 }), gap, (answersAt, gapMs) => {
        const throttle = (gate: Gate, who: string, at: number) =>
          reduceGate(
            gate,
            {
              kind: 'throttled',
              tenant: who,
              startedAt: at,
              ceiling: 50,
              retryAfterMs: 5000,
              wholeScope: false,
            },
            at,
          );
        const between = answersAt.filter((at) => at <= gapMs).sort((a, b) => a - b);
        const first = throttle(OPEN_GATE, 'a', NOW);
        const answered = between.reduce(
          (gate, at) =>
            reduceGate(gate, { kind: 'answered', issued: true, startedAt: NOW + at, ceiling: 50 }, NOW + at),
          first,
        );
        expect(throttle(answered, 'b', NOW + gapMs).closedUntil).toBe(NOW + gapMs + 5000);
      }),
    );
  });
});
