import type { AssertionOptions, Credential, SecretSource } from '../core/client.ts';
import { formatDuration } from '../core/duration.ts';
import type { Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import type { Method } from './presets.ts';
import type { Service } from './resolve-endpoint.ts';
import type { CredentialInput } from './schema-credentials.ts';

/** What a credential takes from its client. */
interface Context {
  readonly service: Service;
  /** Makes a path absolute. */
  readonly absolute: (path: string) => string;
  readonly path: Path;
  readonly report: Report;
}

type SourceInput = { readonly [key in 'env' | 'file' | 'keyVault']?: string | undefined };
type KeyInput = NonNullable<CredentialInput['certificate']>;
type AssertionInput = Pick<KeyInput, (typeof ASSERTION_KEYS)[number]>;

const ASSERTION_KEYS = ['alg', 'kid', 'x5c', 'audience', 'lifetime', 'claims', 'claimsMode'] as const;
const DEFAULT_LIFETIME_MS = 600_000;

/** A source with its path made absolute. The schema has seen to it that one is there. */
export function resolveSource(
  { env, file, keyVault }: SourceInput,
  absolute: (path: string) => string,
): SecretSource {
  if (env !== undefined) return { env };
  return keyVault === undefined ? { file: absolute(file ?? '') } : { keyVault };
}

/** Checks what a credential may be at its server, and fills in what the preset knows. */
export function resolveCredential(input: CredentialInput, context: Context): Credential {
  const { secret, certificate, privateKey, federated } = input;
  if (secret) return resolveSecret(secret, context);
  if (certificate) return resolveKey('certificate', certificate, context);
  if (privateKey) return resolveKey('privateKey', { ...privateKey, method: 'private_key_jwt' }, context);
  return resolveFederated(federated ?? {}, context);
}

function resolveSecret(input: NonNullable<CredentialInput['secret']>, context: Context): Credential {
  const { service, absolute, path } = context;
  const preferred = service.preset?.methods.find(isSecretMethod) ?? 'client_secret_post';
  const method = input.method ?? preferred;
  checkMethod(method, [...path, 'secret', ...(input.method === undefined ? [] : ['method'])], context);
  const assertion = { ...resolveAssertion({}, 'secret', context), alg: undefined };
  return { kind: 'secret', source: resolveSource(input, absolute), method, endsAt: input.expires, assertion };
}

function resolveKey(kind: 'certificate' | 'privateKey', input: KeyInput, context: Context): Credential {
  const { service, absolute, report } = context;
  const path = [...context.path, kind];
  checkMethod(input.method, [...path, ...(kind === 'certificate' ? ['method'] : [])], context);
  if (input.method === 'tls_client_auth') checkMutualTls(input, service, path, report);
  return {
    kind,
    source: resolveSource(input, absolute),
    keySource: input.key && resolveSource(input.key, absolute),
    passphrase: input.passphrase && resolveSource(input.passphrase, absolute),
    method: input.method,
    assertion: resolveAssertion(input, kind, context),
  };
}

function resolveFederated(input: NonNullable<CredentialInput['federated']>, context: Context): Credential {
  checkMethod('federated', [...context.path, 'federated'], context);
  const { file, managedIdentity } = input;
  const source = managedIdentity
    ? { managedIdentity: { clientId: managedIdentity.clientId, audience: managedIdentity.audience } }
    : { file: context.absolute(file ?? '') };
  return { kind: 'federated', source };
}

const isSecretMethod = (method: Method): method is Extract<Method, `client_secret_${string}`> =>
  method.startsWith('client_secret_');

const WORDS: Readonly<Record<Method, string>> = {
  client_secret_post: 'secret with client_secret_post',
  client_secret_basic: 'secret with client_secret_basic',
  client_secret_jwt: 'secret with client_secret_jwt',
  private_key_jwt: 'certificate or privateKey',
  tls_client_auth: 'certificate with tls_client_auth',
  federated: 'federated',
};

function checkMethod(method: Method, path: Path, { service: { preset }, report }: Context): void {
  if (!preset || preset.methods.includes(method)) return;
  const expected = preset.methods.map((each) => WORDS[each]).join(', ');
  report({ path, message: `${preset.title} takes ${expected}, but not ${WORDS[method]}` });
}

function checkMutualTls(input: KeyInput, { endpoint }: Service, path: Path, report: Report): void {
  if ('tokenEndpoint' in endpoint && endpoint.tokenEndpoint.startsWith('http:')) {
    report({
      path: [...path, 'method'],
      message:
        'tls_client_auth shows the certificate in the TLS handshake, and this token endpoint is plain http',
    });
  }
  for (const key of ASSERTION_KEYS) {
    if (input[key] !== undefined)
      report({
        path: [...path, key],
        at: 'key',
        message: `tls_client_auth signs no assertion: leave ${key} out, or use private_key_jwt`,
      });
  }
}

function resolveAssertion(
  input: AssertionInput,
  kind: 'secret' | 'certificate' | 'privateKey',
  { service, path, report }: Context,
): AssertionOptions {
  const place = [...path, kind];
  const { preset } = service;
  const { alg = preset?.algs?.[0], claims = {}, claimsMode = 'merge' } = input;
  if (alg && preset?.algs?.includes(alg) === false)
    report({
      path: [...place, 'alg'],
      message: `${preset.title} takes ${preset.algs.join(' or ')}, not ${alg}`,
    });
  const lifetimeMs = input.lifetime ?? preset?.assertion.lifetimeMs ?? DEFAULT_LIFETIME_MS;
  if (preset && lifetimeMs > preset.assertion.mostLifetimeMs)
    report({
      path: [...place, 'lifetime'],
      message: `${preset.title} takes assertions of at most ${formatDuration(preset.assertion.mostLifetimeMs)}`,
    });
  checkClaims(claims, claimsMode, [...place, 'claims'], report);
  return {
    alg,
    kid: input.kid,
    x5c: input.x5c ?? false,
    audience: input.audience ?? knownAudience(service),
    lifetimeMs,
    reuse: preset?.assertion.reuse ?? false,
    claims,
    claimsMode,
  };
}

/** Undefined: the token endpoint. */
function knownAudience({ preset, complete }: Service): string | undefined {
  if (preset?.assertion.audience === undefined) return undefined;
  const address = complete(preset.assertion.audience);
  return preset.assertion.audiences?.find(([form]) => form.test(address))?.[1] ?? address;
}

const OWN_CLAIMS = {
  aud: 'it comes from audience',
  iss: 'it is the clientId',
  sub: 'it is the clientId, or the subject',
  exp: 'it comes from lifetime',
};
const OWN_CLAIMS_OF_MERGE = { jti: 'it is random', nbf: 'it is the time', iat: 'it is the time' };

function checkClaims(
  claims: AssertionOptions['claims'],
  mode: AssertionOptions['claimsMode'],
  path: Path,
  report: Report,
): void {
  const own = mode === 'merge' ? { ...OWN_CLAIMS, ...OWN_CLAIMS_OF_MERGE } : OWN_CLAIMS;
  for (const [claim, reason] of Object.entries(own)) {
    if (Object.hasOwn(claims, claim))
      report({
        path: [...path, claim],
        at: 'key',
        message: `the assertion has this claim already: ${reason}`,
      });
  }
}
