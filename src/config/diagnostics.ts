import { EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import type { ConfigDocument, Path } from './document.ts';

/** One thing that is wrong, by its path. It echoes no value from under `credentials` or `redis`. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  /** The place of the key and not of its value. */
  readonly at?: 'key' | undefined;
  /** What to print in place of `path`, where its last key may be a secret. */
  readonly shownPath?: Path | undefined;
  /** In another file than the configuration, such as a list of tenants. */
  readonly elsewhere?: { readonly file: string; readonly line?: number | undefined } | undefined;
  /** Default: CONFIG_INVALID. */
  readonly code?: 'CREDENTIAL_UNREADABLE' | undefined;
}

export type Report = (finding: Finding) => void;

/** One thing that is wrong, with its place. `line` and `column` begin at 1. */
interface Problem {
  readonly file: string;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
  /** `clients.billing.tenants[3]`; empty where the whole file is meant. */
  readonly path: string;
  readonly message: string;
}

/** A broken list of 100,000 tenants must not become a message of as many lines. */
const MAX_PROBLEMS = 100;

/** Adds places to findings, in the order of the file. */
function placeFindings(file: string, document: ConfigDocument, findings: readonly Finding[]): Problem[] {
  const own = document.problems.slice(0, MAX_PROBLEMS).map((problem) => ({ file, path: '', ...problem }));
  const placed = findings
    .slice(0, MAX_PROBLEMS - own.length)
    .map(({ path, shownPath, at, elsewhere, message }): Problem => {
      const place = elsewhere ?? { file, ...document.locate(path, at) };
      return { ...place, path: formatPath(shownPath ?? path), message };
    });
  const isHere = (problem: Problem): number => (problem.file === file ? 0 : 1);
  const order = (a: Problem, b: Problem): number =>
    isHere(a) - isHere(b) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
  return [...own, ...placed].sort(order);
}

/** `evertoken.yaml:12:5 clients.billing.tennants: unknown key; did you mean "tenants"?` */
function formatProblem({ file, line, column, path, message }: Problem): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  return `${place}${path === '' ? '' : ` ${path}`}: ${message}`;
}

/** All problems as one error, one a line: CREDENTIAL_UNREADABLE when that is all, else CONFIG_INVALID. */
export function configError(
  file: string,
  document: ConfigDocument,
  findings: readonly Finding[],
): EvertokenError {
  const onlyCredentials = document.problems.length === 0 && findings.every(({ code }) => code !== undefined);
  const lines = placeFindings(file, document, findings).map(formatProblem);
  const left = findings.length + document.problems.length - lines.length;
  if (left > 0) lines.push(`and ${left} more`);
  return new EvertokenError(onlyCredentials ? 'CREDENTIAL_UNREADABLE' : 'CONFIG_INVALID', lines.join('\n'));
}

function formatPath(path: Path): string {
  const text = path.map((segment) => {
    if (typeof segment === 'number') return `[${segment}]`;
    return /^[\w-]+$/.test(segment) ? `.${segment}` : `["${printable(segment)}"]`;
  });
  return text.join('').replace(/^\./, '');
}
