import { z } from 'zod';
import {
  isNamespace,
  isTenant,
  NAME_GRAMMAR,
  NAMESPACE_GRAMMAR,
  printable,
  TENANT_GRAMMAR,
} from '../core/target.ts';
import {
  address,
  authority,
  durationMs,
  isScope,
  loopbackAddress,
  type Reader,
  rate,
  redisUrlWithoutPassword,
  tokenEndpoint,
} from './values.ts';

/*
 * Every option once: unit, default, bounds and text. The JSON Schema, the messages and the reference come from here.
 * `prefault` and not `default`: a default is written as an operator would write it.
 */

const BY_REFERENCE = 'secrets come only by reference: { env: NAME } or { file: path }';

const text = <T>(read: Reader<T>, description: string) =>
  z
    .string()
    .transform((input, context) => {
      const result = read(input);
      if ('value' in result) return result.value;
      context.addIssue({ code: 'custom', message: result.problem });
      return z.NEVER;
    })
    .describe(description);

const filled = () => z.string().min(1, 'expected a text that is not empty');

const path = filled().describe('A path; a relative one starts at the folder of this file.');

const variable = z
  .string()
  // The text is not shown: a secret is easily pasted here.
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable, never a secret itself')
  .describe('The name of an environment variable.');

const references = { env: variable.optional(), file: path.optional() };

const oneReference = ({ env, file }: { env?: string | undefined; file?: string | undefined }): boolean =>
  (env === undefined) !== (file === undefined);

const byReference = {
  error: (issue: { code?: string }) => (issue.code === 'invalid_type' ? BY_REFERENCE : undefined),
};

const exactlyOne = (...keys: string[]) => ({ oneOf: keys.map((key) => ({ required: [key] })) });

const password = z
  .strictObject(references, byReference)
  .refine(oneReference, `expected exactly one of env and file: ${BY_REFERENCE}`)
  .meta({ description: 'Where the password comes from.', ...exactlyOne('env', 'file') });

const redisUrl = text(redisUrlWithoutPassword, 'redis://host:port/db, or rediss:// for TLS.');

const redis = z
  .union([
    redisUrl,
    z.strictObject({
      url: redisUrl,
      tls: z
        .strictObject({
          ca: z.strictObject({ file: path }).describe('PEM file of the authorities to trust.').optional(),
        })
        .describe('Use TLS, also with redis://. Default: only with rediss://.')
        .optional(),
      username: filled().describe('User of the Redis ACL. Default: the default user.').optional(),
      password: password.optional(),
    }),
  ])
  .prefault('redis://127.0.0.1:6379')
  .describe(
    'The Redis that tokens are put into. The environment variable REDIS_URL replaces this whole setting.',
  );

const http = z
  .strictObject({
    listen: text(
      loopbackAddress,
      'host:port of health and metrics, on loopback only. Port 0: any free one.',
    ).prefault('127.0.0.1:8642'),
    probes: text(
      address,
      'host:port that serves only health and metrics, on any address. Default: none.',
    ).optional(),
  })
  .prefault({})
  .describe('What the daemon listens on.');

const outageTarget = text(
  durationMs({ min: '1s', max: '7d' }),
  'How long an outage of the token endpoint is to be survived, where the lifetime of tokens allows it. 1s to 7d.',
);

const perHost = text(
  rate({ minCount: 1, maxCount: 10_000, maxWindow: '1h' }),
  'Requests to one host by the whole fleet. Where clients share a host, the lowest counts.',
);
const perTenant = text(
  rate({ minCount: 1, maxCount: 10_000, maxWindow: '1h' }),
  'Requests of one client for one tenant by the whole fleet.',
);
const identical = text(
  // The plan uses one less than the count, and every target's state holds a log of this length.
  rate({ minCount: 2, maxCount: 100, maxWindow: '1h' }),
  'Identical requests (endpoint, client id, scope and parameters) by the whole fleet, in a sliding window. At least 2.',
);

const refresh = z
  .strictObject({ outageTarget: outageTarget.prefault('20m') })
  .prefault({})
  .describe('When tokens are refreshed; for clients that do not say otherwise.');

const limits = z
  .strictObject({
    perHost: perHost.prefault('50/s'),
    perTenant: perTenant.prefault('5/s'),
    identical: identical.prefault('5/5m'),
  })
  .prefault({})
  .describe('How many requests may be sent; for clients that do not say otherwise.');

const secret = z
  .strictObject(
    {
      ...references,
      method: z
        .enum(
          ['client_secret_post', 'client_secret_basic'],
          'expected client_secret_post or client_secret_basic',
        )
        .prefault('client_secret_post')
        .describe('RFC 6749 section 2.3.1: in the body (post) or as HTTP Basic (basic).'),
    },
    byReference,
  )
  .refine(oneReference, `expected exactly one of env and file: ${BY_REFERENCE}`)
  .meta({ description: 'Where a client secret comes from.', ...exactlyOne('env', 'file') });

const credential = z.strictObject({ secret }, byReference).describe('One way to prove who the client is.');

const tenant = z.string().refine(isTenant, {
  error: ({ input }) => `expected a tenant (${TENANT_GRAMMAR}) but got "${printable(String(input))}"`,
});

const scope = z
  .string()
  .refine(isScope, 'expected a scope: words of printable ASCII with one space between them');

const resource = z
  .union([
    scope.describe('Short for { scope: … }.'),
    z.strictObject({
      scope: scope.describe('Sent as scope. Needed under authority, where it ends in /.default.').optional(),
      params: z
        .record(z.string(), z.string())
        .describe('Sent beside the grant, such as { audience: https://api.example }.')
        .optional(),
      expectAudience: filled()
        .describe('The aud that a decodable token must have. Default: not checked.')
        .optional(),
    }),
  ])
  .describe('One token that is wanted for every tenant.');

export const clientSchema = z
  .strictObject({
    clientId: filled().describe('The id under which the application is registered.'),
    authority: text(
      authority,
      'Origin of Microsoft Entra ID, such as https://login.microsoftonline.com.',
    ).optional(),
    tokenEndpoint: text(
      tokenEndpoint,
      'URL of any standard token endpoint; {tenant} in its path or query is filled in. https, or http on loopback.',
    ).optional(),
    credentials: z
      .array(credential)
      .min(1, 'expected at least one credential, such as - secret: { env: NAME }')
      .describe('Tried in order: put old and new side by side while you rotate.'),
    tenants: z
      .union([
        z.array(tenant).min(1, 'expected at least one tenant'),
        z.strictObject({ file: path }).describe('A file with one tenant a line; # begins a comment.'),
      ])
      .describe(`Tenants (${TENANT_GRAMMAR}); left out where tokenEndpoint has no {tenant}.`)
      .optional(),
    resources: z
      .record(z.string(), resource)
      .refine((all) => Object.keys(all).length > 0, 'expected at least one resource, such as graph: <scope>')
      .describe(`Tokens that are wanted, by name (${NAME_GRAMMAR}).`),
    refresh: z
      .strictObject({ outageTarget: outageTarget.optional() })
      .describe('Overrides the top-level refresh, key by key.')
      .optional(),
    limits: z
      .strictObject({
        perHost: perHost.optional(),
        perTenant: perTenant.optional(),
        identical: identical.optional(),
      })
      .describe('Overrides the top-level limits, key by key.')
      .optional(),
    expectLifetime: text(
      durationMs({ min: '1s', max: '30d' }),
      'The lifetime that `check` computes with; the daemon goes by what the server says. 1s to 30d.',
    ).prefault('1h'),
  })
  .meta({ description: 'One registered application.', ...exactlyOne('authority', 'tokenEndpoint') });

export type ClientInput = z.output<typeof clientSchema>;

const sections = z.strictObject({ redis, http, refresh, limits });

export type Sections = z.output<typeof sections>;

const namespace = z
  .string()
  .refine(isNamespace, {
    error: ({ input }) => `expected a namespace (${NAMESPACE_GRAMMAR}) but got "${printable(String(input))}"`,
  })
  .prefault('evertoken')
  .describe(`What every key in Redis begins with: ${NAMESPACE_GRAMMAR}.`);

export const configSchema = sections.extend({
  namespace,
  clients: z
    .record(z.string(), clientSchema)
    .refine((all) => Object.keys(all).length > 0, 'expected at least one client')
    .describe(`Registered applications, by name (${NAME_GRAMMAR}).`),
});

export type ConfigInput = z.output<typeof configSchema>;

/** The sections that are well by themselves, and defaults for the others: to go on checking what else there is. */
export function readableSections(value: Readonly<Record<string, unknown>>): Sections {
  const well = Object.entries(sections.shape).filter(([key, schema]) => schema.safeParse(value[key]).success);
  return sections.parse(Object.fromEntries(well.map(([key]) => [key, value[key]])));
}

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The configuration's JSON Schema (draft 2020-12) for editors: what may be written, before any default. */
export function configJsonSchema(): JsonSchema {
  return { title: 'evertoken configuration', ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
