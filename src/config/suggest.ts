/** The candidate that was most likely meant, or undefined when none is near. */
export function suggest(written: string, candidates: readonly string[]): string | undefined {
  const plain = simplify(written);
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(plain, simplify(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.min(2, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined;
}

/** `client_id` and `ClientID` are both near to `clientId`. Cut, because what was written may be of any length. */
const simplify = (key: string): string => key.slice(0, 64).toLowerCase().replaceAll(/[_-]/g, '');

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      const [up = 0, left = 0, diagonal = 0] = [last[column], current[column - 1], last[column - 1]];
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swapped = isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      current.push(Math.min(up + 1, left + 1, diagonal + cost, swapped));
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}
