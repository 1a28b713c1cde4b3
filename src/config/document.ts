import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';

type YamlCode = YAMLError['code'];

export type Path = readonly (string | number)[];

export interface Position {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

export interface SyntaxProblem extends Position {
  readonly message: string;
}

/** A file as values, with the place of each of them. */
export interface ConfigDocument {
  /** Plain values; undefined where the syntax is so wrong that there are none. */
  readonly value: unknown;
  readonly problems: readonly SyntaxProblem[];
  /** Where a path stands, or its nearest ancestor that is there. `key`: the key and not its value. */
  readonly locate: (path: Path, at?: 'key' | undefined) => Position;
}

/** Reads YAML 1.2, and with it JSON. Never throws: what is wrong stands in `problems`. */
export function readDocument(text: string): ConfigDocument {
  const lineCounter = new LineCounter();
  // Pretty errors would print the line, and with it what stands there.
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    // `silent` would also pass over a second document.
    logLevel: 'error',
    uniqueKeys: true,
  });
  const place = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const syntax = [...document.errors, ...document.warnings];
  const problems = [
    ...syntax.map(({ code, pos }) => ({ ...place(pos[0]), message: explain(code) })),
    ...danglingAliases(document).map((alias) => ({
      ...place(alias.range?.[0] ?? 0),
      message: explain('BAD_ALIAS'),
    })),
  ];
  const locate = (path: Path, at?: 'key'): Position => place(findOffset(document, path, at));
  if (problems.length > 0 && !syntax.every(({ code }) => code === 'DUPLICATE_KEY')) {
    return { value: undefined, problems, locate };
  }
  try {
    return { value: document.toJS(), problems, locate };
  } catch {
    // An alias bomb; its message is not shown because it would name what it found.
    return {
      value: undefined,
      problems: [...problems, { ...place(0), message: explain('RESOURCE_EXHAUSTION') }],
      locate,
    };
  }
}

function danglingAliases(document: Document.Parsed): Alias[] {
  const dangling: Alias[] = [];
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) === undefined) dangling.push(alias);
    },
  });
  return dangling;
}

function findOffset(document: Document.Parsed, path: Path, at: 'key' | undefined): number {
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? 0;
  for (const [depth, segment] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment));
      if (!pair) return offset;
      const keyOffset = offsetOf(pair.key) ?? offset;
      const wantsKey =
        (at === 'key' && depth === path.length - 1) || isCollection(pair.value) || isEmpty(pair.value);
      offset = wantsKey ? keyOffset : (offsetOf(pair.value) ?? keyOffset);
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(segment)];
      offset = offsetOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function offsetOf(node: unknown): number | undefined {
  return isScalar(node) || isCollection(node) || isAlias(node) ? node.range?.[0] : undefined;
}

/** `key:` with nothing behind it. */
const isEmpty = (node: unknown): boolean => isScalar(node) && node.range?.[0] === node.range?.[1];

/** Own words for the parser's codes, because its messages quote the text, which may be a secret. */
function explain(code: YamlCode): string {
  return SYNTAX[code] ?? `this is not valid YAML (${code.toLowerCase().replaceAll('_', ' ')})`;
}

const SYNTAX: Partial<Record<YamlCode, string>> = {
  DUPLICATE_KEY: 'this key stands here for the second time',
  BAD_ALIAS: 'no anchor of this name comes before; a text that begins with * needs quotes',
  BAD_INDENT: 'the indentation does not fit what stands above',
  TAB_AS_INDENT: 'a tab indents here; YAML wants spaces',
  BAD_SCALAR_START: 'a text that begins with this character needs quotes',
  BLOCK_IN_FLOW: 'a block cannot begin inside brackets; a text that begins with - needs quotes there',
  MISSING_CHAR: 'a character is missing here: a closing quote or bracket, a colon, a comma or a space',
  BAD_DQ_ESCAPE: 'this escape is unknown; in single quotes a backslash is an ordinary character',
  MULTIPLE_DOCS: 'a second document begins here; a configuration is one',
  TAG_RESOLVE_FAILED: 'tags cannot be used; a text that begins with ! needs quotes',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line; is a colon or a quote missing?',
  BLOCK_AS_IMPLICIT_KEY: 'a key cannot begin here; a text with ": " in it needs quotes',
  UNEXPECTED_TOKEN: 'this was not expected here; is a quote, bracket or colon missing or too many?',
  RESOURCE_EXHAUSTION: 'this nests or repeats itself too often',
};
