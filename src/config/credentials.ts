import type { Credential, SecretSource } from '../core/client.ts';
import { Secret } from '../core/secret.ts';
import { type Environment, findSecret, nameVariable, remedy } from '../credentials/source.ts';
import type { Config } from './config.ts';
import type { Finding, Report } from './diagnostics.ts';
import type { Path } from './document.ts';

/**
 * `each`: every one has to be readable. `enough`: one of each client; a daemon starts with that, since the others may be
 * the next ones of a rotation, and says what is wrong with them while it runs.
 */
export type CredentialCheck = 'each' | 'enough';

/**
 * Whether the clients' credentials can be read now, in the environment that was given; but for those that only a vault
 * or an identity of the machine can give. For commands that use them: an operator's shell, where a token is only looked
 * at, need not have the secrets. Empty when all is well.
 */
export function credentialFindings(
  { clients }: Pick<Config, 'clients'>,
  env: Environment,
  check: CredentialCheck,
): Finding[] {
  return clients.flatMap(({ name, credentials }) => {
    const each = credentials.map((credential, index) =>
      findingsOf(credential, ['clients', name, 'credentials', index, credential.kind], env),
    );
    return check === 'enough' && each.some((findings) => findings.length === 0) ? [] : each.flat();
  });
}

function findingsOf(credential: Credential, path: Path, env: Environment): Finding[] {
  const findings: Finding[] = [];
  for (const { source, at } of localSources(credential))
    readForReport(source, [...path, ...at], env, (finding) => findings.push(finding));
  return findings;
}

/** The variables and files of a credential, each with the key that it stands under. */
function localSources(credential: Credential): { source: LocalSource; at: Path }[] {
  const isKey = credential.kind === 'certificate' || credential.kind === 'privateKey';
  const sources = [
    { source: credential.source, at: [] },
    { source: isKey ? credential.keySource : undefined, at: ['key'] },
    { source: isKey ? credential.passphrase : undefined, at: ['passphrase'] },
  ];
  return sources.flatMap(({ source, at }) => (source && isLocal(source) ? [{ source, at }] : []));
}

type LocalSource = Extract<SecretSource, { readonly env: string } | { readonly file: string }>;

const isLocal = (source: Credential['source']): source is LocalSource => 'env' in source || 'file' in source;

/** Reads a secret; when there is none, says so at the place that names its source. */
export function readForReport(
  source: LocalSource,
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
