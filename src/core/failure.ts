import type { FailureKind, FailureNote } from './state.ts';

/**
 * Who answered, which says how far a failure reaches. `server`: an OAuth body, so the host is alive and the
 * failure concerns this client and tenant. `host`: an HTTP answer without one (a proxy, a load balancer).
 * `nobody`: no whole answer (network, time-out).
 */
export type AnsweredBy = 'server' | 'host' | 'nobody';

/** One request that gave no token. Holds codes and ids only, never text that a server wrote. */
export interface Failure extends FailureNote {
  readonly answeredBy: AnsweredBy;
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** From Retry-After, clamped to [1 s, 1 h]. */
  readonly retryAfterMs: number | undefined;
  /** AADSTS50196: only this identical request is to wait. */
  readonly loopDetected: boolean;
  /** Ids that the server's support can look up. */
  readonly correlationId: string | undefined;
  readonly traceId: string | undefined;
}

export type { FailureKind };

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

interface CodeEntry extends Advice {
  readonly kind: FailureKind;
}

const entry = (kind: FailureKind, owner: Owner, what: string, todo: string): CodeEntry => ({
  kind,
  owner,
  what,
  todo,
});

const NOTHING_TO_DO = 'nothing: evertoken tries again by itself';
const WATCH_SERVER = 'if it lasts, look at the status page of the authorization server';

/** Entra's own numbers, which say more than the OAuth `error` that comes with them. */
// biome-ignore format: a table, one code a row
const AADSTS = new Map<number, CodeEntry>(
  (
    [
      [[7000215], entry('credential', 'operator', 'the client secret is wrong', 'configure the value of a secret, not its id, and see that it belongs to this application')],
      [[7000222], entry('credential', 'operator', 'the client secret has expired', 'create a new secret for the application and configure it')],
      [[700027, 7000214], entry('credential', 'operator', 'the application does not know this certificate', 'upload the certificate to the application, or configure the one that it has')],
      [[7000274], entry('credential', 'operator', 'the certificate is revoked', 'give the application a new certificate and configure it')],
      [[7000277, 1000502], entry('credential', 'operator', 'the certificate is outside its validity', 'give the application a valid certificate and configure it')],
      [[700024], entry('transient', 'operator', 'the signed assertion was outside its validity', 'check the clock of this machine')],
      [[7000218, 700025], entry('configuration', 'operator', 'the application wants another kind of client, or no credential arrived', 'register the application as a confidential client and give it a credential')],
      [[700016, 700011, 7000112, 70001], entry('tenant', "tenant's admin", 'the application is absent from the tenant, or disabled there', 'have the application added to the tenant or enabled, and check the client id')],
      [[90002, 90038, 900382], entry('configuration', 'operator', 'the tenant is unknown to this cloud', 'check the tenant id and the authority')],
      [[5000224], entry('tenant', "tenant's admin", 'the tenant is disabled or deleted', 'remove the tenant if it is gone for good')],
      [[500011, 50001, 650052], entry('tenant', "tenant's admin", 'the resource is absent from the tenant, or not subscribed to', 'have the resource added to the tenant, and check the scope')],
      [[70011, 1002012, 700022, 28002], entry('configuration', 'us', 'the scope is not one resource followed by /.default', 'correct the scope of this resource in the configuration')],
      [[65001, 90094, 650056, 650057], entry('tenant', "tenant's admin", 'consent or a permission is missing', 'have an administrator of the tenant consent to the application')],
      [[53003, 530032], entry('tenant', "tenant's admin", 'a conditional access policy forbids it', 'have the policy changed for this application or for this network')],
      [[70021, 700211, 700213, 7002138], entry('transient', 'operator', 'no federated credential of the application matches the assertion', 'compare issuer, subject and audience; a new one needs some minutes to spread')],
      [[50196], entry('throttled', 'us', 'the server saw the same request too often', 'look for other programs that use this client id; evertoken waits by itself')],
      [[90055], entry('throttled', 'server', 'the server has too many requests', 'lower limits.perHost or limits.perTenant if it goes on; evertoken waits by itself')],
      [[90033, 90024, 90006, 90012, 50033, 90090], entry('transient', 'server', 'the server has a passing failure', NOTHING_TO_DO)],
      [[90036], entry('tenant', 'server', 'the directory failed in a way that trying again does not mend', WATCH_SERVER)],
    ] as const
  ).flatMap(([codes, value]) => codes.map((code): [number, CodeEntry] => [code, value])),
);

const LOOP_DETECTED = 50196;

/** RFC 6749 section 5.2, RFC 8707 section 2, and what servers send beside them. Any other `error` is not shown. */
// biome-ignore format: a table, one code a row
const OAUTH_ERRORS = new Map<string, CodeEntry>([
  ['invalid_request', entry('configuration', 'us', 'the server finds the request malformed', 'check the params of this resource and the token endpoint')],
  ['invalid_client', entry('credential', 'operator', 'the server does not accept the client or its credential', 'check the client id, the credential and its method (post or Basic)')],
  ['invalid_grant', entry('tenant', "tenant's admin", 'the server refuses the grant', 'check what the client is allowed in this tenant')],
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
const PROBLEMS = {
  timeout: entry('transient', 'server', 'no whole answer came in time', WATCH_SERVER),
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
  'token for another audience': entry('configuration', 'us', 'the token is not for expectAudience; it was not published', 'correct expectAudience or the parameters of this resource'),
} as const satisfies Record<string, CodeEntry>;

/** A failure that evertoken found itself; it is also its code. */
export type Problem = keyof typeof PROBLEMS;

/** What is known of a request that gave no token. The strings may come from the server: none is copied. */
export interface Evidence {
  readonly answeredBy: AnsweredBy;
  readonly status?: number | undefined;
  /** Decides alone when it is there. */
  readonly problem?: Problem | undefined;
  /** Node's or TLS's code for what broke, such as `ECONNREFUSED`. Decides alone as well. */
  readonly networkCode?: string | undefined;
  /** RFC 6749 section 5.2 `error`. */
  readonly error?: string | undefined;
  /** Entra's `error_codes`. */
  readonly errorCodes?: readonly number[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly traceId?: string | undefined;
}

/** Decides by codes and status, never by text, what kind of failure it was. Total: it never throws. */
export function classify(evidence: Evidence): Failure {
  return {
    ...classifyNote(evidence),
    answeredBy: evidence.answeredBy,
    status: evidence.status,
    retryAfterMs: evidence.retryAfterMs,
    loopDetected: evidence.errorCodes?.includes(LOOP_DETECTED) ?? false,
    correlationId: evidence.correlationId,
    traceId: evidence.traceId,
  };
}

function classifyNote(evidence: Evidence): FailureNote {
  if (evidence.problem !== undefined)
    return { kind: PROBLEMS[evidence.problem].kind, code: evidence.problem };
  if (evidence.networkCode !== undefined)
    return { kind: 'transient', code: `network ${systemCode(evidence.networkCode)}` };
  const status = evidence.status ?? 0;
  const errorCodes = evidence.errorCodes ?? [];
  const number = errorCodes.find((code) => AADSTS.has(code)) ?? errorCodes.find(isPlausibleNumber);
  const known = number === undefined ? undefined : AADSTS.get(number);
  const named = number === undefined ? `HTTP ${status}` : `AADSTS${number}`;
  // A 429 is about how much was asked, whatever else the body says.
  if (status === 429) return { kind: 'throttled', code: known?.kind === 'throttled' ? named : 'HTTP 429' };
  if (known) return { kind: known.kind, code: named };
  const oauth = evidence.error === undefined ? undefined : OAUTH_ERRORS.get(evidence.error);
  if (oauth?.kind === 'transient')
    return { kind: 'transient', code: number === undefined ? `${evidence.error}` : named };
  if (status === 408 || status >= 500) return { kind: 'transient', code: named };
  // Entra says invalid_client and invalid_request of much else than the credential and the request, so an
  // unknown number must not park a client: it is probed slowly.
  if (number !== undefined) return { kind: 'tenant', code: named };
  if (oauth) return { kind: oauthKind(oauth, evidence.error, status), code: `${evidence.error}` };
  return { kind: status >= 400 ? 'tenant' : 'transient', code: named };
}

/** RFC 6749 section 5.2: 401 means that client authentication failed, which Keycloak calls unauthorized_client. */
function oauthKind(known: CodeEntry, error: string | undefined, status: number): FailureKind {
  return status === 401 && error === 'unauthorized_client' ? 'credential' : known.kind;
}

const isPlausibleNumber = (code: number): boolean => Number.isInteger(code) && code > 0 && code < 100_000_000;

const systemCode = (code: string): string => (/^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : 'failure');

/** Who can mend a failure, what it means and what to do, in plain words; for any code, also of a later version. */
export function advice(note: FailureNote): Advice {
  const { owner, what, todo } =
    knownAdvice(note.code) ?? adviceByStatus(note.code) ?? ADVICE_BY_KIND[note.kind];
  return { owner, what, todo };
}

/** A code as a label of the metrics, of which there must not be many: a server may name any number. */
export function codeLabel(code: string): string {
  return code.startsWith('AADSTS') && knownAdvice(code) === undefined ? 'AADSTS other' : code;
}

function knownAdvice(code: string): Advice | undefined {
  if (code.startsWith('AADSTS')) return AADSTS.get(Number(code.slice('AADSTS'.length)));
  if (code.startsWith('network ')) return networkAdvice(code.slice('network '.length));
  return Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code as Problem] : OAUTH_ERRORS.get(code);
}

function networkAdvice(code: string): Advice {
  if (/CERT|TLS|SSL|SIGNATURE|ISSUER/.test(code)) {
    return {
      owner: 'operator',
      what: "the server's TLS certificate is not trusted",
      todo: 'check the certificate, its CA and the proxies on the way',
    };
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return {
      owner: 'operator',
      what: 'the name of the token endpoint did not resolve',
      todo: 'check the name and the DNS',
    };
  }
  return {
    owner: 'operator',
    what: 'the connection failed',
    todo: 'check the network between here and the token endpoint',
  };
}

function adviceByStatus(code: string): Advice | undefined {
  const status = Number(/^HTTP (\d{3})$/.exec(code)?.[1]);
  if (Number.isNaN(status)) return undefined;
  if (status === 429)
    return {
      owner: 'server',
      what: 'the server has too many requests',
      todo: 'lower limits.perHost or limits.perTenant if it goes on; evertoken waits by itself',
    };
  if (status === 408 || status >= 500)
    return { owner: 'server', what: `the server answered ${status}`, todo: WATCH_SERVER };
  if (status >= 300 && status < 400)
    return {
      owner: 'operator',
      what: `the endpoint redirects (${status}), which a token request never follows`,
      todo: 'configure the address that it redirects to, if that is the token endpoint',
    };
  if (status >= 400)
    return {
      owner: 'operator',
      what: `the server refused the request with ${status}`,
      todo: 'check the token endpoint, the client and its permissions',
    };
  return { owner: 'server', what: `the server answered ${status} without a token`, todo: WATCH_SERVER };
}

const ADVICE_BY_KIND: Readonly<Record<FailureKind, Advice>> = {
  transient: { owner: 'server', what: 'the server has a passing failure', todo: NOTHING_TO_DO },
  throttled: { owner: 'server', what: 'the server has too many requests', todo: NOTHING_TO_DO },
  credential: {
    owner: 'operator',
    what: 'the server does not accept the credential',
    todo: 'check the credential',
  },
  configuration: {
    owner: 'us',
    what: 'the server does not accept the request',
    todo: 'check the configuration of this client',
  },
  tenant: {
    owner: "tenant's admin",
    what: 'the server refuses a token for this tenant',
    todo: 'look the code up at the server; evertoken tries again slowly',
  },
};

/** The bounds of any wait that a server asks for. */
const RETRY_AFTER_MIN_MS = 1000;
const RETRY_AFTER_MAX_MS = 3_600_000;

/**
 * Reads Retry-After (RFC 9110 section 10.2.3): seconds, or an HTTP date against `now` (epoch milliseconds).
 * Gives milliseconds within [1 s, 1 h] whatever number or date is in it; undefined when it is neither.
 */
export function parseRetryAfterMs(value: string, now: number): number | undefined {
  const text = value.trim();
  const waitMs = /^[+-]?\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : parseHttpDate(text) - now;
  return Number.isNaN(waitMs)
    ? undefined
    : Math.min(RETRY_AFTER_MAX_MS, Math.max(RETRY_AFTER_MIN_MS, Math.round(waitMs)));
}

/** The three forms of RFC 9110 section 5.6.7, as epoch milliseconds; NaN for anything else. */
export function parseHttpDate(text: string): number {
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [ \w:-]{10,30}$/.test(text)) return Number.NaN;
  // asctime dates name no zone; Date.parse would take them for local time.
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
}
