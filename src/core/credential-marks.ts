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
  /** When some process last said that it has it; one that nobody has any more counts for nothing. */
  readonly seenAt: number;
  /** When a server accepted it; renewed once a day. */
  readonly provenAt: number;
  /** Who refused it since it was last accepted, as many as are needed for `refusedAt` and no more. */
  readonly refusedBy: readonly string[];
  /** Who refused it and was alone with that: others have accepted it since. Their refusals are their own affair. */
  readonly excused: readonly string[];
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
  | {
      readonly kind: 'accepted';
      readonly fingerprint: string;
      readonly startedAt: number;
      readonly scope: string;
    }
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
const PROPAGATION_MS = 600_000;
export const COOL_DOWN_MS = 30_000;
/** Longer would save few requests, and cost whoever mends it at the server, or is refused for others, as long. */
export const COOL_DOWN_LONGEST_MS = 300_000;
/** An unproven credential is tried by one attempt at a time, which is given up for lost after this. */
export const PROOF_MS = 3000;
const PROVEN_AGAIN_MS = 86_400_000;
/** What reports later than this (stopped and resumed, say) tells nothing about now. */
const LATE_MS = 60_000;
/** A client has at most 8 credentials; rotated ones leave a mark for a while. */
const MOST_MARKS = 16;
const MOST_EXCUSED = 16;
/** A mark says that it is in use once in so long, and is in use for three times that. */
const SEEN_AGAIN_MS = 60_000;
const IN_USE_MS = 3 * SEEN_AGAIN_MS;

const newMark = (fingerprint: string, now: number): CredentialMark => ({
  fingerprint,
  firstSeenAt: now,
  seenAt: now,
  provenAt: 0,
  refusedBy: [],
  excused: [],
  refusedAt: 0,
  code: '',
  refusals: 0,
  probeAt: 0,
  changedAt: now,
});

export const isGood = (mark: CredentialMark | undefined): boolean =>
  mark !== undefined && mark.provenAt > 0 && mark.refusedAt === 0;

const isYoung = (mark: CredentialMark, now: number): boolean => now - mark.firstSeenAt < PROPAGATION_MS;

/** How a credential is, in a word, for people. */
export type CredentialStanding = 'good' | 'unproven' | 'suspect' | 'refused';

export function credentialStanding(mark: CredentialMark): CredentialStanding {
  if (mark.refusedAt > 0) return 'refused';
  if (mark.refusedBy.length > 0) return 'suspect';
  return mark.provenAt > 0 ? 'good' : 'unproven';
}

/** The marks after an event; the same object when nothing changes. */
export function reduceMarks(marks: Marks, event: CredentialEvent, now: number): Marks {
  if ('startedAt' in event && event.startedAt + LATE_MS < now) return marks;
  const known = marks.find(({ fingerprint }) => fingerprint === event.fingerprint);
  const mark = known ?? newMark(event.fingerprint, now);
  const after = reduceMark(mark, event, now);
  return after === mark ? marks : replace(marks, { ...after, seenAt: now });
}

function reduceMark(mark: CredentialMark, event: CredentialEvent, now: number): CredentialMark {
  switch (event.kind) {
    case 'accepted':
      return reduceAccepted(mark, event, now);
    case 'refused':
      return reduceRefused(mark, event, now);
    case 'unjudged':
      return mark.provenAt === 0 && mark.refusedAt === 0 && mark.probeAt > now
        ? { ...mark, probeAt: now }
        : mark;
  }
}

type Accepted = Extract<CredentialEvent, { kind: 'accepted' }>;

function reduceAccepted(mark: CredentialMark, { scope, startedAt }: Accepted, now: number): CredentialMark {
  const standing = credentialStanding(mark);
  const isExcused = mark.excused.includes(scope);
  if (standing === 'good' && !isExcused && now - mark.provenAt < PROVEN_AGAIN_MS) return mark;
  // Sent before it was refused: that tells nothing about the time since.
  if ((standing === 'refused' || standing === 'suspect') && startedAt < mark.changedAt) return mark;
  const alone = [...new Set([...mark.excused, ...mark.refusedBy])].filter((each) => each !== scope);
  const clean = { refusedBy: [], refusedAt: 0, code: '', refusals: 0, probeAt: 0 };
  return { ...mark, ...clean, excused: alone.slice(-MOST_EXCUSED), provenAt: now, changedAt: now };
}

type Refused = Extract<CredentialEvent, { kind: 'refused' }>;

function reduceRefused(mark: CredentialMark, event: Refused, now: number): CredentialMark {
  const { scope, code, needed, startedAt } = event;
  const isClean = mark.refusedBy.length === 0;
  // Sent before it was accepted, or a fellow of the requests that made it refused.
  if (startedAt < (isClean ? mark.provenAt : mark.refusedAt)) return mark;
  if (mark.refusedAt === 0 && mark.excused.includes(scope)) return mark;
  const refusedBy = [...new Set([...mark.refusedBy, scope])].slice(
    0,
    Math.max(needed, mark.refusedBy.length),
  );
  const refused = { ...mark, refusedBy, code, changedAt: now };
  if (mark.refusedAt === 0 && refusedBy.length < needed) {
    // Not known to work either: another tenant may say at once.
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

/** Notes what a client has at hand, for those that have not; the same object where that is known already. */
export function seeCredentials(marks: Marks, fingerprints: readonly string[], now: number): Marks {
  const isKnown = (each: string): boolean =>
    marks.some(({ fingerprint, seenAt }) => fingerprint === each && now - seenAt < SEEN_AGAIN_MS);
  return fingerprints
    .filter((each) => !isKnown(each))
    .reduce((all, each) => {
      const known = all.find(({ fingerprint }) => fingerprint === each);
      return replace(all, known === undefined ? newMark(each, now) : { ...known, seenAt: now });
    }, marks);
}

function replace(marks: Marks, mark: CredentialMark): Marks {
  const others = marks.filter(({ fingerprint }) => fingerprint !== mark.fingerprint);
  return [...others.toSorted((a, b) => a.seenAt - b.seenAt).slice(1 - MOST_MARKS), mark];
}

/** The marks without the moments that cannot be, since they are of a clock that has gone back. */
export function marksAsOf(marks: Marks, now: number): Marks {
  const past = (at: number): number => (at > now + LATE_MS ? now : at);
  const isAhead = ({ firstSeenAt, seenAt, provenAt, changedAt, probeAt }: CredentialMark): boolean =>
    Math.max(firstSeenAt, seenAt, provenAt, changedAt) > now + LATE_MS ||
    probeAt > now + COOL_DOWN_LONGEST_MS;
  if (!marks.some(isAhead)) return marks;
  return marks.map((mark) => ({
    ...mark,
    ...{ firstSeenAt: past(mark.firstSeenAt), seenAt: past(mark.seenAt), provenAt: past(mark.provenAt) },
    ...{ refusedAt: past(mark.refusedAt), changedAt: past(mark.changedAt) },
    probeAt: mark.probeAt > now + COOL_DOWN_LONGEST_MS ? 0 : mark.probeAt,
  }));
}

/** The marks of what some process has at hand, without moments that cannot be. */
export const marksInUse = (marks: Marks, now: number): Marks =>
  marksAsOf(marks, now).filter(({ seenAt }) => now - seenAt < IN_USE_MS);
