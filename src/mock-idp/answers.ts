import { NO_TENANT } from '../core/target.ts';
import { type Asserted, type Proof, proveByAssertion } from './assertion.ts';
import { type Clients, digestName, type MockClient, type Registration } from './clients.ts';
import {
  type Flavour,
  invalidClient,
  invalidRequest,
  type Refused,
  refused,
  UNKNOWN_CLIENT,
} from './refusal.ts';
import type { SeenAssertions } from './seen-assertions.ts';

/** One token request as it arrived. `tenant` is `-` on the route without one. */
export interface Asked {
  readonly tenant: string;
  /** Entra's v2 route, which wants a scope that ends in `/.default`. */
  readonly isEntra: boolean;
  /** The path of the token endpoint as it was asked, with a query if there was one. */
  readonly path: string;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: URLSearchParams;
}

/** What a well-formed request asks for. `audience`: what the token will be good for. */
export interface Granted {
  readonly tenant: string;
  readonly clientId: string;
  readonly scope: string;
  readonly audience: string;
}

/** Who may have tokens, and what assertions are measured by. */
export interface Verifier {
  readonly clients: Clients;
  readonly flavour: Flavour;
  /** What was sent to, `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Epoch ms of the server's clock. */
  readonly now: number;
  readonly seen: SeenAssertions;
}

/** `credential`: the name of what the client used, where it used one; never a secret. */
export interface Verdict {
  readonly credential?: string | undefined;
  readonly result: Granted | Refused;
}

/**
 * RFC 6749 sections 2.3.1 and 4.4.2, checked in Entra's order: form, grant, client, credential, scope. Only an
 * assertion makes it wait for the verdict.
 */
export function verify(asked: Asked, verifier: Verifier): Verdict | Promise<Verdict> {
  const { body } = asked;
  if (!/^application\/x-www-form-urlencoded(?:;|$)/i.test(asked.contentType ?? ''))
    return { result: invalidRequest('The request body must be form-encoded.', 'not-a-form') };
  if (new Set(body.keys()).size !== body.size)
    return { result: invalidRequest('A parameter is included more than once.', 'duplicate-parameter') };
  if (body.get('grant_type') !== 'client_credentials')
    return {
      result: refused(400, 'unsupported_grant_type', 70003, 'The app requested an unsupported grant type.'),
    };
  const claimed = claimedBy(asked);
  if ('error' in claimed) return { result: claimed };
  const registration = verifier.clients.get(claimed.clientId);
  if (!registration || registration.tenantsWithout.has(asked.tenant)) return { result: UNKNOWN_CLIENT };
  const proof =
    claimed.assertion === null
      ? proveBySecret(claimed.secret, registration)
      : proveByAssertion(asserted(asked, claimed.clientId, claimed.assertion, registration, verifier));
  const conclude = ({ credential, refused: why }: Proof): Verdict => ({
    credential,
    result: why ?? grant(asked, claimed.clientId),
  });
  return proof instanceof Promise ? proof.then(conclude) : conclude(proof);
}

/** Who a request says it is from, with one way of authentication or with none. */
interface Claimed {
  readonly clientId: string;
  readonly secret: string | null;
  readonly assertion: string | null;
}

function claimedBy({ authorization, body }: Asked): Claimed | Refused {
  const basic = authorization === undefined ? undefined : readBasic(authorization);
  if (basic === 'malformed') return invalidRequest('The Authorization header is malformed.');
  const secret = basic?.secret ?? body.get('client_secret');
  const assertion = body.get('client_assertion');
  const isDouble = basic !== undefined && body.has('client_secret');
  if (isDouble || (assertion !== null && secret !== null))
    return invalidRequest('The client used more than one way to authenticate.', 'two-authentications');
  const clientId = basic?.clientId ?? body.get('client_id');
  if (!clientId) return invalidRequest('The parameter client_id is missing.');
  if (basic && (body.get('client_id') ?? clientId) !== clientId)
    return invalidRequest('The two client ids differ.');
  return { clientId, secret, assertion };
}

function proveBySecret(secret: string | null, { secrets }: Registration): Proof {
  if (!secret) {
    return {
      credential: undefined,
      refused: invalidClient(7000218, 'The request must contain a client secret or a client assertion.'),
    };
  }
  const known = secrets.get(secret);
  if (known === undefined)
    return {
      credential: digestName(secret),
      refused: invalidClient(7000215, 'Invalid client secret provided.'),
    };
  const expired = known.expired
    ? invalidClient(7000222, 'The provided client secret keys are expired.')
    : undefined;
  return { credential: known.name, refused: expired };
}

function asserted(
  { path, tenant, body }: Asked,
  clientId: string,
  assertion: string,
  registration: Registration,
  { url, now, flavour, seen }: Verifier,
): Asserted {
  return {
    assertion,
    assertionType: body.get('client_assertion_type'),
    clientId,
    registration,
    audiences: [`${url}${path.replace(/\?.*/, '')}`, issuerOf(url, tenant)],
    now,
    seen: flavour === 'oauth' ? seen : undefined,
  };
}

/** Whose tokens they are: `iss`. */
export const issuerOf = (url: string, tenant: string): string =>
  tenant === NO_TENANT ? url : `${url}/${tenant}/v2.0`;

/** Who asks, whether or not that is proved; empty when it is not said. */
export function clientIdOf({ authorization, body }: Asked): string {
  const basic = authorization === undefined ? undefined : readBasic(authorization);
  return (typeof basic === 'object' ? basic.clientId : undefined) ?? body.get('client_id') ?? '';
}

function readBasic(authorization: string): MockClient | 'malformed' {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const pair = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString();
  const colon = pair.indexOf(':');
  if (colon < 1) return 'malformed';
  return { clientId: formDecode(pair.slice(0, colon)), secret: formDecode(pair.slice(colon + 1)) };
}

const formDecode = (text: string): string =>
  new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? '';

function grant({ tenant, isEntra, body }: Asked, clientId: string): Granted | Refused {
  const scope = body.get('scope') ?? '';
  if (isEntra && scope === '') return invalidRequest('The parameter scope is missing.');
  if (isEntra && !/^\S+\/\.default$/.test(scope))
    return refused(400, 'invalid_scope', 1002012, 'The scope must be one resource followed by /.default.');
  const audience = body.get('audience') ?? body.get('resource') ?? scope.replace(/\/\.default$/, '');
  if (audience === '')
    return refused(400, 'invalid_scope', 70011, 'A scope, a resource or an audience is wanted.');
  return { tenant, clientId, scope: scope === '' ? audience : scope, audience };
}
