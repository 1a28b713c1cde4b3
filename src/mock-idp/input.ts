import { readFileSync } from 'node:fs';
import { EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';

/** Reads what is in a file. Throws `USAGE` where there is none; what `read` throws goes through. */
export function readInput<Value>(file: string, read: (text: string) => Value): Value {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new EvertokenError('USAGE', `expected a file that can be read at "${printable(file)}"`, { cause });
  }
  return read(text);
}

/** Undefined for what is not JSON: the parser's own message shows a part of the text, which may hold secrets. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
