import type { SecretSource } from '../core/client.ts';
import { Secret } from '../core/secret.ts';
import { type Environment, findSecret, nameVariable, remedy } from '../credentials/source.ts';
import type { Config } from './config.ts';
import type { Finding, Report } from './diagnostics.ts';
import type { Path } from './document.ts';

/**
 * Whether every client's credentials can be read now, in the environment that was given. For commands that use
 * them: an operator's shell, where a token is only looked at, need not have the secrets. Empty when all is well.
 */
export function credentialFindings({ clients }: Pick<Config, 'clients'>, env: Environment): Finding[] {
  const findings: Finding[] = [];
  for (const { name, credentials } of clients) {
    for (const [index, { source }] of credentials.entries()) {
      readForReport(source, ['clients', name, 'credentials', index, 'secret'], env, (finding) =>
        findings.push(finding),
      );
    }
  }
  return findings;
}

/** Reads a secret; when there is none, says so at the place that names its source. */
export function readForReport(
  source: SecretSource,
  path: Path,
  env: Environment,
  report: Report,
): Secret | undefined {
  const found = findSecret(source, env);
  if (found instanceof Secret) return found;
  // The place says which file is meant; a value that may be a misplaced secret is not repeated.
  const [key, named] = 'env' in source ? ['env', nameVariable(source.env)] : ['file', 'the file named here'];
  report({
    path: [...path, key],
    code: 'CREDENTIAL_UNREADABLE',
    message: `${named} ${found.problem}: ${remedy(source)}`,
  });
  return undefined;
}
