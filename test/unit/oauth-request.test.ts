import { inspect } from 'node:util';
import fc from 'fast-check';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { beforeAll, describe, expect, it, onTestFinished, test } from 'vitest';
import { mergeClaims } from '../../src/core/claims.ts';
import type { Target } from '../../src/core/client.ts';
import type { ClientAuthentication } from '../../src/core/client-authentication.ts';
import { Secret } from '../../src/core/secret.ts';
import { secretAuthentication } from '../../src/credentials/secret.ts';
import { type MockIdp, startMockIdp } from '../../src/mock-idp/server.ts';
import { type Acquired, acquire } from '../../src/oauth/acquire.ts';
import { TokenEndpoint } from '../../src/oauth/endpoint.ts';
import { tokenRequest } from '../../src/oauth/request.ts';
import { CLIENTS } from '../support/oidc-provider.ts';
import { startNode } from '../support/process.ts';
import { targetOf } from '../support/target.ts';

const REQUEST_ID = '0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d';
const METHODS = ['client_secret_post', 'client_secret_basic'] as const;

function authenticated(target: Target, authentication: ClientAuthentication) {
  const request = tokenRequest(target, REQUEST_ID);
  void authentication(request, { now: 0, signAgain: false });
  return request;
}

describe('a token request', () => {
  it('has the fields and headers that Entra wants', () => {
    const authority = 'https://login.microsoftonline.com';
    const tokenUrl = `${authority}/contoso/oauth2/v2.0/token`;
    const request = tokenRequest(targetOf({ endpoint: { authority }, tokenUrl }), REQUEST_ID);
    expect(request.url).toBe(tokenUrl);
    expect(request.headers).toEqual({
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      'x-ms-lib-capability': 'retry-after, h429',
      'client-request-id': REQUEST_ID,
    });
    expect(Object.fromEntries(request.body)).toEqual({
      grant_type: 'client_credentials',
      client_id: 'id',
      scope: 'https://g.example/.default',
    });
  });

  it("has none of Entra's headers for another server, and sends its params", () => {
    const params = { audience: 'https://api.example', resource: 'https://r.example/a b' };
    const request = tokenRequest(targetOf({ tokenUrl: 'https://idp.example/token', params }), REQUEST_ID);
    expect(Object.keys(request.headers).sort()).toEqual(['accept', 'content-type']);
    expect(Object.fromEntries(request.body)).toEqual({
      grant_type: 'client_credentials',
      client_id: 'id',
      ...params,
    });
  });

  it('lets no param pose as the grant or the client', () => {
    const params = { grant_type: 'password', client_id: 'other', scope: 's' };
    const { body } = tokenRequest(targetOf({ tokenUrl: 'https://idp.example/token', params }), REQUEST_ID);
    expect(body.getAll('grant_type')).toEqual(['client_credentials']);
    expect(body.getAll('client_id')).toEqual(['id']);
  });
});

describe('the parameter claims', () => {
  const CP1 = { access_token: { xms_cc: { values: ['cp1'] } } };
  const CHALLENGE = { access_token: { nbf: { essential: true, value: '1604106651' } } };
  const tokenUrl = 'https://idp.example/token';
  const claimsOf = (configured: Record<string, unknown> | undefined, challenge?: string, params = {}) => {
    const target = targetOf({ tokenUrl, claims: configured, params });
    const text = tokenRequest(target, REQUEST_ID, challenge).body.get('claims');
    return text === null ? undefined : (JSON.parse(text) as unknown);
  };

  it('is not there when nobody asks for any', () => {
    expect(claimsOf(undefined)).toBeUndefined();
  });

  it('has what is configured', () => {
    expect(claimsOf(CP1)).toEqual(CP1);
  });

  it('has what a challenge asks for, beside the capabilities', () => {
    expect(claimsOf(undefined, JSON.stringify(CHALLENGE))).toEqual(CHALLENGE);
    const both = { access_token: { ...CP1.access_token, ...CHALLENGE.access_token } };
    expect(claimsOf(CP1, JSON.stringify(CHALLENGE))).toEqual(both);
    expect(claimsOf(undefined, JSON.stringify(CHALLENGE), { claims: JSON.stringify(CP1) })).toEqual(both);
  });

  it('unites values, and otherwise lets the challenge win', () => {
    const challenge = {
      access_token: { xms_cc: { values: ['cp2', 'cp1'] }, acrs: { value: 'c2' } },
      id_token: null,
    };
    const configured = { access_token: { ...CP1.access_token, acrs: { essential: true, value: 'c1' } } };
    expect(claimsOf(configured, JSON.stringify(challenge))).toEqual({
      access_token: { xms_cc: { values: ['cp1', 'cp2'] }, acrs: { essential: true, value: 'c2' } },
      id_token: null,
    });
  });

  test.each<[what: string, challenge: string]>([
    ['nothing', ''],
    ['not JSON', '{"access_token":'],
    ['still base64', btoa(JSON.stringify(CHALLENGE))],
    ['a list', '[{}]'],
    ['null', 'null'],
    ['a string', '"x"'],
    ['over 4 KB', JSON.stringify({ access_token: { x: 'y'.repeat(4096) } })],
  ])('takes no challenge that is %s', (_what, challenge) => {
    expect(claimsOf(undefined, challenge)).toBeUndefined();
    expect(claimsOf(CP1, challenge)).toEqual(CP1);
  });

  it('takes a challenge that names __proto__ for what it is', () => {
    const challenge = '{"__proto__":{"polluted":true},"access_token":{"__proto__":{"polluted":true}}}';
    const merged = tokenRequest(targetOf({ tokenUrl, claims: CP1 }), REQUEST_ID, challenge).body.get(
      'claims',
    );
    expect(merged).toContain('"__proto__":{"polluted":true}');
    expect({}).not.toHaveProperty('polluted');
  });

  it('gives any two sets of claims back as one, whatever is in them', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (a, b) => {
          expect(Object.keys(mergeClaims(a, b)).sort()).toEqual(
            [...new Set([...Object.keys(a), ...Object.keys(b)])].sort(),
          );
          expect(mergeClaims(a, a)).toEqual(a);
          expect(mergeClaims({}, b)).toEqual(b);
        },
      ),
    );
  });
});

describe('authentication by secret', () => {
  const target = targetOf({ clientId: 'a:b c', tokenUrl: 'https://idp.example/token' });
  const secret = new Secret('p%q+r:s&tü');

  it('puts the secret into the body', () => {
    const { headers, body } = authenticated(
      target,
      secretAuthentication('a:b c', secret, 'client_secret_post'),
    );
    expect(headers.authorization).toBeUndefined();
    expect(body.toString()).toContain('client_id=a%3Ab+c');
    expect(body.get('client_secret')).toBe('p%q+r:s&tü');
  });

  it('encodes id and secret for Basic, and then sends neither in the body', () => {
    const { headers, body } = authenticated(
      target,
      secretAuthentication('a:b c', secret, 'client_secret_basic'),
    );
    const [scheme, pair = ''] = (headers.authorization ?? '').split(' ');
    expect(scheme).toBe('Basic');
    expect(Buffer.from(pair, 'base64').toString()).toBe('a%3Ab+c:p%25q%2Br%3As%26t%C3%BC');
    expect([...body.keys()].sort()).toEqual(['grant_type', 'scope']);
  });

  it('prints nothing of the secret', () => {
    for (const method of METHODS) {
      const closure = secretAuthentication('id', secret, method);
      expect(inspect(closure, { depth: 9, showHidden: true }) + String(closure)).not.toContain('p%q');
    }
  });
});

interface Setting {
  readonly tokenUrl: string;
  readonly client: { readonly clientId: string; readonly secret: string };
  readonly method: (typeof METHODS)[number];
  readonly params?: Record<string, string>;
}

async function ask({ tokenUrl, client, method, params }: Setting): Promise<Acquired> {
  const endpoint = new TokenEndpoint({ version: '0' });
  const target = targetOf({ clientId: client.clientId, tokenUrl, ...(params && { params }) });
  const authentication = secretAuthentication(client.clientId, new Secret(client.secret), method);
  try {
    return await acquire(endpoint, target, authentication, {
      timeoutMs: 10_000,
      now: Date.now(),
      requestId: REQUEST_ID,
    });
  } finally {
    await endpoint.close();
  }
}

function tokenOf(outcome: Acquired): string {
  if (!outcome.ok) throw new Error(outcome.failure.code);
  return outcome.accessToken.reveal();
}

describe('mock-idp', () => {
  let idp: MockIdp;
  const client = { clientId: 'id: with/odd characters', secret: 'se cret:+&=%ü' };
  beforeAll(async () => {
    idp = await startMockIdp({ clients: [client], lifetime: { minSeconds: 50, maxSeconds: 70 } });
    return () => idp.close();
  });

  test.each(METHODS)('gives a token that its keys verify to %s', async (method) => {
    const tokenUrl = `${idp.url}/contoso/oauth2/v2.0/token`;
    const outcome = await ask({ tokenUrl, client, method });
    const jwks = (await (await fetch(`${idp.url}/jwks`)).json()) as JSONWebKeySet;
    const { payload } = await jwtVerify(tokenOf(outcome), createLocalJWKSet(jwks), {
      audience: 'https://g.example',
    });
    expect(payload).toMatchObject({ tid: 'contoso', appid: client.clientId, iss: `${idp.url}/contoso/v2.0` });
    expect(outcome).toMatchObject({ expiresInSeconds: (payload.exp ?? 0) - (payload.iat ?? 0) });
  });

  test.each(METHODS)('refuses a wrong secret by %s with the code of Entra', async (method) => {
    const tokenUrl = `${idp.url}/contoso/oauth2/v2.0/token`;
    const outcome = await ask({ tokenUrl, client: { ...client, secret: 'SENTINEL' }, method });
    expect(outcome).toMatchObject({
      failure: { kind: 'credential', code: 'AADSTS7000215', answeredBy: 'server', status: 401 },
    });
    expect(inspect(outcome, { depth: 9, showHidden: true })).not.toContain('SENTINEL');
  });
});

describe('oidc-provider', () => {
  async function start() {
    const child = startNode(['test/support/oidc-provider.ts', '--lifetime', '20']);
    onTestFinished(async () => void (await child.stop()));
    const line = await child.waitForLine((text) => text.startsWith('{"listening"'));
    return JSON.parse(line).listening as string;
  }

  it('accepts both methods, for opaque tokens and JWTs, and logs what it was asked', async () => {
    const url = await start();
    const tokenUrl = `${url}/contoso.example/token`;
    for (const method of METHODS) {
      const client = CLIENTS[method];
      const opaque = await ask({ tokenUrl, client, method, params: { scope: 'read' } });
      expect(tokenOf(opaque).split('.')).toHaveLength(1);
      const jwt = await ask({ tokenUrl, client, method, params: { resource: 'https://api.example' } });
      expect(tokenOf(jwt).split('.')).toHaveLength(3);
      expect(jwt).toMatchObject({ expiresInSeconds: 20 });
      const refused = await ask({ tokenUrl, client: { ...client, secret: 'wrong' }, method });
      expect(refused).toMatchObject({
        failure: { kind: 'credential', code: 'invalid_client', answeredBy: 'server' },
      });
    }
    const log = (await (await fetch(`${url}/control/requests`)).json()) as {
      tenant: string;
      clientId: string;
      status: number;
    }[];
    expect(log.map(({ status }) => status)).toEqual([200, 200, 401, 200, 200, 401]);
    expect(new Set(log.map(({ clientId }) => clientId))).toEqual(
      new Set(METHODS.map((method) => CLIENTS[method].clientId)),
    );
    expect(log.every(({ tenant }) => tenant === 'contoso.example')).toBe(true);
  });
});

describe('a failure', () => {
  const secret = '5ec2e700-0000-4000-8000-00000000cafe';

  /** What a hostile server would send: everything that it was sent. */
  const hostile = {
    skewMs: () => undefined,
    send: async ({ headers, body }: { headers: Record<string, string>; body: URLSearchParams }) => {
      const echo = `${body} ${JSON.stringify(headers)}`;
      const text = {
        error: echo,
        error_description: echo,
        error_codes: [echo],
        trace_id: secret,
        correlation_id: REQUEST_ID,
        claims: echo,
      };
      const answered = {
        'x-ms-request-id': secret,
        'client-request-id': secret,
        'retry-after': echo,
        date: echo,
      };
      return {
        ok: true,
        answer: { status: 400, headers: answered, body: new Secret(JSON.stringify(text)) },
        skewMs: undefined,
      } as const;
    },
  };

  test.each(METHODS)('holds nothing that a hostile server echoes, by %s', async (method) => {
    const target = targetOf({ tokenUrl: 'https://idp.example/token' });
    const options = { timeoutMs: 1000, now: 0, requestId: REQUEST_ID };
    const outcome = await acquire(
      hostile,
      target,
      secretAuthentication('id', new Secret(secret), method),
      options,
    );
    if (outcome.ok) throw new Error('expected a failure');
    expect(inspect(outcome, { depth: 9, showHidden: true })).not.toContain(secret);
    expect(outcome.failure).toMatchObject({
      code: 'HTTP 400',
      kind: 'tenant',
      traceId: undefined,
      correlationId: REQUEST_ID,
    });
  });
});
