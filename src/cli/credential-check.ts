import type { Config } from '../config/config.ts';
import type { Credential } from '../core/client.ts';
import { advice } from '../core/failure.ts';
import { expiryWarning } from '../credentials/expiry.ts';
import { type Entry, Keyring } from '../credentials/keyring.ts';
import type { Environment } from '../credentials/source.ts';
import type { Column } from './table.ts';

/** One configured credential as `check` finds it; what `--json` prints. */
export interface CredentialChecked {
  readonly client: string;
  /** Its place in the list, from 1. */
  readonly credential: number;
  readonly kind: Credential['kind'];
  /** Undefined where it cannot be used. */
  readonly fingerprint: string | undefined;
  /** Epoch ms, where that is known. */
  readonly endsAt: number | undefined;
  readonly problem?: { readonly code: string; readonly detail: string; readonly todo: string };
}

/** Loads every credential as a daemon would. Asks vaults where they are configured, and no token endpoint. */
export async function checkCredentials({ clients }: Config, env: Environment): Promise<CredentialChecked[]> {
  const keyring = new Keyring({ env, clock: Date.now });
  try {
    const all = await Promise.all(
      clients.map(async (client) => (await keyring.of(client)).map((entry) => checkedOf(client.name, entry))),
    );
    return all.flat();
  } finally {
    keyring.close();
  }
}

function checkedOf(
  client: string,
  { index, credential, atHand, problem, detail = '' }: Entry,
): CredentialChecked {
  return {
    ...{ client, credential: index + 1, kind: credential.kind },
    ...{ fingerprint: atHand?.fingerprint, endsAt: atHand?.endsAt },
    ...(problem === undefined
      ? {}
      : { problem: { code: problem, detail, todo: advice({ kind: 'credential', code: problem }).todo } }),
  };
}

export const CREDENTIAL_COLUMNS: readonly Column<CredentialChecked>[] = [
  { title: 'CLIENT', cell: ({ client }) => client },
  { title: 'CREDENTIAL', cell: ({ credential, kind }) => `${credential}: ${kind}` },
  { title: 'FINGERPRINT', cell: ({ fingerprint }) => fingerprint ?? '' },
  {
    title: 'ENDS',
    cell: ({ endsAt }) => (endsAt === undefined ? '' : new Date(endsAt).toISOString().slice(0, 10)),
    style: ({ endsAt }) =>
      endsAt !== undefined && expiryWarning(endsAt, Date.now()) !== undefined ? 'yellow' : undefined,
  },
  {
    title: 'USABLE',
    cell: ({ problem }) => (problem === undefined ? 'yes' : 'no'),
    style: ({ problem }) => (problem === undefined ? 'green' : 'red'),
  },
];

/** What is wrong with credentials, a line each. */
export const credentialProblems = (checked: readonly CredentialChecked[]): string[] =>
  checked.flatMap(({ client, credential, problem }) =>
    problem === undefined
      ? []
      : [
          `credential ${credential} of client ${client} cannot be used: ${problem.code}${problem.detail === '' ? '' : ` (${problem.detail})`}; ${problem.todo}`,
        ],
  );

/** Which credentials end soon. */
export const credentialWarnings = (checked: readonly CredentialChecked[], now: number): string[] =>
  checked.flatMap(({ client, credential, endsAt }) => {
    const warning = endsAt === undefined ? undefined : expiryWarning(endsAt, now);
    if (endsAt === undefined || warning === undefined) return [];
    const when = new Date(endsAt).toISOString().slice(0, 10);
    return warning === 'ended'
      ? [`credential ${credential} of client ${client} ended on ${when}`]
      : [`credential ${credential} of client ${client} ends on ${when}: put the next one beside it`];
  });
