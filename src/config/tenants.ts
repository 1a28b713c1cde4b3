import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Client } from '../core/client.ts';
import { isTenant, NO_TENANT, TENANT_GRAMMAR } from '../core/target.ts';
import { explainFileError } from '../credentials/source.ts';
import type { Finding, Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import type { ClientInput } from './schema.ts';
import { hasTenants, normaliseTenant, tenantProblem } from './wire.ts';

/** A tenant as it was written, and where. */
interface Entry {
  readonly text: string;
  readonly path: Path;
  readonly elsewhere?: Finding['elsewhere'];
}

/** The tenants of one client as they stand in ids; those that cannot be used are reported and left out. */
export function resolveTenants(
  input: ClientInput['tenants'],
  endpoint: Client['endpoint'],
  path: Path,
  folder: string,
  report: Report,
): string[] {
  if (input === undefined) {
    if (hasTenants(endpoint)) {
      report({
        path: path.slice(0, -1),
        message: 'tenants is missing: the endpoint has a tenant in its URL',
      });
      return [];
    }
    return [NO_TENANT];
  }
  const entries = Array.isArray(input)
    ? input.map((text, index): Entry => ({ text, path: [...path, index] }))
    : readTenantsFile(input.file, path, folder, report);
  return uniqueTenants(entries, endpoint, report);
}

function uniqueTenants(entries: readonly Entry[], endpoint: Client['endpoint'], report: Report): string[] {
  const firstWritten = new Map<string, string>();
  for (const { text, ...place } of entries) {
    const tenant = normaliseTenant(endpoint, text);
    const problem = tenantProblem(endpoint, tenant);
    const twin = firstWritten.get(tenant);
    if (problem !== undefined) report({ ...place, message: problem });
    else if (twin === undefined) firstWritten.set(tenant, text);
    else report({ ...place, message: explainTwin(text, twin) });
  }
  return [...firstWritten.keys()];
}

function explainTwin(text: string, twin: string): string {
  const reason =
    text === twin ? '' : `; under authority upper and lower case are the same, and it is there as "${twin}"`;
  return `tenant "${text}" is listed twice, which makes two targets with one id${reason}`;
}

function readTenantsFile(written: string, path: Path, folder: string, report: Report): Entry[] {
  const file = isAbsolute(written) ? written : join(folder, written);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    report({ path: [...path, 'file'], message: `the file of tenants ${explainFileError(error)}` });
    return [];
  }
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const entries = lines.map((line, index) => ({ tenant: line.replace(/#.*/, '').trim(), line: index + 1 }));
  const filled = entries.filter(({ tenant }) => tenant !== '');
  if (filled.length === 0)
    report({ path, elsewhere: { file }, message: 'expected at least one tenant, one a line' });
  return filled.flatMap(({ tenant, line }): Entry[] => {
    const place = { path, elsewhere: { file, line } };
    if (isTenant(tenant)) return [{ text: tenant, ...place }];
    // The line is not shown: the file may be the wrong one, with a secret in it.
    report({ ...place, message: `this line is no tenant: expected ${TENANT_GRAMMAR}` });
    return [];
  });
}
