import { X509Certificate } from 'node:crypto';
import type { Client, Grant, Limits } from '../core/client.ts';
import type { Environment } from '../credentials/source.ts';
import type { Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import type { ConfigFiles } from './files.ts';
import type { Preset } from './presets.ts';
import { resolveCredential } from './resolve-credentials.ts';
import { resolveService } from './resolve-endpoint.ts';
import { resolveResources } from './resolve-resources.ts';
import type { Sections } from './schema.ts';
import type { ClientInput } from './schema-client.ts';
import { resolveTenants } from './tenants.ts';
import { applyWorkloadIdentity } from './workload-identity.ts';

/** What a client takes from around it. */
export interface Surroundings {
  readonly files: ConfigFiles;
  readonly env: Environment;
  readonly sections: Pick<Sections, 'refresh' | 'limits'>;
  /** Which of their keys the file says, since what it says counts more than a preset. */
  readonly stated: ReadonlySet<string>;
}

const DEFAULT_LIFETIME_MS = 3_600_000;

/** Checks what the schema cannot, most of it about more than one key of a client, and fills in what it leaves unsaid. */
export function resolveClient(
  name: string,
  written: ClientInput,
  around: Surroundings,
  report: Report,
): Client | undefined {
  const path: Path = ['clients', name];
  const input = applyWorkloadIdentity(written, path, around.env, report);
  if (input.clientId === undefined && input === written) report({ path, message: 'clientId is missing' });
  const service = resolveService(input, path, report);
  if (!service) return undefined;
  const { endpoint, preset } = service;
  const absolute = (file: string): string => around.files.absolute(file);
  const assumeLifetimeMs = input.assumeLifetime ?? preset?.assumeLifetimeMs;
  return {
    name,
    clientId: input.clientId ?? '',
    endpoint,
    grant: resolveGrant(input.subject, preset, path, report),
    credentials: input.credentials.map((credential, index) =>
      resolveCredential(credential, { service, absolute, report, path: [...path, 'credentials', index] }),
    ),
    ca: input.ca && readAuthorities(input.ca.file, around.files, [...path, 'ca', 'file'], report),
    tenants: resolveTenants(input.tenants, endpoint, [...path, 'tenants'], around.files, report),
    resources: resolveResources(input, service, path, report),
    ...resolvePolicy(input, preset, around),
    expectLifetimeMs:
      input.expectLifetime ?? preset?.expectLifetimeMs ?? assumeLifetimeMs ?? DEFAULT_LIFETIME_MS,
    assumeLifetimeMs,
  };
}

function resolveGrant(
  subject: string | undefined,
  preset: Preset | undefined,
  path: Path,
  report: Report,
): Grant {
  if (preset?.grant !== 'jwt_bearer') {
    if (subject !== undefined)
      report({
        path: [...path, 'subject'],
        at: 'key',
        message: 'subject is for the JWT-bearer grant, with the presets google and salesforce',
      });
    return { kind: 'client_credentials' };
  }
  if (subject === undefined && preset.subject === 'required')
    report({
      path,
      message: `subject is missing: ${preset.title} issues tokens for a user; give its user name`,
    });
  return { kind: 'jwt_bearer', subject, scopeInAssertion: preset.scopeInAssertion ?? false };
}

/** What the client says, else what the top level says, else what the preset knows, else the default. */
function resolvePolicy(
  { refresh, limits }: ClientInput,
  preset: Preset | undefined,
  { sections, stated }: Surroundings,
): Pick<Client, 'limits' | 'outageTargetMs' | 'latestShare' | 'retireUnreadAfterMs'> {
  const choose = <Value>(
    key: keyof Sections['refresh'] | keyof Limits,
    own: Value | undefined,
    top: Value,
    known: Value | undefined,
  ): Value => own ?? (stated.has(key) ? top : (known ?? top));
  const limit = (key: keyof Limits) => choose(key, limits?.[key], sections.limits[key], preset?.limits[key]);
  const { outageTarget, latest, retireUnreadAfter } = sections.refresh;
  return {
    limits: { perHost: limit('perHost'), perTenant: limit('perTenant'), identical: limit('identical') },
    outageTargetMs: choose('outageTarget', refresh?.outageTarget, outageTarget, preset?.outageTargetMs),
    latestShare: choose('latest', refresh?.latest, latest, preset?.latestShare),
    retireUnreadAfterMs: (refresh?.retireUnreadAfter ?? retireUnreadAfter) || undefined,
  };
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function readAuthorities(file: string, files: ConfigFiles, path: Path, report: Report): string | undefined {
  const read = files.read(file);
  if ('problem' in read) {
    report({ path, message: `the file named here ${read.problem}` });
    return undefined;
  }
  const certificates = read.text.match(PEM) ?? [];
  if (certificates.length > 0 && certificates.every(isCertificate)) return read.text;
  report({ path, message: 'expected certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE' });
  return undefined;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256 !== '';
  } catch {
    return false;
  }
}
