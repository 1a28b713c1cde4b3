import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { Token } from '../../src/core/token.ts';
import { Memory } from '../../src/refresh/memory.ts';

const NOW = 1_800_000_000_000;
const WINDOW_MS = 300_000;
const ID = 'billing/contoso/graph';
const OTHER = 'billing/fabrikam/graph';

const token = (generation: number, lifeMs = 3_600_000): Token => ({
  accessToken: new Secret('access'),
  tokenType: 'Bearer',
  issuedAt: NOW,
  expiresAt: NOW + lifeMs,
  generation,
  digest: 'dddddddd',
  refreshInMs: 0,
  tenantId: '',
});

describe('the memory of a process', () => {
  it('knows nothing of a target that it has not refreshed', () => {
    expect(new Memory().get(ID)).toEqual({ token: undefined, requestLog: [] });
    expect(new Memory().live(NOW, WINDOW_MS).size).toBe(0);
  });

  it('joins what it sent with what it saw in Redis, in order, each request once', () => {
    const memory = new Memory();
    memory.rememberRequests(ID, [NOW - 9], WINDOW_MS, NOW);
    memory.rememberRequests(ID, [NOW - 20, NOW - 9, NOW - 1], WINDOW_MS, NOW);
    expect(memory.get(ID).requestLog).toEqual([NOW - 20, NOW - 9, NOW - 1]);
  });

  it('still knows what was sent when Redis has forgotten it', () => {
    const memory = new Memory();
    memory.rememberRequests(ID, [NOW - 9], WINDOW_MS, NOW);
    memory.rememberRequests(ID, [], WINDOW_MS, NOW);
    expect(memory.get(ID).requestLog).toEqual([NOW - 9]);
  });

  it('counts what a clock that has gone back has dated from now on, also what a state still says of it', () => {
    const memory = new Memory();
    const later = NOW + 3_600_000;
    memory.rememberRequests(ID, [later, later + 1], WINDOW_MS, later + 1);
    memory.clockWentBack(NOW);
    expect(memory.get(ID).requestLog).toEqual([NOW - 1, NOW]);
    memory.rememberRequests(OTHER, [later, later + 1], WINDOW_MS, NOW);
    expect(memory.get(OTHER).requestLog).toEqual([NOW - 1, NOW]);
  });

  it('keeps no request for longer than the window', () => {
    const memory = new Memory();
    for (let i = 0; i < 1000; i++) memory.rememberRequests(ID, [NOW + i * 1000], WINDOW_MS, NOW + i * 1000);
    expect(memory.get(ID).requestLog).toHaveLength(300);
  });

  it('holds a token as unsaved until Redis has it', () => {
    const memory = new Memory();
    const saved = token(1);
    memory.rememberToken(ID, saved);
    memory.rememberToken(OTHER, token(2));
    expect(memory.unsavedCount).toBe(2);
    memory.saved(ID, saved);
    expect([...memory.unsaved().keys()]).toEqual([OTHER]);
    expect([...memory.live(NOW, WINDOW_MS).keys()]).toEqual([ID, OTHER]);
  });

  it('holds a token as unsaved that was acquired while Redis took the one before it', () => {
    const memory = new Memory();
    const before = token(1);
    memory.rememberToken(ID, before);
    memory.rememberToken(ID, token(2));
    memory.saved(ID, before);
    expect(memory.unsaved().get(ID)?.token?.generation).toBe(2);
  });

  it('keeps the requests beside a new token, and the token beside new requests', () => {
    const memory = new Memory();
    memory.rememberRequests(ID, [NOW], WINDOW_MS, NOW);
    memory.rememberToken(ID, token(1));
    memory.rememberRequests(ID, [NOW + 1], WINDOW_MS, NOW + 1);
    expect(memory.get(ID)).toEqual({ token: token(1), requestLog: [NOW, NOW + 1] });
  });

  it('does not give back a token that was purged, only what was sent for it', () => {
    const memory = new Memory();
    memory.rememberRequests(ID, [NOW], WINDOW_MS, NOW);
    memory.rememberToken(ID, token(1));
    memory.forgetToken(ID);
    memory.forgetToken(OTHER);
    expect(memory.unsaved().size).toBe(0);
    expect(memory.live(NOW, WINDOW_MS)).toEqual(new Map([[ID, { token: undefined, requestLog: [NOW] }]]));
  });

  it('drops what has ended: tokens at the end of their life, and targets of which nothing is left', () => {
    const memory = new Memory();
    memory.rememberToken(ID, token(1, 1000));
    memory.rememberRequests(ID, [NOW], WINDOW_MS, NOW);
    memory.rememberToken(OTHER, token(2, 1000));
    expect([...memory.live(NOW + 1000, WINDOW_MS)]).toEqual([[ID, { token: undefined, requestLog: [NOW] }]]);
    expect(memory.unsavedCount).toBe(0);
    expect(memory.live(NOW + WINDOW_MS, WINDOW_MS).size).toBe(0);
    expect(memory.get(ID).requestLog).toEqual([]);
  });

  it('gives a token back to the last millisecond of its life', () => {
    const memory = new Memory();
    memory.rememberToken(ID, token(1, 1000));
    expect(memory.live(NOW + 999, WINDOW_MS).get(ID)?.token?.generation).toBe(1);
  });

  it('keeps the newer token when an attempt that was held up for long comes back with an older one', () => {
    const memory = new Memory();
    const newer = token(2);
    memory.rememberToken(ID, newer);
    memory.saved(ID, newer);
    memory.rememberToken(ID, token(1));
    expect(memory.get(ID).token?.generation).toBe(2);
    expect(memory.unsavedCount).toBe(0);
  });
});
