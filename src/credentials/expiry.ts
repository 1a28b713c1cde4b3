const DAY_MS = 86_400_000;

/** Days before the end of a credential at which its operator is warned. */
const WARNING_DAYS = [1, 7, 14, 30] as const;

/** `ended`, or within how many days the end comes. */
export type ExpiryWarning = 'ended' | (typeof WARNING_DAYS)[number];

/** The last warning that is due at `now` for what ends at `endsAt`, both epoch ms; undefined: the end is far. */
export function expiryWarning(endsAt: number, now: number): ExpiryWarning | undefined {
  if (now >= endsAt) return 'ended';
  return WARNING_DAYS.find((days) => endsAt - now <= days * DAY_MS);
}
