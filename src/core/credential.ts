import { formatDuration } from './duration.ts';

/**
 * What the fleet knows of one credential of a client. State belongs to the credential and not to the targets that use
 * it: one that is refused is refused for all of them, and what all of them need is one answer.
 *
 *   unproven ──accepted──▶ good ──refused by enough tenants──▶ refused
 *       └──────refused by enough tenants──────▶ refused ──probe accepted──▶ good
 *
 * Times are epoch ms of the Redis clock; 0 means "never".
 */
export interface CredentialMark {
  readonly fingerprint: string;
  readonly firstSeenAt: number;
  /** When a server accepted it; renewed once a day. */
  readonly provenAt: number;
  /** Who refused it since it was last accepted, as many as are needed for `refusedAt` and no more. */
  readonly refusedBy: readonly string[];
  readonly refusedAt: number;
  /** The server's code for the last refusal. */
  readonly code: string;
  /** Refused probes in a row, for the cool-down; those of its first minutes are not counted. */
  readonly refusals: number;
  /** A probe may be sent from then on. */
  readonly probeAt: number;
  /** When evidence last changed this mark. */
  readonly changedAt: number;
}

/** The marks of one client. */
export type Marks = readonly CredentialMark[];

/** What one request tells about its credential. `startedAt`: Redis time at which it was sent. */
export type CredentialEvent =
  | { readonly kind: 'accepted'; readonly fingerprint: string; readonly startedAt: number }
  | {
      readonly kind: 'refused';
      readonly fingerprint: string;
      readonly startedAt: number;
      /** Who refused it: the tenant, or the target where the endpoint has no tenants. */
      readonly scope: string;
      readonly code: string;
      /** How many of them make a refusal: 2, or 1 where the client has no second. */
      readonly needed: number;
    }
  /** A probe ended without a word about the credential. */
  | { readonly kind: 'unjudged'; readonly fingerprint: string };

/** A new credential may need so long to reach all of a server's machines. */
export const PROPAGATION_MS = 600_000;
const COOL_DOWN_MS = 30_000;
const COOL_DOWN_LONGEST_MS = 30 * 60_000;
/** An unproven credential is tried by one attempt at a time, which is given up for lost after this. */
const PROOF_MS = 3000;
const PROVEN_AGAIN_MS = 86_400_000;
/** What reports later than this (stopped and resumed, say) tells nothing about now. */
const LATE_MS = 60_000;
/** Rotated credentials leave a mark each; the oldest go. */
const MOST_MARKS = 8;

const newMark = (fingerprint: string, now: number): CredentialMark => ({
  fingerprint,
  firstSeenAt: now,
  provenAt: 0,
  refusedBy: [],
  refusedAt: 0,
  code: '',
  refusals: 0,
  probeAt: 0,
  changedAt: now,
});

const isGood = (mark: CredentialMark | undefined): boolean =>
  mark !== undefined && mark.provenAt > 0 && mark.refusedAt === 0;

const isYoung = (mark: CredentialMark, now: number): boolean => now - mark.firstSeenAt < PROPAGATION_MS;

/** How a credential is, in a word, for people. */
export type CredentialStanding = 'good' | 'unproven' | 'suspect' | 'refused';

export function credentialStanding(mark: CredentialMark): CredentialStanding {
  if (mark.refusedAt > 0) return 'refused';
  if (mark.refusedBy.length > 0) return 'suspect';
  return mark.provenAt > 0 ? 'good' : 'unproven';
}

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
export function chooseCredential({ atHand, marks, tried, scope, now }: ChoiceInput): Choice {
  const left = atHand.filter((fingerprint) => !tried.has(fingerprint));
  const marked = (fingerprint: string) => marks.find((mark) => mark.fingerprint === fingerprint);
  const good = left.filter((fingerprint) => isGood(marked(fingerprint)));
  const best = good.find((fingerprint) => !marked(fingerprint)?.refusedBy.includes(scope)) ?? good[0];
  for (const fingerprint of left) {
    if (fingerprint === best) break;
    const mark = marked(fingerprint);
    if (!isGood(mark) && (mark?.probeAt ?? 0) <= now) return { act: 'use', fingerprint, probe: true };
  }
  if (best !== undefined) return { act: 'use', fingerprint: best, probe: false };
  return {
    act: 'hold',
    hold: holdOf(
      left.flatMap((fingerprint) => marked(fingerprint) ?? []),
      now,
    ),
  };
}

/** Why a client's targets wait without a call, as far as its marks alone can tell; undefined: they do not. */
export function credentialHold(marks: Marks, now: number): Hold | undefined {
  const allHeld = marks.length > 0 && marks.every((mark) => mark.refusedAt > 0 && mark.probeAt > now);
  return allHeld ? holdOf(marks, now) : undefined;
}

/** Short, for when somebody else is proving the credential. */
const LOOK_AGAIN_MS = 250;

function holdOf(marks: Marks, now: number): Hold {
  const refused = marks.filter((mark) => mark.refusedAt > 0);
  const last = refused.toSorted((a, b) => b.changedAt - a.changedAt)[0];
  if (last === undefined || refused.length < marks.length)
    return { until: now + LOOK_AGAIN_MS, why: 'a new credential is being proved on one target' };
  const until = Math.max(now + LOOK_AGAIN_MS, Math.min(...marks.map(({ probeAt }) => probeAt)));
  return {
    until,
    why: `every credential of the client is refused, the latest with ${last.code}; one is tried again in ${formatDuration(until - now)}`,
  };
}

/** The marks after an event; the same object when nothing changes. */
export function reduceMarks(marks: Marks, event: CredentialEvent, now: number): Marks {
  if ('startedAt' in event && event.startedAt + LATE_MS < now) return marks;
  const known = marks.find(({ fingerprint }) => fingerprint === event.fingerprint);
  const mark = known ?? newMark(event.fingerprint, now);
  const after = reduceMark(mark, event, now);
  return after === mark ? marks : replace(marks, after);
}

function reduceMark(mark: CredentialMark, event: CredentialEvent, now: number): CredentialMark {
  switch (event.kind) {
    case 'accepted':
      return reduceAccepted(mark, event.startedAt, now);
    case 'refused':
      return reduceRefused(mark, event, now);
    case 'unjudged':
      return mark.provenAt === 0 && mark.refusedAt === 0 && mark.probeAt > now
        ? { ...mark, probeAt: now }
        : mark;
  }
}

function reduceAccepted(mark: CredentialMark, startedAt: number, now: number): CredentialMark {
  const standing = credentialStanding(mark);
  if (standing === 'good' && now - mark.provenAt < PROVEN_AGAIN_MS) return mark;
  // Sent before it was refused: that tells nothing about the time since.
  if ((standing === 'refused' || standing === 'suspect') && startedAt < mark.changedAt) return mark;
  const clean = { refusedBy: [], refusedAt: 0, code: '', refusals: 0, probeAt: 0 };
  return { ...mark, ...clean, provenAt: now, changedAt: now };
}

type Refused = Extract<CredentialEvent, { kind: 'refused' }>;

function reduceRefused(mark: CredentialMark, event: Refused, now: number): CredentialMark {
  const { scope, code, needed, startedAt } = event;
  const isClean = mark.refusedBy.length === 0;
  // Sent before it was accepted, or a fellow of the requests that made it refused.
  if (startedAt < (isClean ? mark.provenAt : mark.refusedAt)) return mark;
  const refusedBy = [...new Set([...mark.refusedBy, scope])].slice(
    0,
    Math.max(needed, mark.refusedBy.length),
  );
  const refused = { ...mark, refusedBy, code, changedAt: now };
  if (mark.refusedAt === 0 && refusedBy.length < needed) {
    // Not known to work either: the next one waits a little and is another tenant's, if there is one.
    return mark.provenAt === 0 ? { ...refused, probeAt: now } : refused;
  }
  const refusals = isYoung(mark, now) ? 1 : mark.refusals + 1;
  const coolDownMs = Math.min(COOL_DOWN_LONGEST_MS, COOL_DOWN_MS * 2 ** Math.min(20, refusals - 1));
  const refusedAt = mark.refusedAt === 0 ? now : mark.refusedAt;
  return { ...refused, refusals, refusedAt, probeAt: now + coolDownMs };
}

/** Claims the probe of a credential; the same object where another attempt was faster. */
export function claimProbe(marks: Marks, fingerprint: string, now: number): Marks {
  const mark = marks.find((each) => each.fingerprint === fingerprint) ?? newMark(fingerprint, now);
  if (mark.probeAt > now) return marks;
  return replace(marks, { ...mark, probeAt: now + (mark.refusedAt > 0 ? COOL_DOWN_MS : PROOF_MS) });
}

/** Lets the refused credentials be probed now: what an operator's order asks for, or a change of the configuration. */
export function probeNow(marks: Marks, now: number): Marks {
  return marks.some((mark) => mark.refusedAt > 0 && mark.probeAt > now)
    ? marks.map((mark) => (mark.refusedAt > 0 && mark.probeAt > now ? { ...mark, probeAt: now } : mark))
    : marks;
}

/** Notes what a client has at hand, so that the fleet knows since when; the same object where it knows already. */
export function seeCredentials(marks: Marks, fingerprints: readonly string[], now: number): Marks {
  const unknown = fingerprints.filter((each) => marks.every(({ fingerprint }) => fingerprint !== each));
  return unknown.length === 0
    ? marks
    : unknown.reduce((all, fingerprint) => replace(all, newMark(fingerprint, now)), marks);
}

function replace(marks: Marks, mark: CredentialMark): Marks {
  const others = marks.filter(({ fingerprint }) => fingerprint !== mark.fingerprint);
  return [...others.toSorted((a, b) => a.changedAt - b.changedAt).slice(1 - MOST_MARKS), mark];
}

/** The marks without the moments that cannot be, since they are of a clock that has gone back. */
export function marksAsOf(marks: Marks, now: number): Marks {
  const past = (at: number): number => (at > now + LATE_MS ? now : at);
  const isAhead = ({ firstSeenAt, provenAt, changedAt, probeAt }: CredentialMark): boolean =>
    Math.max(firstSeenAt, provenAt, changedAt) > now + LATE_MS || probeAt > now + COOL_DOWN_LONGEST_MS;
  if (!marks.some(isAhead)) return marks;
  return marks.map((mark) => ({
    ...mark,
    ...{ firstSeenAt: past(mark.firstSeenAt), provenAt: past(mark.provenAt) },
    ...{ refusedAt: past(mark.refusedAt), changedAt: past(mark.changedAt) },
    probeAt: mark.probeAt > now + COOL_DOWN_LONGEST_MS ? 0 : mark.probeAt,
  }));
}

/**
 * Whether an event has brought a client back whose credentials at hand were refused: its targets need not wait for the
 * end of a cool-down. What waits for a new credential looks again in a moment and by itself.
 */
export function isRecovery(before: Marks, after: Marks, atHand: readonly string[]): boolean {
  const own = (marks: Marks): Marks => marks.filter(({ fingerprint }) => atHand.includes(fingerprint));
  const wasRefused = own(before).some(({ refusedAt }) => refusedAt > 0) && !own(before).some(isGood);
  return wasRefused && own(after).some(isGood);
}
