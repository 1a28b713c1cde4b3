import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseCredential, credentialHold, recoveryOf } from '../../src/core/credential-choice.ts';
import {
  type CredentialEvent,
  claimProbe,
  credentialStanding,
  type Marks,
  marksAsOf,
  probeNow,
  reduceMarks,
  seeCredentials,
} from '../../src/core/credential-marks.ts';

const T = 1_000_000_000_000;
const MINUTE = 60_000;
const DAY = 86_400_000;

const accepted = (fingerprint: string, startedAt: number, scope = 'x'): CredentialEvent => ({
  ...{ kind: 'accepted', fingerprint, startedAt, scope },
});
const refused = (fingerprint: string, scope: string, startedAt: number, needed = 2): CredentialEvent => ({
  ...{ kind: 'refused', fingerprint, scope, startedAt, needed },
  code: 'AADSTS7000215',
});

/** Marks after events, each at its moment, from long ago so that nothing is young. */
const marksAfter = (...events: readonly (readonly [CredentialEvent, number])[]): Marks => {
  const seen = seeCredentials(seeCredentials([], ['old', 'new'], T - DAY), ['old', 'new'], T - 1000);
  return events.reduce<Marks>((marks, [event, now]) => reduceMarks(marks, event, now), seen);
};

const good = (fingerprint: string): readonly [CredentialEvent, number] => [
  accepted(fingerprint, T - 1000),
  T - 900,
];

const choose = (marks: Marks, options: Partial<Parameters<typeof chooseCredential>[0]> = {}) =>
  chooseCredential({ atHand: ['new', 'old'], marks, tried: new Set(), scope: 'a', now: T, ...options });

const standing = (marks: Marks, fingerprint: string) => {
  const mark = marks.find((each) => each.fingerprint === fingerprint);
  return mark === undefined ? 'unknown' : credentialStanding(mark);
};

describe('which credential an attempt uses', () => {
  it('proves the first one when nothing is known of any', () => {
    expect(choose([])).toEqual({ act: 'use', fingerprint: 'new', probe: true });
  });

  it('goes on with the one that works while a new one that stands before it is proved on one target', () => {
    const marks = marksAfter(good('old'));
    expect(choose(marks)).toEqual({ act: 'use', fingerprint: 'new', probe: true });
    const claimed = claimProbe(marks, 'new', T);
    expect(choose(claimed)).toEqual({ act: 'use', fingerprint: 'old', probe: false });
  });

  it('does not try what stands after one that works', () => {
    const marks = marksAfter(good('new'));
    expect(choose(marks)).toEqual({ act: 'use', fingerprint: 'new', probe: false });
  });

  it('takes the first of several that work', () => {
    expect(choose(marksAfter(good('old'), good('new')))).toMatchObject({ fingerprint: 'new', probe: false });
  });

  it('lets a tenant that has refused one begin with the other, and the other tenants go on as they were', () => {
    const marks = marksAfter(good('old'), good('new'), [refused('new', 'a', T - 500), T - 400]);
    expect(choose(marks, { scope: 'a' })).toMatchObject({ fingerprint: 'old' });
    expect(choose(marks, { scope: 'b' })).toMatchObject({ fingerprint: 'new' });
  });

  it('goes on to the next one in the same attempt', () => {
    const marks = marksAfter(good('old'), good('new'));
    expect(choose(marks, { tried: new Set(['new']) })).toMatchObject({ fingerprint: 'old', probe: false });
  });

  it('waits for a moment where another attempt is proving the only one', () => {
    const claimed = claimProbe([], 'new', T);
    const choice = choose(claimed, { atHand: ['new'] });
    expect(choice).toEqual({
      act: 'hold',
      hold: { until: T + 3000, why: 'a new credential is being proved on one target' },
    });
  });

  it('lets another attempt prove it when the first has not come back', () => {
    const claimed = claimProbe([], 'new', T);
    expect(choose(claimed, { atHand: ['new'], now: T + 3000 })).toMatchObject({ probe: true });
  });

  it('gives one attempt the probe, whoever asks', () => {
    const claimed = claimProbe([], 'new', T);
    expect(claimProbe(claimed, 'new', T + 1)).toBe(claimed);
  });

  it('holds everything without a call where all are refused, and says until when and why', () => {
    const marks = marksAfter(
      good('new'),
      [refused('new', 'a', T - 500), T - 400],
      [refused('new', 'b', T - 300), T],
    );
    expect(choose(marks, { atHand: ['new'] })).toEqual({
      act: 'hold',
      hold: {
        until: T + 30_000,
        why: 'every credential of the client is refused, the latest with AADSTS7000215; one is tried again in 30s',
      },
    });
    expect(choose(marks, { atHand: ['new'], now: T + 30_000 })).toMatchObject({ probe: true });
  });
});

describe('the marks of a credential', () => {
  it('are refused by two tenants and not by one', () => {
    const one = marksAfter(good('new'), [refused('new', 'a', T), T + 1]);
    expect(standing(one, 'new')).toBe('suspect');
    expect(standing(reduceMarks(one, refused('new', 'a', T + 2), T + 3), 'new')).toBe('suspect');
    expect(standing(reduceMarks(one, refused('new', 'b', T + 2), T + 3), 'new')).toBe('refused');
  });

  it('are refused by the one tenant where a client has no second', () => {
    expect(standing(marksAfter(good('new'), [refused('new', 'a', T, 1), T + 1]), 'new')).toBe('refused');
  });

  it('count a second refusal also where it was sent before the first was heard of', () => {
    const marks = marksAfter(
      good('new'),
      [refused('new', 'a', T), T + 100],
      [refused('new', 'b', T + 50), T + 120],
    );
    expect(standing(marks, 'new')).toBe('refused');
  });

  it('are cleared of one refusal by an acceptance that was sent after it', () => {
    const suspect = marksAfter(good('new'), [refused('new', 'a', T), T + 100]);
    expect(standing(reduceMarks(suspect, accepted('new', T + 50), T + 150), 'new')).toBe('suspect');
    expect(standing(reduceMarks(suspect, accepted('new', T + 101), T + 150), 'new')).toBe('good');
  });

  it('ignore a refusal that was sent before the acceptance', () => {
    const marks = marksAfter([accepted('new', T), T + 100]);
    expect(reduceMarks(marks, refused('new', 'a', T + 50), T + 150)).toBe(marks);
  });

  it('ignore the fellows of the requests that made it refused, and an acceptance from before', () => {
    const marks = marksAfter(
      good('new'),
      [refused('new', 'a', T), T + 100],
      [refused('new', 'b', T), T + 110],
    );
    expect(reduceMarks(marks, refused('new', 'c', T + 105), T + 120)).toBe(marks);
    expect(reduceMarks(marks, accepted('new', T + 105), T + 120)).toBe(marks);
  });

  it('ignore whatever is reported more than a minute late', () => {
    const marks = marksAfter(good('new'));
    expect(reduceMarks(marks, refused('new', 'a', T), T + 61_000)).toBe(marks);
  });

  it('cool down for longer after each refused probe, from 30 seconds to 5 minutes', () => {
    let marks = marksAfter(good('new'), [refused('new', 'a', T, 1), T]);
    const waits: number[] = [];
    for (let now = T, i = 0; i < 8; i++) {
      const until = marks.find(({ fingerprint }) => fingerprint === 'new')?.probeAt ?? 0;
      waits.push((until - now) / 1000);
      now = until;
      marks = reduceMarks(claimProbe(marks, 'new', now), refused('new', 'a', now, 1), now);
    }
    expect(waits).toEqual([30, 60, 120, 240, 300, 300, 300, 300]);
  });

  it('are probed every 30 seconds in the ten minutes in which a new credential spreads', () => {
    let marks = seeCredentials([], ['new'], T);
    let probes = 0;
    for (let now = T; now < T + 9 * MINUTE; now += 1000) {
      if (chooseCredential({ atHand: ['new'], marks, tried: new Set(), scope: 'a', now }).act === 'hold')
        continue;
      probes++;
      marks = reduceMarks(claimProbe(marks, 'new', now), refused('new', 'a', now, 1), now);
    }
    expect(probes).toBe(18);
  });

  it('become good by one accepted probe', () => {
    const marks = marksAfter(good('new'), [refused('new', 'a', T, 1), T]);
    const probing = claimProbe(marks, 'new', T + 30_000);
    const after = reduceMarks(probing, accepted('new', T + 30_000), T + 30_100);
    expect(standing(after, 'new')).toBe('good');
    expect(recoveryOf(probing, after, ['new'])).toEqual({ withinMs: 310_000, excused: ['a'] });
    expect(recoveryOf(probing, after, ['old'])).toBeUndefined();
    expect(recoveryOf(after, after, ['new'])).toBeUndefined();
    expect(recoveryOf([], reduceMarks([], accepted('new', T), T), ['new'])).toMatchObject({
      withinMs: 13_000,
    });
  });

  it('let the next attempt prove it at once where a probe told nothing', () => {
    const claimed = claimProbe([], 'new', T);
    const after = reduceMarks(claimed, { kind: 'unjudged', fingerprint: 'new' }, T + 10);
    expect(choose(after, { atHand: ['new'], now: T + 10 })).toMatchObject({ probe: true });
  });

  it('keep their cool-down where a probe of a refused one told nothing', () => {
    const marks = claimProbe(marksAfter(good('new'), [refused('new', 'a', T, 1), T]), 'new', T + 30_000);
    expect(reduceMarks(marks, { kind: 'unjudged', fingerprint: 'new' }, T + 30_010)).toBe(marks);
  });

  it('change nothing for an acceptance of one that is known to be good, and are renewed once a day', () => {
    const marks = marksAfter(good('new'));
    expect(reduceMarks(marks, accepted('new', T), T + 1)).toBe(marks);
    expect(reduceMarks(marks, accepted('new', T + DAY), T + DAY + 1)).not.toBe(marks);
  });

  it('bring the probe forward for an order', () => {
    const marks = marksAfter(good('new'), [refused('new', 'a', T, 1), T]);
    expect(choose(probeNow(marks, T + 1), { atHand: ['new'], now: T + 1 })).toMatchObject({ probe: true });
    expect(probeNow(marksAfter(good('new')), T)).toEqual(marksAfter(good('new')));
  });

  it('keep the newest sixteen and forget the oldest', () => {
    const many = Array.from({ length: 20 }, (_, i) => `fp${i}`);
    const marks = many.reduce<Marks>((all, each, i) => seeCredentials(all, [each], T + i), []);
    expect(marks.map(({ fingerprint }) => fingerprint)).toEqual(many.slice(-16));
  });

  it('hold nobody by moments of a clock that has gone back', () => {
    const marks = marksAfter(good('new'), [refused('new', 'a', T, 1), T]);
    const back = T - 5 * 3_600_000;
    expect(credentialHold(marksAsOf(marks, back), back)).toBeUndefined();
  });
});

describe('a tenant that refuses for a reason of its own', () => {
  /** Two tenants refuse, and a third accepts. */
  const marks = marksAfter(
    ...[good('new'), [refused('new', 'a', T), T + 1] as const, [refused('new', 'b', T + 2), T + 3] as const],
    [accepted('new', T + 30_100, 'c'), T + 30_200],
  );

  it('is not asked for the next probe while others may be', () => {
    const dead = marksAfter(good('new'), [refused('new', 'a', T), T], [refused('new', 'b', T), T]);
    const at = (scope: string, now: number) => choose(dead, { atHand: ['new'], scope, now }).act;
    const again = reduceMarks(
      claimProbe(dead, 'new', T + 30_000),
      refused('new', 'c', T + 30_000),
      T + 30_100,
    );
    expect([at('c', T + 30_000), at('a', T + 30_000)]).toEqual(['use', 'use']);
    const later = probeNow(again, T + 31_000);
    const then = (scope: string) => choose(later, { atHand: ['new'], scope, now: T + 31_000 }).act;
    expect([then('c'), then('a'), then('b')]).toEqual(['use', 'hold', 'hold']);
  });

  it('holds nobody else a second time, once others have been accepted', () => {
    const after = reduceMarks(
      reduceMarks(marks, refused('new', 'a', T + 40_000), T + 40_001),
      refused('new', 'b', T + 40_002),
      T + 40_003,
    );
    expect(after).toBe(marks);
    expect(standing(after, 'new')).toBe('good');
  });

  it('counts again when it has been accepted itself', () => {
    const accepting = reduceMarks(marks, accepted('new', T + 50_000, 'a'), T + 50_001);
    const one = reduceMarks(accepting, refused('new', 'a', T + 60_000), T + 60_001);
    expect(standing(one, 'new')).toBe('suspect');
  });

  it('does not use up the requests of a new credential that nobody has accepted yet', () => {
    const suspect = reduceMarks(seeCredentials([], ['new'], T - DAY), refused('new', 'a', T), T);
    const at = (scope: string, now: number) => choose(suspect, { atHand: ['new'], scope, now }).act;
    expect([at('a', T + 1), at('b', T + 1), at('a', T + 30_000)]).toEqual(['hold', 'use', 'use']);
  });
});

describe('a credential that only another process has', () => {
  it('leaves the targets to that process, for a moment and not for a cool-down', () => {
    const dead = marksAfter(good('new'), [refused('old', 'a', T, 1), T]);
    expect(choose(dead, { atHand: ['old'] })).toMatchObject({
      act: 'hold',
      hold: { until: T + 200, why: expect.stringMatching(/another process/) },
    });
  });

  it('counts for nothing when no process has said for minutes that it has it', () => {
    const dead = marksAfter(good('new'), [refused('old', 'a', T, 1), T]);
    const later = seeCredentials(dead, ['old'], T + 200_000);
    expect(credentialHold(dead, T)).toBeUndefined();
    const refusedAgain = reduceMarks(later, refused('old', 'a', T + 200_000, 1), T + 200_001);
    expect(credentialHold(refusedAgain, T + 200_002)).toMatchObject({
      why: expect.stringMatching(/refused/),
    });
  });
});

describe('what a dispatcher knows of a client', () => {
  it('is held while its only credential is being proved', () => {
    const claimed = claimProbe([], 'new', T);
    expect(credentialHold(claimed, T + 1)).toMatchObject({ until: T + 3000 });
    expect(credentialHold(reduceMarks(claimed, accepted('new', T + 1), T + 2), T + 3)).toBeUndefined();
  });

  it('is held while all marks are refused, and not with one that may work', () => {
    const dead = reduceMarks([], refused('new', 'a', T, 1), T);
    expect(credentialHold(dead, T)).toMatchObject({ until: T + 30_000 });
    expect(credentialHold(dead, T + 30_000)).toBeUndefined();
    expect(credentialHold(seeCredentials(dead, ['next'], T), T)).toBeUndefined();
    expect(credentialHold([], T)).toBeUndefined();
  });
});

it('a dead credential costs two refusals and one probe in a cool-down, whatever order the answers come in', () => {
  const request = fc.record({
    tenant: fc.integer({ min: 0, max: 20 }),
    takesMs: fc.integer({ min: 1, max: 900 }),
  });
  fc.assert(
    fc.property(fc.array(request, { minLength: 60, maxLength: 60 }), (requests) => {
      let marks = reduceMarks([], accepted('new', T - 3 * DAY), T - 3 * DAY + 1);
      let inFlight: { at: number; startedAt: number; scope: string }[] = [];
      const sentAfterRefusal: number[] = [];
      for (const [i, { tenant, takesMs }] of requests.entries()) {
        const now = T + i * 500;
        for (const answer of inFlight.filter(({ at }) => at <= now))
          marks = reduceMarks(marks, refused('new', answer.scope, answer.startedAt), answer.at);
        inFlight = inFlight.filter(({ at }) => at > now);
        const scope = `t${tenant}`;
        const choice = chooseCredential({ atHand: ['new'], marks, tried: new Set(), scope, now });
        if (choice.act === 'hold') continue;
        if (standing(marks, 'new') === 'refused') sentAfterRefusal.push(now);
        if (choice.probe) marks = claimProbe(marks, 'new', now);
        inFlight.push({ at: now + takesMs, startedAt: now, scope });
      }
      // 30 s of requests: at most the probe at the end of the first cool-down.
      expect(sentAfterRefusal.length).toBeLessThanOrEqual(1);
    }),
  );
});
