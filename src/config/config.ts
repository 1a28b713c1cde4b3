import type { Client } from '../core/client.ts';
import type { Secret } from '../core/secret.ts';
import type { Reading } from './files.ts';

/** Where something listens. An IPv6 host stands without brackets. Port 0: any free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RedisOptions {
  /** `redis://` or `rediss://`. A secret, because one from `REDIS_URL` may hold a password. */
  readonly url: Secret;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** TLS is used when this is there, or with `rediss://`. `ca`: PEM text of the authorities to trust. */
  readonly tls?: { readonly ca?: string | undefined } | undefined;
}

export interface HttpOptions {
  /** Always on loopback. */
  readonly listen: Address;
  /** Serves health and metrics only. */
  readonly probes?: Address | undefined;
}

/** The configuration as the daemon uses it: checked, defaults filled in, every path absolute. */
export interface Config {
  /** Absolute. */
  readonly file: string;
  /** Every file that it consists of, itself first, absolute: lists of tenants and authorities to trust, no secrets. */
  readonly files: readonly string[];
  /** What those files were when they were read. Undefined where it does not come from files. */
  readonly reading?: Reading | undefined;
  readonly redis: RedisOptions;
  readonly namespace: string;
  readonly http: HttpOptions;
  readonly clients: readonly Client[];
}
