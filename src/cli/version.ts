import { existsSync, readFileSync } from 'node:fs';

/** The version of this package, from the package.json above this file: in a clone two folders up, compiled three. */
export function readVersion(from: string = import.meta.url): string {
  for (let folder = new URL('.', from); ; folder = new URL('..', folder)) {
    const file = new URL('package.json', folder);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
    if (folder.pathname === '/') return 'unknown';
  }
}
