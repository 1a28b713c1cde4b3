import {
  COOL_DOWN_LONGEST_MS,
  COOL_DOWN_MS,
  type CredentialMark,
  isGood,
  type Marks,
  marksAsOf,
  marksInUse,
  PROOF_MS,
} from './credential-marks.ts';
import { formatDuration } from './duration.ts';

/** Which credential an attempt uses, or why none. */
export type Choice =
  | {
      readonly act: 'use';
      readonly fingerprint: string;
      /** It is not known to be good: this attempt has to claim the probe before it sends. */
      readonly probe: boolean;
    }
  | { readonly act: 'hold'; readonly hold: Hold };

/** All credentials of a client are refused, or a new one is being proved by another attempt. */
export interface Hold {
  readonly until: number;
  readonly why: string;
}

export interface ChoiceInput {
  /** Fingerprints of what the client can use, in configured order. */
  readonly atHand: readonly string[];
  readonly marks: Marks;
  /** What this attempt has tried already. */
  readonly tried: ReadonlySet<string>;
  /** As in {@link CredentialEvent}. */
  readonly scope: string;
  readonly now: number;
}

/**
 * The first good credential in configured order; one that this tenant has just refused comes after the others. What
 * stands before it and is not good is probed by one attempt per cool-down. Without a good one a probe is all there is.
 */
export function chooseCredential({ atHand, marks: known, tried, scope, now }: ChoiceInput): Choice {
  const marks = marksAsOf(known, now);
  const left = atHand.filter((fingerprint) => !tried.has(fingerprint));
  const marked = (fingerprint: string) => marks.find((mark) => mark.fingerprint === fingerprint);
  const good = left.filter((fingerprint) => isGood(marked(fingerprint)));
  const best = good.find((fingerprint) => !marked(fingerprint)?.refusedBy.includes(scope)) ?? good[0];
  for (const fingerprint of left) {
    if (fingerprint === best) break;
    const mark = marked(fingerprint);
    if (!isGood(mark) && probeAtFor(mark, scope) <= now) return { act: 'use', fingerprint, probe: true };
  }
  if (best !== undefined) return { act: 'use', fingerprint: best, probe: false };
  const isElsewhere = marksInUse(marks, now).some(
    (mark) => isGood(mark) && !atHand.includes(mark.fingerprint),
  );
  if (isElsewhere) return { act: 'hold', hold: { until: now + ELSEWHERE_MS, why: ELSEWHERE } };
  return {
    act: 'hold',
    hold: holdOf(
      left.flatMap((fingerprint) => marked(fingerprint) ?? []),
      now,
    ),
  };
}

/** Whoever has refused a credential probes it last: what others say of it is news. */
function probeAtFor(mark: CredentialMark | undefined, scope: string): number {
  if (mark === undefined) return 0;
  // Where one is enough for a refusal there is no other to ask.
  const hasOthers = mark.refusedAt === 0 || mark.refusedBy.length > 1;
  const isOld = hasOthers && (mark.refusedBy.includes(scope) || mark.excused.includes(scope));
  return isOld ? Math.max(mark.probeAt, mark.changedAt + COOL_DOWN_MS) : mark.probeAt;
}

/** Another process has what works, and takes the target up in a moment. */
const ELSEWHERE_MS = 200;
const ELSEWHERE = 'another process has a credential that works, and this one has none';

/** Why a client's targets wait without a call; undefined: they do not. */
export function credentialHold(marks: Marks, now: number): Hold | undefined {
  const used = marksInUse(marks, now);
  const allWait = used.length > 0 && !used.some((mark) => isGood(mark) || mark.probeAt <= now);
  return allWait ? holdOf(used, now) : undefined;
}

/** So that what waits does not come back before there is something to see. */
const LOOK_AGAIN_MS = 250;

/** Where there is nothing left to try, for ever. */
function holdOf(marks: Marks, now: number): Hold {
  const until = Math.max(now + LOOK_AGAIN_MS, Math.min(...marks.map(({ probeAt }) => probeAt)));
  const refused = marks.filter((mark) => mark.refusedAt > 0);
  const last = refused.toSorted((a, b) => b.changedAt - a.changedAt)[0];
  if (last === undefined || refused.length < marks.length)
    return { until, why: 'a new credential is being proved on one target' };
  return {
    until,
    why: `every credential of the client is refused, the latest with ${last.code}; one is tried again in ${formatDuration(until - now)}`,
  };
}

/** A client has a good credential and had none: what waited need not wait any longer. */
export interface Recovery {
  /** What is due within this time may have waited for it, ms. */
  readonly withinMs: number;
  /** Who refuses the credential all the same. */
  readonly excused: readonly string[];
}

/** Whether an event has brought a client back, as far as a process with these credentials can tell. */
export function recoveryOf(before: Marks, after: Marks, atHand: readonly string[]): Recovery | undefined {
  const own = (marks: Marks): Marks => marks.filter(({ fingerprint }) => atHand.includes(fingerprint));
  const good = own(after).filter(isGood);
  if (good.length === 0 || own(before).some(isGood)) return undefined;
  const wasRefused = own(before).some(({ refusedAt }) => refusedAt > 0);
  return {
    withinMs: HELD_SPREAD_MS + (wasRefused ? COOL_DOWN_LONGEST_MS : PROOF_MS),
    excused: good.flatMap(({ excused }) => excused),
  };
}

/** Should a client's waking be lost, not all of what has waited looks again at once. */
export const HELD_SPREAD_MS = 10_000;
