import { z } from 'zod';
import { ANYWHERE, claims, exactlyOne, filled, hasOneOf, path, text } from './schema-fields.ts';
import { durationMs, instant, type Read } from './values.ts';

/** One of several words. */
const word = <const Words extends readonly [string, ...string[]]>(words: Words, description: string) =>
  z.enum(words, `expected ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`).describe(description);

const reference = (description: string) =>
  z
    .strictObject(ANYWHERE.shape, { error: ANYWHERE.error })
    .refine(ANYWHERE.isOne, ANYWHERE.message)
    .meta({ description, ...ANYWHERE.meta });

const secret = z
  .strictObject(
    {
      ...ANYWHERE.shape,
      method: word(
        ['client_secret_post', 'client_secret_basic', 'client_secret_jwt'],
        'RFC 6749 section 2.3.1: in the body (post) or as HTTP Basic (basic); RFC 7523: as the key of a signed assertion (jwt). Default: client_secret_post, or what the preset says.',
      ).optional(),
      expires: text(
        instant,
        'When the server will stop to accept it, as a date or a date and time; for warnings only.',
      ).optional(),
    },
    { error: ANYWHERE.error },
  )
  .refine(ANYWHERE.isOne, ANYWHERE.message)
  .meta({ description: 'A client secret, and where it comes from.', ...ANYWHERE.meta });

/** As anywhere under credentials, what was written is not repeated. */
function lifetime(input: string): Read<number> {
  const read = durationMs({ min: '1m', max: '1h' })(input);
  return 'value' in read ? read : { problem: 'expected a duration from 1m to 1h, such as 10m' };
}

/** What a signed assertion says. */
const assertion = {
  alg: word(
    ['PS256', 'RS256', 'ES256'],
    'How assertions are signed. Default: PS256 with an RSA key and ES256 with a P-256 key, or what the preset says.',
  ).optional(),
  kid: filled().describe('Header kid: under which name the server knows the key.').optional(),
  audience: filled()
    .describe('Claim aud of assertions. Default: the token endpoint, or what the preset says.')
    .optional(),
  lifetime: text(
    lifetime,
    'How long an assertion is valid. 1m to 1h. Default: 10m, or what the preset says.',
  ).optional(),
  claims: claims('Further claims that are signed into assertions.').optional(),
  claimsMode: word(
    ['merge', 'replace'],
    'merge: claims beside the standard ones. replace: only aud, iss, sub, exp and these. Default: merge.',
  ).optional(),
};

const passphrase = reference('Where the passphrase of an encrypted key or PFX comes from.').optional();

const certificate = z
  .strictObject(
    {
      ...ANYWHERE.shape,
      key: reference('Where the private key comes from. Default: it is beside the certificate.').optional(),
      passphrase,
      method: word(
        ['private_key_jwt', 'tls_client_auth'],
        'A signed assertion (RFC 7523), or mutual TLS (RFC 8705).',
      ).prefault('private_key_jwt'),
      x5c: z
        .boolean()
        .describe(
          'Header x5c: send the chain, for servers that trust by subject name and issuer. Default: false.',
        )
        .optional(),
      ...assertion,
    },
    { error: ANYWHERE.error },
  )
  .refine(ANYWHERE.isOne, ANYWHERE.message)
  .meta({ description: 'A certificate with its private key, PEM or PFX.', ...ANYWHERE.meta });

const privateKey = z
  .strictObject({ ...ANYWHERE.shape, passphrase, ...assertion }, { error: ANYWHERE.error })
  .refine(ANYWHERE.isOne, ANYWHERE.message)
  .meta({
    description:
      'A private key that the server knows by kid: PEM, or a service account file of Google, which brings its kid.',
    ...ANYWHERE.meta,
  });

const federated = z
  .strictObject({
    file: path.optional(),
    managedIdentity: z
      .strictObject({
        clientId: filled()
          .describe('Of a user-assigned identity. Default: the system-assigned one.')
          .optional(),
        audience: filled()
          .prefault('api://AzureADTokenExchange')
          .describe('What the token of the identity is for.'),
      })
      .describe('The token of an identity that Azure gives to the machine; {} for the system-assigned one.')
      .optional(),
    workloadIdentity: z
      .literal(true, 'expected true')
      .describe(
        "Azure's variables: AZURE_FEDERATED_TOKEN_FILE names the file, and where the client does not say them AZURE_CLIENT_ID is its clientId, AZURE_TENANT_ID its tenant and AZURE_AUTHORITY_HOST its authority.",
      )
      .optional(),
  })
  .refine(
    hasOneOf('file', 'managedIdentity', 'workloadIdentity'),
    'expected exactly one of file, managedIdentity and workloadIdentity',
  )
  .meta({
    description: 'A JWT of another issuer as the client assertion (RFC 7521), from a file that rotates.',
    ...exactlyOne('file', 'managedIdentity', 'workloadIdentity'),
  });

const KINDS = ['secret', 'certificate', 'privateKey', 'federated'] as const;

export const credential = z
  .strictObject(
    {
      secret: secret.optional(),
      certificate: certificate.optional(),
      privateKey: privateKey.optional(),
      federated: federated.optional(),
    },
    { error: ANYWHERE.error },
  )
  .refine(hasOneOf(...KINDS), `expected exactly one of ${KINDS.slice(0, -1).join(', ')} and ${KINDS.at(-1)}`)
  .meta({ description: 'One way to prove who the client is.', ...exactlyOne(...KINDS) });

export type CredentialInput = z.output<typeof credential>;
