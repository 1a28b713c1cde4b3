import type { Due } from '../core/filing.ts';
import type { ParsedSelect, TargetId } from '../core/target.ts';
import type { IndexesPort } from './ports.ts';

/** Managed targets of one host that a select means. */
export interface Matched {
  readonly host: string;
  readonly entries: readonly Due[];
}

/** Finds the managed targets that a select means, in pages; the index says what is managed. */
export async function* matchManaged(
  indexes: Pick<IndexesPort, 'hosts' | 'dueAt' | 'scan'>,
  select: Pick<ParsedSelect, 'matches' | 'exact'>,
): AsyncGenerator<Matched> {
  for (const host of await indexes.hosts()) {
    if (select.exact !== undefined) {
      const [dueAt] = await indexes.dueAt(host, [select.exact]);
      if (dueAt !== undefined) yield { host, entries: [{ target: select.exact, dueAt }] };
      continue;
    }
    // A scan may show a target twice when the index is resized meanwhile.
    const seen = new Set<TargetId>();
    for await (const page of indexes.scan(host)) {
      const entries = page.filter(({ target }) => select.matches(target) && !seen.has(target));
      for (const { target } of entries) seen.add(target);
      if (entries.length > 0) yield { host, entries };
    }
  }
}
