import type { Client } from '../core/client.ts';
import { isTenant, NO_TENANT, TENANT_GRAMMAR } from '../core/target.ts';
import type { Finding, Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import type { ConfigFiles } from './files.ts';
import type { ClientInput } from './schema-client.ts';
import { hasTenants, normaliseTenant, tenantProblem } from './wire.ts';

/** Tenants as they were written, and where each stands. */
interface Listed {
  readonly texts: readonly string[];
  readonly place: (index: number) => Pick<Finding, 'path' | 'elsewhere'>;
}

/** The tenants of one client as they stand in ids; those that cannot be used are reported and left out. */
export function resolveTenants(
  input: ClientInput['tenants'],
  endpoint: Client['endpoint'],
  path: Path,
  files: ConfigFiles,
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
  const listed = Array.isArray(input)
    ? { texts: input, place: (index: number) => ({ path: [...path, index] }) }
    : readTenantsFile(input.file, path, files, report);
  return uniqueTenants(listed, endpoint, report);
}

function uniqueTenants({ texts, place }: Listed, endpoint: Client['endpoint'], report: Report): string[] {
  const firstWritten = new Map<string, string>();
  for (const [index, text] of texts.entries()) {
    const tenant = normaliseTenant(endpoint, text);
    const problem = tenantProblem(endpoint, tenant);
    const twin = firstWritten.get(tenant);
    if (problem !== undefined) report({ ...place(index), message: problem });
    else if (twin === undefined) firstWritten.set(tenant, text);
    else report({ ...place(index), message: explainTwin(text, twin) });
  }
  return [...firstWritten.keys()];
}

function explainTwin(text: string, twin: string): string {
  const reason =
    text === twin ? '' : `; under authority upper and lower case are the same, and it is there as "${twin}"`;
  return `tenant "${text}" is listed twice, which makes two targets with one id${reason}`;
}

function readTenantsFile(written: string, path: Path, files: ConfigFiles, report: Report): Listed {
  const file = files.absolute(written);
  const read = files.read(written);
  if ('problem' in read) {
    report({ path: [...path, 'file'], message: `the file of tenants ${read.problem}` });
    return { texts: [], place: () => ({ path }) };
  }
  const filled = read.text.split('\n').flatMap((line, index) => {
    const text = withoutComment(line);
    return text === '' ? [] : [{ text, line: index + 1 }];
  });
  const isWell = ({ text, line }: { text: string; line: number }): boolean => {
    if (isTenant(text)) return true;
    // The line is not shown: the file may be the wrong one, with a secret in it.
    report({
      path,
      elsewhere: { file, line },
      message: `this line is no tenant: expected ${TENANT_GRAMMAR}`,
    });
    return false;
  };
  if (filled.length === 0)
    report({ path, elsewhere: { file }, message: 'expected at least one tenant, one a line' });
  const well = filled.filter(isWell);
  return {
    texts: copied(well.map(({ text }) => text)),
    place: (index) => ({ path, elsewhere: { file, line: well[index]?.line } }),
  };
}

function withoutComment(line: string): string {
  const comment = line.indexOf('#');
  return (comment < 0 ? line : line.slice(0, comment)).trim();
}

/** Parts of a large text are views of it: they would keep it in memory, and take three times as long to sort. */
const copied = (texts: readonly string[]): string[] => JSON.parse(JSON.stringify(texts));
