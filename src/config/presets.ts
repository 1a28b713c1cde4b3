import type { AssertionOptions, Credential, Limits } from '../core/client.ts';

type MethodOf<T> = T extends { readonly method: infer Method } ? Method : never;

/** How a client may prove itself: the methods of its credentials, or a federated assertion. */
export type Method = MethodOf<Credential> | 'federated';

/** What is known of one service. It stands in for what a client and the top level leave unsaid. */
export interface Preset {
  /** For messages. */
  readonly title: string;
  /** The address where a client names none; undefined: it must. */
  readonly server: string | undefined;
  /** What a client is asked for. */
  readonly serverExample: string;
  /** What the address must look like beyond that. */
  readonly serverShape?: RegExp;
  /** `{server}` is filled in at load and `{tenant}` for each target. Undefined: Entra's form, from its authority. */
  readonly tokenEndpoint: string | undefined;
  /** The first of a secret's methods is its default. */
  readonly methods: readonly Method[];
  /** What its assertions may be signed with, the default first. Undefined: anything, as the key allows. */
  readonly algs?: readonly NonNullable<AssertionOptions['alg']>[];
  readonly assertion: {
    /** `{server}` is filled in. Undefined: the token endpoint. */
    readonly audience?: string;
    /** Audiences of addresses that are not their own. */
    readonly audiences?: readonly (readonly [address: RegExp, audience: string])[];
    readonly lifetimeMs: number;
    readonly mostLifetimeMs: number;
    /** Only where it is known that `jti` is not remembered. */
    readonly reuse: boolean;
  };
  readonly grant: 'client_credentials' | 'jwt_bearer';
  readonly subject: 'required' | 'optional' | 'none';
  /** With `jwt_bearer`: the scope is signed into the assertion. */
  readonly scopeInAssertion?: true;
  /** A request without a scope is an error there. */
  readonly needsScope?: true;
  /** Understands the `claims` parameter in token requests. */
  readonly takesClaims?: true;
  readonly expectLifetimeMs?: number;
  readonly assumeLifetimeMs?: number;
  readonly outageTargetMs?: number;
  readonly latestShare?: number;
  readonly limits: Partial<Limits>;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

const perSecond = (count: number) => ({ count, windowMs: SECOND_MS });
const perMinute = (count: number) => ({ count, windowMs: MINUTE_MS });

/** One service a row, each with the reasons for what it sets. Keep the table in docs/configuration.md alike. */
export const PRESETS = {
  // The defaults of every option are made for Entra.
  entra: {
    title: 'Entra',
    server: 'https://login.microsoftonline.com',
    serverExample: 'https://login.microsoftonline.com',
    tokenEndpoint: undefined,
    methods: ['client_secret_post', 'client_secret_basic', 'private_key_jwt', 'federated'],
    // It is known to accept an assertion again, as its own libraries send it.
    assertion: { lifetimeMs: 10 * MINUTE_MS, mostLifetimeMs: HOUR_MS, reuse: true },
    grant: 'client_credentials',
    subject: 'none',
    takesClaims: true,
    limits: {},
  },
  okta: {
    title: 'Okta',
    server: undefined,
    serverExample: 'https://acme.okta.com/oauth2/default',
    serverShape: /\/oauth2(?:\/[^/]+)?$/,
    tokenEndpoint: '{server}/v1/token',
    methods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
    algs: ['RS256', 'ES256'],
    assertion: { lifetimeMs: 5 * MINUTE_MS, mostLifetimeMs: HOUR_MS, reuse: false },
    grant: 'client_credentials',
    subject: 'none',
    needsScope: true,
    // Its quotas are for an org and a minute, from 300 on for the smallest, and shared with its people's sign-ins.
    limits: { perHost: perMinute(120), perTenant: perMinute(120) },
  },
  auth0: {
    title: 'Auth0',
    server: undefined,
    serverExample: 'https://acme.eu.auth0.com',
    tokenEndpoint: '{server}/oauth/token',
    methods: ['client_secret_post', 'client_secret_basic', 'private_key_jwt', 'tls_client_auth'],
    algs: ['RS256', 'PS256'],
    // One-time assertions, 5 minutes at most, for the domain with its slash.
    assertion: {
      audience: '{server}/',
      lifetimeMs: 2 * MINUTE_MS,
      mostLifetimeMs: 5 * MINUTE_MS,
      reuse: false,
    },
    grant: 'client_credentials',
    subject: 'none',
    expectLifetimeMs: 24 * HOUR_MS,
    // Each token counts against a monthly quota: as late as an outage of 20 minutes allows.
    latestShare: 0.95,
    // 300 requests a minute and tenant for the smallest plan, sign-ins included.
    limits: { perHost: perMinute(120), perTenant: perMinute(120) },
  },
  keycloak: {
    title: 'Keycloak',
    server: undefined,
    serverExample: 'https://keycloak.example',
    tokenEndpoint: '{server}/realms/{tenant}/protocol/openid-connect/token',
    methods: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'tls_client_auth',
      'federated',
    ],
    assertion: { lifetimeMs: MINUTE_MS, mostLifetimeMs: HOUR_MS, reuse: false },
    grant: 'client_credentials',
    subject: 'none',
    // Tokens of 5 minutes, of 1 in the master realm: neither can outlive an outage of 20 minutes.
    expectLifetimeMs: 5 * MINUTE_MS,
    outageTargetMs: 2 * MINUTE_MS,
    // It has no quotas, but is often a single machine. Tokens of 1 minute need a request in less than 50 s.
    limits: { perHost: perSecond(20), identical: { count: 20, windowMs: 5 * MINUTE_MS } },
  },
  cognito: {
    title: 'Cognito',
    server: undefined,
    serverExample: 'https://acme.auth.eu-central-1.amazoncognito.com',
    tokenEndpoint: '{server}/oauth2/token',
    methods: ['client_secret_basic', 'client_secret_post'],
    assertion: { lifetimeMs: MINUTE_MS, mostLifetimeMs: HOUR_MS, reuse: false },
    grant: 'client_credentials',
    subject: 'none',
    // Each token request is billed, so later than elsewhere.
    outageTargetMs: 10 * MINUTE_MS,
    latestShare: 0.85,
    // Its quota is for an account and region, over all user pools and grants.
    limits: { perHost: perSecond(20) },
  },
  ping: {
    title: 'PingOne',
    server: 'https://auth.pingone.com',
    serverExample: 'https://auth.pingone.eu',
    tokenEndpoint: '{server}/{tenant}/as/token',
    methods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
    algs: ['RS256', 'ES256'],
    assertion: { lifetimeMs: 5 * MINUTE_MS, mostLifetimeMs: HOUR_MS, reuse: false },
    grant: 'client_credentials',
    subject: 'none',
    // Its quotas are for an environment, which is a tenant here.
    limits: { perHost: perSecond(20), perTenant: perSecond(5) },
  },
  google: {
    title: 'Google',
    server: 'https://oauth2.googleapis.com',
    serverExample: 'https://oauth2.googleapis.com',
    tokenEndpoint: '{server}/token',
    methods: ['private_key_jwt'],
    algs: ['RS256'],
    assertion: {
      audience: '{server}/token',
      lifetimeMs: 10 * MINUTE_MS,
      mostLifetimeMs: HOUR_MS,
      reuse: false,
    },
    grant: 'jwt_bearer',
    // Of the user that a service account with domain-wide delegation stands for.
    subject: 'optional',
    scopeInAssertion: true,
    needsScope: true,
    // No quota is published for tokens of service accounts; those of the APIs behind are about this.
    limits: { perHost: perSecond(10) },
  },
  salesforce: {
    title: 'Salesforce',
    server: 'https://login.salesforce.com',
    serverExample: 'https://acme.my.salesforce.com',
    tokenEndpoint: '{server}/services/oauth2/token',
    methods: ['private_key_jwt'],
    algs: ['RS256'],
    assertion: {
      audience: '{server}',
      // A domain of one's own serves the endpoint, and is no audience; that of an Experience Cloud site is.
      audiences: [
        [/\.(?:sandbox|scratch)\.my\.salesforce\.com$/, 'https://test.salesforce.com'],
        [/\.my\.salesforce\.com$/, 'https://login.salesforce.com'],
      ],
      lifetimeMs: 3 * MINUTE_MS,
      mostLifetimeMs: 3 * MINUTE_MS,
      reuse: false,
    },
    grant: 'jwt_bearer',
    subject: 'required',
    // Answers have no expires_in. Sessions end after 2 hours without use unless the org says otherwise; half of that.
    assumeLifetimeMs: HOUR_MS,
    // 3,600 logins an hour and user; each token is one.
    limits: { perHost: perSecond(5), perTenant: perMinute(20) },
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as [PresetName, ...PresetName[]];

/** The row of a name, without the narrow types of the table. */
export const presetOf = (name: PresetName): Preset => PRESETS[name];
