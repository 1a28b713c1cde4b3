/**
 * Who comes next of those that wait for a gate: ten turns, one after the other, each of one class. So every class has a
 * least share, and since a turn that its class has no use for is passed on, none is wasted.
 *
 * - `live`, `dead`: had a token, which lives or has ended; the earliest expiry first.
 * - `failing`, `failingSince`: attempts fail, without a live token from the first on, with one from the third;
 *   `failingSince` has had a token.
 * - `neverIssued`, `operator`: never had one; ordered by an operator or a consumer. Who has waited longest first.
 */
export type ShareClass = 'operator' | 'live' | 'neverIssued' | 'dead' | 'failing' | 'failingSince';

/**
 * Operators have 1 turn in 10: somebody waits for the answer. Never-issued targets have 2: somebody may wait for them,
 * but a token that is about to end is already in use. Dead and failing ones have 1 together: most of them would fail
 * again, and the last turn in ten keeps them from being forgotten. All else goes to live tokens, which must not end.
 * A `dead` turn that no dead one uses is one of the `failing`.
 */
export const TURNS: readonly ShareClass[] = [
  'operator',
  'live',
  'neverIssued',
  'live',
  'live',
  'live',
  'neverIssued',
  'live',
  'live',
  'dead',
];

/** Who takes a turn that its class has no use for: who has the most to lose comes first, who may fail again last. */
export const PASS_ON: readonly ShareClass[] = ['live', 'operator', 'neverIssued', 'dead', 'failing'];

/** Where a probe of a host that was down goes: to a target that has worked, since one that has not proves nothing. */
export const PROBE_ORDER: readonly ShareClass[] = [
  'live',
  'dead',
  'failingSince',
  'operator',
  'neverIssued',
  'failing',
];
