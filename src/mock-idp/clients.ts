import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { EvertokenError } from '../core/errors.ts';

/** A client id with one of the secrets that it may use; the same id can come several times. */
export interface MockClient {
  readonly clientId: string;
  readonly secret: string;
}

/** Everything that one application may prove itself with. Each `name` tells credentials apart in the log. */
export interface Registration {
  /** By their values. */
  readonly secrets: ReadonlyMap<string, KnownSecret>;
  /** By `x5t#S256`. */
  readonly certificates: ReadonlyMap<string, KnownKey>;
  /** By `kid`. */
  readonly publicKeys: ReadonlyMap<string, KnownKey>;
  readonly federated: readonly FederatedIdentity[];
  /** Tenants that do not know the application. */
  readonly tenantsWithout: ReadonlySet<string>;
}

export interface KnownSecret {
  readonly name: string;
  readonly expired: boolean;
}

/** A key, with the validity of its certificate in epoch ms; a bare key is valid always. */
export interface KnownKey {
  readonly name: string;
  readonly key: KeyObject;
  readonly validFrom: number;
  readonly validTo: number;
}

/** Whose tokens are taken as assertions (Entra's federated identity credential). */
export interface FederatedIdentity {
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  readonly key: KeyObject;
}

/** By client id. */
export type Clients = ReadonlyMap<string, Registration>;

const NAME_LENGTH = 8;

/** The name of a certificate or of a key is the beginning of what an assertion calls it. */
export const nameOf = (thumbprintOrKeyId: string): string => thumbprintOrKeyId.slice(0, NAME_LENGTH);

/** The beginning of a text's SHA-256 in base64url: says which secret it was, and not what it was. */
export const digestName = (text: string): string =>
  createHash('sha256').update(text).digest('base64url').slice(0, NAME_LENGTH);

/** The ids with all their secrets: a secret that is being rotated overlaps with the next one. */
export function clientsOf(list: readonly MockClient[]): Clients {
  const byId = Map.groupBy(list, ({ clientId }) => clientId);
  return new Map(
    [...byId].map(([id, same]) => [id, registration({ secrets: same.map(({ secret }) => secret) })]),
  );
}

/**
 * Reads clients as JSON has them, by client id: `secrets` (texts, or `{ value, expired }`), `certificates` (PEM),
 * `publicKeys` (`{ kid, pem }`), `federated` (`{ issuer, subject, audience, publicKeyPem }`) and `tenantsWithout`, all
 * of them optional. Throws `USAGE`, which names the place and nothing of what stands there.
 */
export function parseClients(value: unknown): Clients {
  const result = CLIENTS.safeParse(value);
  if (result.success)
    return new Map(Object.entries(result.data).map(([id, form]) => [id, registration(form)]));
  const path = result.error.issues[0]?.path ?? [];
  throw new EvertokenError(
    'USAGE',
    `expected registered clients, but ${['clients', ...path].join('.')} is wrong`,
  );
}

const text = z.string().min(1);
const publicKey = pem(createPublicKey);
const certificate = pem((written) => new X509Certificate(written));

const CLIENTS = z.record(
  text,
  z.strictObject({
    secrets: z
      .array(z.union([text, z.strictObject({ value: text, expired: z.boolean().optional() })]))
      .optional(),
    certificates: z.array(certificate).optional(),
    publicKeys: z.array(z.strictObject({ kid: text, pem: publicKey })).optional(),
    federated: z
      .array(z.strictObject({ issuer: text, subject: text, audience: text, publicKeyPem: publicKey }))
      .optional(),
    tenantsWithout: z.array(text).optional(),
  }),
);

function pem<Value>(read: (written: string) => Value) {
  return text.transform((written, context) => {
    try {
      return read(written);
    } catch {
      // What the library says could hold a part of the text.
      context.addIssue({ code: 'custom', message: 'expected PEM' });
      return z.NEVER;
    }
  });
}

function registration(form: z.output<typeof CLIENTS>[string]): Registration {
  const { secrets = [], certificates = [], publicKeys = [], federated = [], tenantsWithout = [] } = form;
  return {
    secrets: new Map(secrets.map(knownSecret)),
    certificates: new Map(certificates.map(knownCertificate)),
    publicKeys: new Map(
      publicKeys.map(({ kid, pem: key }) => [
        kid,
        { name: nameOf(kid), key, validFrom: Number.NEGATIVE_INFINITY, validTo: Number.POSITIVE_INFINITY },
      ]),
    ),
    federated: federated.map(({ publicKeyPem: key, ...identity }) => ({
      ...identity,
      key,
      name: digestName(`${identity.issuer} ${identity.subject}`),
    })),
    tenantsWithout: new Set(tenantsWithout),
  };
}

type SecretForm = string | { readonly value: string; readonly expired?: boolean | undefined };

function knownSecret(form: SecretForm): [string, KnownSecret] {
  const { value, expired = false } = typeof form === 'string' ? { value: form } : form;
  return [value, { name: digestName(value), expired }];
}

function knownCertificate({
  raw,
  publicKey: key,
  validFromDate,
  validToDate,
}: X509Certificate): [string, KnownKey] {
  const thumbprint = createHash('sha256').update(raw).digest('base64url');
  const validity = { validFrom: validFromDate.getTime(), validTo: validToDate.getTime() };
  return [thumbprint, { name: nameOf(thumbprint), key, ...validity }];
}
