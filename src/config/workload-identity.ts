import { resolve } from 'node:path';
import type { Environment } from '../credentials/source.ts';
import type { Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import type { ClientInput } from './schema-client.ts';
import type { CredentialInput } from './schema-credentials.ts';
import { authority } from './values.ts';

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com';

/**
 * Where a credential says `workloadIdentity`, the client as it would stand without it: the file, and what the client
 * leaves out, from the variables that Azure's workload identity sets in a pod.
 */
export function applyWorkloadIdentity(
  input: ClientInput,
  path: Path,
  env: Environment,
  report: Report,
): ClientInput {
  const index = input.credentials.findIndex(isWorkloadIdentity);
  if (index < 0) return input;
  const place = [...path, 'credentials', index, 'federated', 'workloadIdentity'];
  if (input.tokenEndpoint !== undefined || (input.preset !== undefined && input.preset !== 'entra')) {
    report({
      path: place,
      message: 'workloadIdentity is for Entra; elsewhere use federated: { file: path }',
    });
    return input;
  }
  const variable = (name: string, remedy: string): string | undefined => {
    const value = env[name]?.trim();
    if (value) return value;
    report({ path: place, message: `the environment variable ${name} is not set: ${remedy}` });
    return undefined;
  };
  const file = variable('AZURE_FEDERATED_TOKEN_FILE', `${POD}, or use federated: { file: path }`);
  const clientId = input.clientId ?? variable('AZURE_CLIENT_ID', 'set it, or write clientId');
  const tenants = input.tenants ?? [variable('AZURE_TENANT_ID', 'set it, or write tenants')].filter(isText);
  return {
    ...input,
    ...(clientId !== undefined && { clientId }),
    tenants,
    ...addressFrom(input, env, place, report),
    credentials: input.credentials.map(
      (credential): CredentialInput =>
        isWorkloadIdentity(credential) ? { federated: { file: resolve(file ?? '') } } : credential,
    ),
  };
}

const POD = 'run in a pod with the label azure.workload.identity/use: "true"';

const isText = (value: string | undefined): value is string => value !== undefined;

const isWorkloadIdentity = ({ federated }: CredentialInput): boolean => federated?.workloadIdentity === true;

/** Where the client says no more than that it is Entra, or not even that. */
function addressFrom(
  { authority: named, preset, server }: ClientInput,
  env: Environment,
  place: Path,
  report: Report,
): Partial<ClientInput> {
  if (named !== undefined || server !== undefined) return {};
  const host = authorityFrom(env, place, report);
  return preset === undefined ? { authority: host } : { server: host };
}

function authorityFrom(env: Environment, place: Path, report: Report): string {
  const read = authority(env.AZURE_AUTHORITY_HOST?.trim() || DEFAULT_AUTHORITY);
  if ('value' in read) return read.value;
  report({ path: place, message: `the environment variable AZURE_AUTHORITY_HOST: ${read.problem}` });
  return DEFAULT_AUTHORITY;
}
