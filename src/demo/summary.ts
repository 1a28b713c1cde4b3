import type { Ending } from './ending.ts';
import type { Traffic } from './request-rate.ts';
import { type DemoOptions, formatLifetime } from './setting.ts';
import { lifeText, number, seconds } from './table.ts';
import type { Counts, TokenLife } from './tally.ts';

/** What a run has shown: the one object that `--json` prints. */
export interface Summary {
  /** Every token came, none was missed afterwards, and the run was as long as it was meant to be. */
  readonly ok: boolean;
  /** Why not; null when `ok`. */
  readonly problem: string | null;
  readonly targets: number;
  /** Of the tokens, as on the command line. */
  readonly lifetime: string;
  readonly elapsedMs: number;
  /** Null: it was not completed. */
  readonly warmUpMs: number | null;
  readonly warmUpReads: number;
  /** After the warm-up. */
  readonly reads: number;
  readonly missed: number;
  readonly requests: number;
  readonly failedRequests: number;
  readonly peakRequestsPerSecond: number;
  /** After the warm-up; null when nothing was read then. */
  readonly shortestLife: TokenLife | null;
}

export interface Run {
  readonly options: DemoOptions;
  readonly counts: Counts;
  readonly traffic: Traffic;
  readonly elapsedMs: number;
  readonly ending: Ending;
}

export function summarise(run: Run): Summary {
  const { options, counts, traffic } = run;
  const problem = problemOf(run);
  return {
    ok: problem === null,
    problem,
    targets: counts.targets,
    lifetime: formatLifetime(options.lifetime),
    elapsedMs: Math.round(run.elapsedMs),
    warmUpMs: counts.warmUpMs === undefined ? null : Math.round(counts.warmUpMs),
    warmUpReads: counts.warmUpReads,
    reads: counts.reads,
    missed: counts.missed,
    requests: traffic.requests,
    failedRequests: traffic.failed,
    peakRequestsPerSecond: traffic.peakPerSecond,
    shortestLife: counts.shortestSeen ?? null,
  };
}

function problemOf({ options, counts, ending, elapsedMs }: Run): string | null {
  if (ending.kind === 'failed') return ending.message;
  if (counts.missed > 0) return `${number(counts.missed)} of ${number(counts.reads)} reads found no token`;
  if (counts.warmUpMs === undefined) {
    const isEarly = ending.kind === 'interrupted';
    return `${isEarly ? `it was ended by ${ending.by}: ` : ''}${notWarm(counts, elapsedMs)}`;
  }
  if (counts.reads === 0) return 'the run was too short for a read after the warm-up';
  if (ending.kind === 'interrupted' && options.forMs !== undefined)
    return `it was ended by ${ending.by} after ${seconds(elapsedMs)} of ${seconds(options.forMs)}`;
  return null;
}

/** What to say of a warm-up that is not complete. */
export function notWarm({ everThere, targets }: Counts, elapsedMs: number): string {
  return `after ${seconds(elapsedMs)} only ${number(everThere)} of ${number(targets)} tokens had been there`;
}

/** The same for people. */
export function summaryLines(summary: Summary): string[] {
  const { shortestLife, warmUpMs } = summary;
  const kept = `${number(summary.targets)} tokens kept fresh for ${seconds(summary.elapsedMs)}: no read missed`;
  const warmUp = warmUpMs === null ? 'not completed' : `${seconds(warmUpMs)} until every token was there`;
  return [
    summary.ok ? kept : `not well: ${summary.problem}`,
    `  warm-up        ${warmUp} (${number(summary.warmUpReads)} reads)`,
    `  reads          ${number(summary.reads)} after it, ${number(summary.missed)} missed`,
    `  requests       ${number(summary.requests)}, ${number(summary.failedRequests)} failed, at most ${number(summary.peakRequestsPerSecond)} in a second`,
    `  shortest life  ${shortestLife ? `${lifeText(shortestLife)} left` : '-'}`,
  ];
}
