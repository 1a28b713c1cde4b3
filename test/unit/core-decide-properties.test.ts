import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isClaim, LONGEST_CLAIM_MS } from '../../src/core/claim.ts';
import { decide } from '../../src/core/decide.ts';
import { nextAllowedAt } from '../../src/core/guard.ts';
import { refreshWindow } from '../../src/core/plan.ts';
import type { FailureKind, TargetPolicy, TargetState } from '../../src/core/state.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const KINDS: readonly FailureKind[] = ['transient', 'throttled', 'credential', 'configuration', 'tenant'];

const around = fc.oneof(fc.constant(0), fc.integer({ min: NOW - 1e7, max: NOW + 1e7 }), fc.constant(NOW));
const generation = fc.integer({ min: 0, max: 4 });
const anyState: fc.Arbitrary<TargetState> = fc.record({
  generation,
  attempted: generation,
  concluded: generation,
  wanted: generation,
  wantedBy: fc.constantFrom('', 'by oncall'),
  leaseUntil: around,
  issuedAt: around,
  expiresAt: around,
  refreshInMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2e7 })),
  readAt: around,
  dormantSince: around,
  failures: fc.nat(5),
  failure: fc.option(fc.record({ kind: fc.constantFrom(...KINDS), code: fc.constant('CODE') }), {
    nil: undefined,
  }),
  retryAt: around,
  requestLog: fc
    .array(fc.integer({ min: NOW - 400_000, max: NOW }), { maxLength: 8 })
    .map((log) => log.sort()),
  fingerprint: fc.constant('AbCdEf01'),
  digest: fc.constant(''),
  tenantId: fc.constant(''),
  claims: fc.constant(''),
});
const anyPolicy: fc.Arbitrary<TargetPolicy> = fc
  .tuple(
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 3_600_000 }),
    fc.integer({ min: 1, max: 1e8 }),
  )
  .map(([count, windowMs, outageTargetMs]) => ({
    id: 'billing/contoso/graph',
    host: 'idp.example:443',
    tenantScope: 'billing/contoso',
    fingerprint: 'AbCdEf01',
    outageTargetMs,
    expectLifetimeMs: 3_600_000,
    identical: { count, windowMs },
  }));

function always(holds: (state: TargetState, policy: TargetPolicy) => void): void {
  fc.assert(fc.property(anyState, anyPolicy, holds), { numRuns: 1000 });
}

describe('the policy, for any state', () => {
  it('never refreshes while another attempt holds the lease', () => {
    always((state, policy) => {
      const leased = { ...state, leaseUntil: NOW + 1 + (state.leaseUntil % LONGEST_CLAIM_MS) };
      expect(decide(leased, policy, NOW).act).toBe('wait');
    });
  });

  it('does not wait for a lease that is further ahead than any can be: the clock has gone back', () => {
    always((state, policy) => {
      fc.pre(state.leaseUntil > NOW && !isClaim(state.leaseUntil, NOW));
      expect(decide(state, policy, NOW)).not.toMatchObject({ reason: 'in progress' });
    });
  });

  it('never refreshes a fresh token that nobody wants anew', () => {
    always((state, policy) => {
      const lifeMs = state.expiresAt - state.issuedAt;
      fc.pre(state.expiresAt > NOW && lifeMs > 0 && state.wanted <= state.generation);
      fc.pre(NOW < state.issuedAt + refreshWindow(lifeMs, policy, state.refreshInMs).earliest * lifeMs - 1);
      expect(decide(state, policy, NOW)).toMatchObject({ act: 'wait', reason: 'fresh' });
    });
  });

  it('never goes beyond the identical limit, and leaves one request for what is wanted', () => {
    always((state, policy) => {
      const decision = decide(state, policy, NOW);
      fc.pre(decision.act === 'refresh');
      const { count, windowMs } = policy.identical;
      const allowed = decision.reason === 'wanted' ? count : Math.max(1, count - 1);
      expect(nextAllowedAt(state.requestLog, allowed, windowMs, NOW)).toBeLessThanOrEqual(NOW);
    });
  });

  it('never gets around what a server that throttles has asked for', () => {
    always((state, policy) => {
      fc.pre(state.failure?.kind === 'throttled' && state.retryAt > NOW);
      expect(decide(state, policy, NOW).act).toBe('wait');
    });
  });

  it('waits until a moment that is not over, or for a span that is not', () => {
    always((state, policy) => {
      const decision = decide(state, policy, NOW);
      if (decision.act !== 'wait') return;
      const { from, to } = decision.until;
      expect(Number.isFinite(from) && Number.isFinite(to)).toBe(true);
      expect(from).toBeGreaterThanOrEqual(NOW - 1);
      expect(to).toBeGreaterThanOrEqual(Math.max(NOW, from));
    });
  });

  it('gives up waiting when it has waited: no target waits for ever', () => {
    always((state, policy) => {
      let now = NOW;
      let decision = decide(state, policy, now);
      for (let looks = 0; decision.act === 'wait' && looks < 200; looks++) {
        now = Math.max(now, Math.ceil(decision.until.to));
        decision = decide(state, policy, now);
      }
      expect(decision.act === 'refresh' || state.leaseUntil > now).toBe(true);
    });
  });

  it('says why, in words without numbers that are none', () => {
    always((state, policy) => {
      const { why } = decide(state, policy, NOW);
      expect(why).not.toBe('');
      expect(why).not.toMatch(/NaN|undefined|Infinity|null|\[object/);
    });
  });
});
