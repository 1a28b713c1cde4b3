import {
  AADSTS,
  type Advice,
  NOTHING_TO_DO,
  OAUTH_ERRORS,
  PROBLEMS,
  type Problem,
  refusesClientCertificate,
  WATCH_SERVER,
} from './codes.ts';
import type { FailureKind, FailureNote } from './state.ts';

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
  if (refusesClientCertificate(code)) {
    return {
      owner: 'operator',
      what: 'the server does not accept the TLS certificate of this client',
      todo: 'register the certificate, its subject or its CA for the client, or use a credential with tls_client_auth',
    };
  }
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
