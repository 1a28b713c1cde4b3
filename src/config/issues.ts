import type { z } from 'zod';
import type { Finding } from './diagnostics.ts';
import type { Path } from './document.ts';
import { configJsonSchema, type JsonSchema } from './schema.ts';
import { suggest } from './suggest.ts';

/** The words for what zod finds by itself. */
function describeIssue(issue: z.core.$ZodRawIssue): string {
  if (issue.code !== 'invalid_type') return 'this is not what was expected here';
  if (issue.input === undefined) return 'this is missing';
  const hint = issue.expected === 'string' && typeof issue.input === 'number' ? ': put it in quotes' : '';
  return `expected ${KINDS[issue.expected] ?? issue.expected}, but got ${kindOf(issue.input)}${hint}`;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function kindOf(input: unknown): string {
  if (input === null || input === undefined) return 'nothing';
  return (Array.isArray(input) ? KINDS.array : KINDS[typeof input]) ?? 'something else';
}

/** How to call `safeParse`: own words, and the input so that "missing" can be told from "wrong". It is never printed. */
export const PARSE_OPTIONS = { error: describeIssue, reportInput: true } as const;

/** Turns zod's issues into findings. `root`: where the value that was parsed stands. */
export function findingsOf(issues: readonly z.core.$ZodIssue[], root: Path = []): Finding[] {
  const unknown = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? unknownKeys(issue, root) : [],
  );
  const meant = new Set(unknown.map(({ path, meant: key }) => JSON.stringify([...path.slice(0, -1), key])));
  const parents = new Set(unknown.map(({ path }) => JSON.stringify(path.slice(0, -1))));
  const others = issues.flatMap((issue): Finding[] => {
    const path = [...root, ...plainPath(issue.path)];
    if (issue.code === 'unrecognized_keys') return [];
    if (issue.code === 'invalid_union') return findingsOfUnion(issue, path);
    // One message for one mistake: a misspelt key is also a missing one, and then too few keys are there.
    const isMissing = issue.code === 'invalid_type' && issue.input === undefined;
    const place = JSON.stringify(path);
    if ((isMissing && meant.has(place)) || (issue.code === 'custom' && parents.has(place))) return [];
    return [{ path, message: issue.message }];
  });
  return [...unknown.map(({ meant: _, ...finding }) => finding), ...others];
}

/** The findings of the alternative that has the right kind: what the operator was about to write. */
function findingsOfUnion(issue: z.core.$ZodIssueInvalidUnion, path: Path): Finding[] {
  const isWrongKind = ({ code, path: at }: z.core.$ZodIssue): boolean =>
    code === 'invalid_type' && at.length === 0;
  const fitting = issue.errors.find((issues) => !issues.some(isWrongKind));
  if (fitting) return findingsOf(fitting, path);
  const messages = issue.errors.flatMap((issues) => issues.filter(isWrongKind).map(({ message }) => message));
  const expected = messages.map((message) => /^expected (.*?), but/.exec(message)?.[1] ?? message);
  const got = /but got (.*?)(?::|$)/.exec(messages[0] ?? '')?.[1] ?? 'something else';
  return [{ path, message: `expected ${expected.join(' or ')}, but got ${got}` }];
}

interface Hint {
  /** The list or mapping that the key stands in. */
  readonly within: RegExp;
  /** The key that serves in its place. */
  readonly meant?: string;
  readonly hint: string;
}

const IN_PRIVATE_KEY = /^clients\/[^/]+\/credentials\/\d+\/privateKey$/;

/** Keys that are understood elsewhere or by a later version, with what to do. */
const HINTS: Readonly<Record<string, Hint>> = {
  x5c: {
    within: IN_PRIVATE_KEY,
    hint: 'x5c shows a certificate, and a privateKey has none: use certificate',
  },
  key: {
    within: IN_PRIVATE_KEY,
    hint: 'the private key is what env, file or keyVault refers to: leave key out',
  },
  method: {
    within: IN_PRIVATE_KEY,
    hint: 'a privateKey signs assertions (private_key_jwt) and nothing else: leave method out; for tls_client_auth use certificate',
  },
  sentinels: { within: /^redis$/, meant: 'url', hint: 'this version cannot use Redis Sentinel yet; use url' },
  cluster: { within: /^redis$/, meant: 'url', hint: 'this version cannot use Redis Cluster yet; use url' },
};

interface UnknownKey extends Finding {
  /** The known key that this one stands for, as far as one can tell. */
  readonly meant: string | undefined;
}

function unknownKeys(issue: z.core.$ZodIssueUnrecognizedKeys, root: Path): UnknownKey[] {
  const parent = [...root, ...plainPath(issue.path)];
  const allowed = knownKeys(parent);
  return issue.keys.map((key): UnknownKey => {
    const path = [...parent, key];
    const known = Object.hasOwn(HINTS, key) ? HINTS[key] : undefined;
    if (known?.within.test(parent.join('/')))
      return { path, at: 'key', meant: known.meant, message: known.hint };
    const meant = suggest(key, allowed);
    const advice = meant ? `did you mean "${meant}"?` : `expected ${allowed.join(', ')}`;
    // `secret: { pA55word }` is a key to YAML.
    const shownPath = isSensitive(parent) && meant === undefined ? parent : path;
    return {
      path,
      shownPath,
      at: 'key',
      meant,
      message: `unknown key; ${secretHint(parent, key) ?? advice}`,
    };
  });
}

const isSensitive = (path: Path): boolean =>
  path[0] === 'redis' || (path[0] === 'clients' && path[2] === 'credentials');

function secretHint(parent: Path, key: string): string | undefined {
  const isOfClient = parent[0] === 'clients' && parent.length === 2;
  return isOfClient && /secret|password/i.test(key)
    ? 'a secret goes under credentials: - secret: { env: NAME }'
    : undefined;
}

const SCHEMA = alternatives(configJsonSchema());

/** The keys that the schema knows at a path, in all alternatives. */
function knownKeys(path: Path): string[] {
  const found = path.reduce<JsonSchema[]>((nodes, key) => nodes.flatMap((node) => child(node, key)), SCHEMA);
  return [...new Set(found.flatMap((node) => Object.keys(node.properties ?? {})))];
}

function child(node: JsonSchema, key: string | number): JsonSchema[] {
  const next = typeof key === 'number' ? node.items : (node.properties?.[key] ?? node.additionalProperties);
  return typeof next === 'object' && !Array.isArray(next) ? alternatives(next) : [];
}

function alternatives(node: JsonSchema): JsonSchema[] {
  return [
    node,
    ...(node.anyOf ?? []).flatMap((each) => (typeof each === 'object' ? alternatives(each) : [])),
  ];
}

const plainPath = (path: readonly PropertyKey[]): Path =>
  path.map((key) => (typeof key === 'number' ? key : String(key)));
