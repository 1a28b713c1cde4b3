import { z } from 'zod';
import { isTenant, NAME_GRAMMAR, printable, TENANT_GRAMMAR } from '../core/target.ts';
import { PRESET_NAMES } from './presets.ts';
import { credential } from './schema-credentials.ts';
import { claims, filled, path, pemFile, text } from './schema-fields.ts';
import {
  authority,
  durationMs,
  durationMsOrNever,
  isResourceIndicator,
  isScope,
  rate,
  serverUrl,
  share,
  tokenEndpoint,
} from './values.ts';

const outageTarget = text(
  durationMs({ min: '1s', max: '7d' }),
  'How long an outage of the token endpoint is to be survived, where the lifetime of tokens allows it. 1s to 7d.',
);
const latest = text(
  share({ min: 50, max: 95 }),
  'The share of its life after which a token is refreshed at the latest, however short the outage target. 50% to 95%.',
);

const retireUnreadAfter = text(
  // Redis counts idle times up to 97 days for certain, as the clock of 24 bits has it that it goes by. However short it
  // is written, in effect it is never less than the life of a token.
  durationMsOrNever({ min: '1s', max: '90d' }),
  'A target whose token nobody has read for so long is left alone until somebody asks; never less than the life of its token. 1s to 90d, or never. Default: never.',
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

export const refresh = z
  .strictObject({
    outageTarget: outageTarget.prefault('20m'),
    latest: latest.prefault('75%'),
    retireUnreadAfter: retireUnreadAfter.prefault('never'),
  })
  .prefault({})
  .describe('When tokens are refreshed; for clients that do not say otherwise.');

export const limits = z
  .strictObject({
    perHost: perHost.prefault('50/s'),
    perTenant: perTenant.prefault('5/s'),
    identical: identical.prefault('5/5m'),
  })
  .prefault({})
  .describe('How many requests may be sent; for clients that do not say otherwise.');

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
      resource: z
        .string()
        .refine(isResourceIndicator, 'expected an absolute URI without a fragment (RFC 8707 section 2)')
        .describe('Sent as resource (RFC 8707).')
        .optional(),
      audience: filled().describe('Sent as audience, which some servers want in place of scope.').optional(),
      params: z
        .record(z.string(), z.string())
        .describe('Sent beside the grant, such as { api_version: "2" }.')
        .optional(),
      claims: claims(
        'Sent as claims, in JSON (OpenID Connect Core section 5.5), where the server understands it.',
      ).optional(),
      expectAudience: filled()
        .describe('The aud that a decodable token must have. Default: not checked.')
        .optional(),
    }),
  ])
  .describe('One token that is wanted for every tenant.');

const capability = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected the name of a capability, such as cp1');

/** For editors; the loader says the same in words. */
const ADDRESSES = {
  allOf: [
    { not: { required: ['authority', 'tokenEndpoint'] } },
    { not: { required: ['authority', 'preset'] } },
  ],
};

export const clientSchema = z
  .strictObject({
    clientId: filled()
      .describe('The id under which the application is registered. Needed, but with workloadIdentity.')
      .optional(),
    authority: text(
      authority,
      'Origin of Microsoft Entra ID, such as https://login.microsoftonline.com.',
    ).optional(),
    tokenEndpoint: text(
      tokenEndpoint,
      'URL of any standard token endpoint; {tenant} in its path or query is filled in. https, or http on loopback. With preset: in place of the URL that the preset makes.',
    ).optional(),
    preset: z
      .enum(
        PRESET_NAMES,
        `expected ${PRESET_NAMES.slice(0, -1).join(', ')} or ${PRESET_NAMES.at(-1)}; for any other server there is tokenEndpoint`,
      )
      .describe(
        'A known service, whose token endpoint, methods and limits are taken where nothing else is said.',
      )
      .optional(),
    server: text(
      serverUrl,
      'Address of the server that preset completes, such as https://acme.okta.com/oauth2/default.',
    ).optional(),
    subject: filled()
      .describe('With the presets salesforce and google: the user that tokens are issued for.')
      .optional(),
    credentials: z
      .array(credential)
      .min(1, 'expected at least one credential, such as - secret: { env: NAME }')
      .max(8, 'expected at most 8 credentials')
      .describe('Tried in order: put old and new side by side while you rotate. At most 8.'),
    ca: pemFile('PEM file of authorities to trust at the token endpoint, beside the usual ones.').optional(),
    tenants: z
      .union([
        z.array(tenant).min(1, 'expected at least one tenant'),
        z.strictObject({ file: path }).describe('A file with one tenant a line; # begins a comment.'),
      ])
      .describe(`Tenants (${TENANT_GRAMMAR}); left out where the token endpoint has no {tenant}.`)
      .optional(),
    resources: z
      .record(z.string(), resource)
      .refine((all) => Object.keys(all).length > 0, 'expected at least one resource, such as graph: <scope>')
      .describe(`Tokens that are wanted, by name (${NAME_GRAMMAR}).`),
    capabilities: z
      .array(capability)
      .min(1, 'expected at least one capability, such as cp1')
      .describe('Client capabilities, under Entra only: [cp1] says that consumers handle claims challenges.')
      .optional(),
    refresh: z
      .strictObject({
        outageTarget: outageTarget.optional(),
        latest: latest.optional(),
        retireUnreadAfter: retireUnreadAfter.optional(),
      })
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
      'How long tokens are expected to live, which limits and outages are planned with until some were seen. 1s to 30d. Default: what the preset says, else assumeLifetime, else 1h.',
    ).optional(),
    assumeLifetime: text(
      durationMs({ min: '1m', max: '30d' }),
      'The life of a token whose answer has no expires_in. 1m to 30d. Default: what the preset says; else such an answer is an error.',
    ).optional(),
  })
  .meta({ description: 'One registered application.', ...ADDRESSES });

export type ClientInput = z.output<typeof clientSchema>;
