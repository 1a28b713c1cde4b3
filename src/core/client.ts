import type { Rate } from './duration.ts';
import type { TargetPolicy } from './state.ts';

/** Where a secret's text comes from; never the text itself. */
export type SecretSource = { readonly env: string } | { readonly file: string };

/** How a client proves who it is, in configuration; `credentials/` turns it into a closure. */
export interface SecretCredential {
  readonly kind: 'secret';
  readonly source: SecretSource;
  /** RFC 6749 section 2.3.1: in the body (post, the default) or as HTTP Basic. */
  readonly method: 'client_secret_post' | 'client_secret_basic';
}

export type Credential = SecretCredential;

/** One token that is wanted: `params` holds `scope` and everything else that is sent beside it. */
export interface Resource {
  readonly name: string;
  readonly params: Readonly<Record<string, string>>;
  /** The `aud` that a decodable token must have, where the operator says so. */
  readonly expectAudience: string | undefined;
}

/** One application that is registered at an authorization server, with all that is refreshed on its behalf. */
export interface Client {
  readonly name: string;
  readonly clientId: string;
  /** `authority`: Entra's v2 form, `{authority}/{tenant}/oauth2/v2.0/token`. `tokenEndpoint`: a URL, with or without `{tenant}`. */
  readonly endpoint: { readonly authority: string } | { readonly tokenEndpoint: string };
  /** Tried in order. At least one. */
  readonly credentials: readonly Credential[];
  /** `['-']` where the endpoint has no `{tenant}`. */
  readonly tenants: readonly string[];
  readonly resources: readonly Resource[];
  readonly limits: Limits;
  readonly outageTargetMs: number;
  readonly expectLifetimeMs: number;
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
