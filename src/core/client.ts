import type { Rate } from './duration.ts';
import type { TargetPolicy } from './state.ts';

/**
 * Where the text of a secret, a key or a certificate comes from; never the text itself. `keyVault`: the URL of a secret
 * or a certificate in Azure Key Vault.
 */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  | { readonly keyVault: string };

/** A shared secret (RFC 6749 section 2.3.1; `client_secret_jwt`: RFC 7523 section 2.2 with HS256). */
export interface SecretCredential {
  readonly kind: 'secret';
  readonly source: SecretSource;
  readonly method: 'client_secret_post' | 'client_secret_basic' | 'client_secret_jwt';
  /** When the server will stop to accept it, epoch ms, where the operator says so; for warnings only. */
  readonly endsAt: number | undefined;
  /** For `client_secret_jwt`. */
  readonly assertion: AssertionOptions;
}

/** A private key, with its certificate or without. */
export interface KeyCredential {
  /** `certificate`: it is named in assertions by `x5t#S256`. `privateKey`: by `kid` alone. */
  readonly kind: 'certificate' | 'privateKey';
  /** PEM with certificates and key in any order, or PFX; for `privateKey` a PEM key or a Google service account file. */
  readonly source: SecretSource;
  /** Where the key is, when it is in another place than the certificate. */
  readonly keySource: SecretSource | undefined;
  readonly passphrase: SecretSource | undefined;
  /** RFC 7523 section 2.2, or mutual TLS, RFC 8705 (also for certificates that are registered themselves). */
  readonly method: 'private_key_jwt' | 'tls_client_auth';
  readonly assertion: AssertionOptions;
}

/** A JWT of another issuer as the client assertion (RFC 7521 section 4.2; Entra's workload identity federation). */
export interface FederatedCredential {
  readonly kind: 'federated';
  readonly source: { readonly file: string } | { readonly managedIdentity: ManagedIdentity };
}

/** An identity that Azure gives to the machine, whose token for `audience` is the assertion. */
export interface ManagedIdentity {
  /** Of a user-assigned identity; undefined: the system-assigned one. */
  readonly clientId: string | undefined;
  /** Default `api://AzureADTokenExchange`. */
  readonly audience: string;
}

/** How a client proves who it is, in configuration; `credentials/` turns it into a closure. */
export type Credential = SecretCredential | KeyCredential | FederatedCredential;

/** What a signed assertion says (RFC 7523 section 3). */
export interface AssertionOptions {
  /** Undefined: PS256 for RSA keys, ES256 for P-256, HS256 for secrets. */
  readonly alg: 'PS256' | 'RS256' | 'ES256' | undefined;
  /** Header `kid`: under which name the server knows the key. */
  readonly kid: string | undefined;
  /** Header `x5c`: the chain, for servers that trust subject name and issuer. */
  readonly x5c: boolean;
  /** Undefined: the token endpoint. */
  readonly audience: string | undefined;
  readonly lifetimeMs: number;
  /** Whether one assertion may be sent more than once while it is valid; servers that remember `jti` refuse that. */
  readonly reuse: boolean;
  /** Further claims to be signed. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** `merge`: beside the standard ones, which win nothing over them; `replace`: only `aud`, `iss`, `sub`, `exp` and these. */
  readonly claimsMode: 'merge' | 'replace';
}

/** How tokens are asked for. */
export type Grant =
  | { readonly kind: 'client_credentials' }
  | {
      /** RFC 7523 section 2.1: the assertion is the grant, as at Google and Salesforce. */
      readonly kind: 'jwt_bearer';
      /** `sub` of the assertion. Undefined: as `iss`, or without one where the server wants none. */
      readonly subject: string | undefined;
      /** Whether `scope` is signed into the assertion (Google) instead of being sent beside it. */
      readonly scopeInAssertion: boolean;
    };

/** One token that is wanted: `params` holds `scope` and everything else that is sent beside it. */
export interface Resource {
  readonly name: string;
  readonly params: Readonly<Record<string, string>>;
  /** The `claims` parameter as JSON (OpenID Connect Core section 5.5), client capabilities included. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** The `aud` that a decodable token must have, where the operator says so. */
  readonly expectAudience: string | undefined;
}

/** One application that is registered at an authorization server, with all that is refreshed on its behalf. */
export interface Client {
  readonly name: string;
  readonly clientId: string;
  /** `authority`: Entra's v2 form, `{authority}/{tenant}/oauth2/v2.0/token`. `tokenEndpoint`: a URL, with or without `{tenant}`. */
  readonly endpoint: { readonly authority: string } | { readonly tokenEndpoint: string };
  readonly grant: Grant;
  /** Tried in order. At least one. */
  readonly credentials: readonly Credential[];
  /** PEM text of the authorities that are trusted beside the usual ones at this token endpoint. */
  readonly ca: string | undefined;
  /** `['-']` where the endpoint has no `{tenant}`. */
  readonly tenants: readonly string[];
  readonly resources: readonly Resource[];
  readonly limits: Limits;
  readonly outageTargetMs: number;
  /** A token is refreshed before this share of its life, 0.5 to 0.95; default 0.75. */
  readonly latestShare: number;
  /** A target whose token nobody has read for so long is left alone until somebody asks; undefined: none is. */
  readonly retireUnreadAfterMs?: number | undefined;
  readonly expectLifetimeMs: number;
  /** The life of a token whose answer has no `expires_in`; undefined: such an answer is an error. */
  readonly assumeLifetimeMs: number | undefined;
}

export interface Limits {
  /** Requests to one host by the whole fleet. Default 50/s. */
  readonly perHost: Rate;
  /** Requests of one client for one tenant by the whole fleet. Default 5/s. */
  readonly perTenant: Rate;
  /** Identical requests by the whole fleet, in a sliding window. Default 5/5m. */
  readonly identical: Rate;
}

/** A target with everything that its request needs. */
export interface Target extends TargetPolicy {
  readonly client: Client;
  readonly tenant: string;
  readonly resource: Resource;
  /** The token endpoint, `{tenant}` filled in and percent-encoded. */
  readonly tokenUrl: string;
}

/** Tells one client from another but for their tenants, whose list may change all the time and says nothing of the rest. */
export const withoutTenants = (client: Client): string => JSON.stringify({ ...client, tenants: [] });
