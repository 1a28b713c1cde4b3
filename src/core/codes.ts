import type { FailureKind } from './state.ts';

/**
 * Who can mend a failure. `us`: whoever writes evertoken's configuration. `operator`: whoever looks after the
 * application's registration, its credentials and the network. `tenant's admin`: an administrator of the tenant
 * that the token is for. `server`: whoever runs the authorization server.
 */
export type Owner = 'us' | 'operator' | "tenant's admin" | 'server';

/** What `explain` and the log say about a failure, in evertoken's own words. */
export interface Advice {
  readonly owner: Owner;
  readonly what: string;
  readonly todo: string;
}

export interface CodeEntry extends Advice {
  readonly kind: FailureKind;
}

const entry = (kind: FailureKind, owner: Owner, what: string, todo: string): CodeEntry => ({
  kind,
  owner,
  what,
  todo,
});

export const NOTHING_TO_DO = 'nothing: evertoken tries again by itself';
export const WATCH_SERVER = 'if it lasts, look at the status page of the authorization server';

/** Entra's own numbers, which say more than the OAuth `error` that comes with them. */
// biome-ignore format: a table, one code a row
export const AADSTS = new Map<number, CodeEntry>(
  (
    [
      [[7000215], entry('credential', 'operator', 'the client secret is wrong', 'configure the value of a secret, not its id, and see that it belongs to this application')],
      [[7000222], entry('credential', 'operator', 'the client secret has expired', 'create a new secret for the application and configure it')],
      [[700027, 7000214], entry('credential', 'operator', 'the application does not know this certificate', 'upload the certificate to the application, or configure the one that it has')],
      [[7000274], entry('credential', 'operator', 'the certificate is revoked', 'give the application a new certificate and configure it')],
      [[7000277, 1000502], entry('credential', 'operator', 'the certificate is outside its validity', 'give the application a valid certificate and configure it')],
      [[700024], entry('transient', 'operator', 'the signed assertion was outside its validity', 'check the clock of this machine')],
      [[50027, 700021, 700023], entry('credential', 'operator', 'the signed assertion is not one for this client and endpoint', 'check the audience, alg and claims of the credential, and the client id')],
      [[7000218, 700025], entry('configuration', 'operator', 'the application wants another kind of client, or no credential arrived', 'register the application as a confidential client and give it a credential')],
      [[700016, 700011, 7000112, 70001], entry('tenant', "tenant's admin", 'the application is absent from the tenant, or disabled there', 'have the application added to the tenant or enabled, and check the client id')],
      [[90002, 90038, 900382], entry('configuration', 'operator', 'the tenant is unknown to this cloud', 'check the tenant id and the authority')],
      [[5000224], entry('tenant', "tenant's admin", 'the tenant is disabled or deleted', 'remove the tenant if it is gone for good')],
      [[500011, 50001, 650052], entry('tenant', "tenant's admin", 'the resource is absent from the tenant, or not subscribed to', 'have the resource added to the tenant, and check the scope')],
      [[70011, 1002012, 700022, 28002], entry('configuration', 'us', 'the scope is not one resource followed by /.default', 'correct the scope of this resource in the configuration')],
      [[65001, 90094, 650056, 650057], entry('tenant', "tenant's admin", 'consent or a permission is missing', 'have an administrator of the tenant consent to the application')],
      [[53003, 530032], entry('tenant', "tenant's admin", 'a conditional access policy forbids it', 'have the policy changed for this application or for this network')],
      [[70021, 700211, 700212, 700213, 7002138], entry('credential', 'operator', 'no federated credential of the application matches the assertion', 'compare issuer, subject and audience; a new one needs some minutes to spread')],
      [[50196], entry('throttled', 'us', 'the server saw the same request too often', 'look for other programs that use this client id; evertoken waits by itself')],
      [[90055], entry('throttled', 'server', 'the server has too many requests', 'lower limits.perHost or limits.perTenant if it goes on; evertoken waits by itself')],
      [[90033, 90024, 90006, 90012, 50033, 90090], entry('transient', 'server', 'the server has a passing failure', NOTHING_TO_DO)],
      [[90036], entry('tenant', 'server', 'the directory failed in a way that trying again does not mend', WATCH_SERVER)],
    ] as const
  ).flatMap(([codes, value]) => codes.map((code): [number, CodeEntry] => [code, value])),
);

export const LOOP_DETECTED = 50196;

/** RFC 6749 section 5.2, RFC 8707 section 2, and what servers send beside them. Any other `error` is not shown. */
// biome-ignore format: a table, one code a row
export const OAUTH_ERRORS = new Map<string, CodeEntry>([
  ['invalid_request', entry('configuration', 'us', 'the server finds the request malformed', 'check the params of this resource and the token endpoint')],
  ['invalid_client', entry('credential', 'operator', 'the server does not accept the client or its credential', 'check the client id, the credential and its method (post or Basic)')],
  ['invalid_grant', entry('tenant', "tenant's admin", 'the server refuses the grant', 'check what the client is allowed in this tenant; where an assertion is the grant, also its key, its subject and the clock')],
  ['unauthorized_client', entry('tenant', 'operator', 'the client may not use client credentials', 'allow this grant for the client; some servers say the same of a wrong secret')],
  ['unsupported_grant_type', entry('configuration', 'us', 'the endpoint does not know client credentials', 'check the token endpoint')],
  ['invalid_scope', entry('configuration', 'us', 'the server does not know the scope, or the client may not have it', 'check the scope of this resource')],
  ['invalid_target', entry('configuration', 'us', 'the server does not know the resource', 'check the resource parameter')],
  ['invalid_resource', entry('tenant', "tenant's admin", 'the resource is absent from the tenant', 'have the resource added to the tenant, and check the scope')],
  ['access_denied', entry('tenant', "tenant's admin", 'access is denied', 'check what the client is allowed in this tenant')],
  ['interaction_required', entry('tenant', "tenant's admin", 'a policy wants a person to sign in, which a daemon cannot', 'have the policy changed for this application')],
  ['login_required', entry('tenant', "tenant's admin", 'a policy wants a person to sign in, which a daemon cannot', 'have the policy changed for this application')],
  ['consent_required', entry('tenant', "tenant's admin", 'consent is missing', 'have an administrator of the tenant consent to the application')],
  ['temporarily_unavailable', entry('transient', 'server', 'the server is unavailable for the moment', NOTHING_TO_DO)],
  ['server_error', entry('transient', 'server', 'the server has failed', NOTHING_TO_DO)],
]);

/** What evertoken itself finds wrong. `token_type` is the server's settings, so trying soon again is in vain. */
// biome-ignore format: a table, one code a row
export const PROBLEMS = {
  timeout: entry('transient', 'server', 'no whole answer came in time', WATCH_SERVER),
  'proxy unreachable': entry('transient', 'operator', 'no connection to the proxy came about', 'check the proxy variables (HTTPS_PROXY, NO_PROXY) and that the proxy is up'),
  'proxy refused': entry('transient', 'operator', 'the proxy did not open a way to the token endpoint', 'have the proxy allow CONNECT to the token endpoint, or name its host in NO_PROXY'),
  'proxy authentication required': entry('transient', 'operator', 'the proxy wants a user and a password, or others than these', 'put them into the URL of the proxy variable (HTTPS_PROXY)'),
  'proxy address unusable': entry('transient', 'operator', 'the proxy variable holds no URL of an HTTP proxy', 'set HTTPS_PROXY to http://host:port or https://host:port'),
  'TLS settings unusable': entry('configuration', 'operator', 'the ca or the client certificate cannot be used for TLS', 'check that both are PEM, and that key and certificate belong together'),
  'connect timeout': entry('transient', 'server', 'no connection came about in time', 'check the network and the firewall between here and the token endpoint'),
  aborted: entry('transient', 'us', 'evertoken gave the request up, as when it is stopped', NOTHING_TO_DO),
  'response too large': entry('transient', 'server', 'the answer was far larger than a token', 'check that the token endpoint is one'),
  'response not HTTP': entry('transient', 'operator', 'what listens there does not speak HTTP', 'check the address and the port of the token endpoint'),
  'response empty': entry('transient', 'server', 'the server said 200 with nothing in it', WATCH_SERVER),
  'response content type not JSON': entry('transient', 'server', 'the answer was not declared as JSON; a proxy or a sign-in page may stand between', 'check the token endpoint and the proxies on the way'),
  'response not JSON': entry('transient', 'server', 'the answer was not a JSON object; a proxy or a sign-in page may stand between', 'check the token endpoint and the proxies on the way'),
  'response without access_token': entry('transient', 'server', 'the answer held no access token', WATCH_SERVER),
  'response access_token unusable': entry('transient', 'server', 'the access token has characters that no header can carry', WATCH_SERVER),
  'response token_type not Bearer': entry('tenant', 'operator', 'the server issues another type of token', 'set the client to Bearer tokens at the server'),
  'response without expires_in': entry('transient', 'server', 'the server did not say how long the token lives', 'have the server send expires_in'),
  'response expires_in unusable': entry('transient', 'server', 'the lifetime of the token is not a positive number', 'have the server send expires_in in seconds'),
  'token of another tenant': entry('transient', 'server', 'the server gave a token of another tenant; it was not published', 'report it to whoever runs the authorization server, or look for a proxy that mixes answers up'),
  'token of another client': entry('transient', 'server', 'the server gave a token of another client; it was not published', 'report it to whoever runs the authorization server, or look for a proxy that mixes answers up'),
  'token already expired': entry('transient', 'server', 'the server gave a token that had ended already; it was not published', 'compare the clocks of the server and of this machine, and look for a cache on the way'),
  'token dead on arrival': entry('transient', 'server', 'the token ended before it could be published', WATCH_SERVER),
  'credential unreadable': entry('credential', 'operator', 'the credential cannot be read', 'see that the variable, file or vault is there and that the daemon may read it'),
  'credential empty': entry('credential', 'operator', 'there is nothing in the credential', 'put the secret, key or certificate there'),
  'certificate missing': entry('credential', 'operator', 'there is no certificate in it', 'put the certificate there as PEM or PFX, or use privateKey'),
  'private key missing': entry('credential', 'operator', 'there is no private key in it', 'put the key there, or say with key where it is'),
  'private key unusable': entry('credential', 'operator', 'the private key cannot be read or is of a kind that cannot sign this', 'use an RSA key of 2048 bits or more, or a P-256 key'),
  'key of another certificate': entry('credential', 'operator', 'the private key does not belong to the certificate', 'put the two that belong together there'),
  'certificate expired': entry('credential', 'operator', 'the certificate has ended', 'give the application a new certificate and configure it'),
  'certificate not yet valid': entry('credential', 'operator', 'the certificate is not valid yet', 'check the clock of this machine, or wait'),
  'passphrase wrong': entry('credential', 'operator', 'the passphrase does not open the key', 'configure the passphrase of this file'),
  'passphrase missing': entry('credential', 'operator', 'the key is encrypted', 'say with passphrase where its passphrase is'),
  'credential not ready in time': entry('transient', 'operator', 'what gives the credential did not answer in time; nothing was sent', 'look at the managed identity or the vault that it comes from'),
  'assertion not a JWT': entry('credential', 'operator', 'what is in the file of the federated token is no JWT', 'check which file the platform projects the token into'),
  'assertion expired': entry('credential', 'operator', 'the federated token has ended', 'see that the platform renews its file'),
  'managed identity unavailable': entry('transient', 'operator', 'the managed identity gave no token', 'see that the machine has the identity and that @azure/identity is installed'),
  'key vault unavailable': entry('transient', 'operator', 'Azure Key Vault did not give the credential', "see the vault's network and permissions, and that @azure/identity and @azure/keyvault-secrets are installed"),
  'token for another audience': entry('configuration', 'us', 'the token is not for expectAudience; it was not published', 'correct expectAudience or the parameters of this resource'),
} as const satisfies Record<string, CodeEntry>;

/** A failure that evertoken found itself; it is also its code. */
export type Problem = keyof typeof PROBLEMS;

/**
 * Whether Node's code for a broken connection is the server's word (an alert, RFC 8446 section 6.2) about the certificate
 * that this client showed, or did not show.
 */
export function refusesClientCertificate(networkCode: string): boolean {
  return /_ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(
    networkCode,
  );
}
