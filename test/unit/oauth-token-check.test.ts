import { UnsecuredJWT } from 'jose';
import { describe, expect, it, test } from 'vitest';
import type { Target } from '../../src/core/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { checkToken } from '../../src/oauth/token-check.ts';

const TENANT = '22222222-2222-4222-8222-222222222222';
const OTHER = '33333333-3333-4333-8333-333333333333';
const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
const NOW_SECONDS = NOW / 1000;
const DIGEST = /^[\w-]{8}$/;
const CLIENT = '11111111-1111-4111-8111-111111111111';

function target(changes: { tenant?: string; expectAudience?: string; endpoint?: object } = {}): Target {
  return {
    tenant: changes.tenant ?? TENANT,
    client: { clientId: CLIENT, endpoint: changes.endpoint ?? { authority: 'https://login.example' } },
    resource: { expectAudience: changes.expectAudience },
  } as Target;
}

const elsewhere = (): Target => target({ endpoint: { tokenEndpoint: 'https://idp.example/token' } });

const token = (claims: Record<string, unknown>): Secret => new Secret(new UnsecuredJWT(claims).encode());

describe('a token that was issued', () => {
  test.each<[what: string, claims: Record<string, unknown>, asked: Target, expected: string | undefined]>([
    [
      'of the tenant and client that was asked for passes',
      { tid: TENANT, appid: CLIENT },
      target(),
      undefined,
    ],
    [
      'passes whatever the case of its ids',
      { tid: TENANT.toUpperCase(), azp: CLIENT.toUpperCase() },
      target(),
      undefined,
    ],
    ['of another tenant is refused', { tid: OTHER, appid: CLIENT }, target(), 'token of another tenant'],
    [
      'passes for a tenant that is configured by its domain',
      { tid: OTHER },
      target({ tenant: 'contoso.example' }),
      undefined,
    ],
    [
      'of another client by appid is refused',
      { tid: TENANT, appid: OTHER },
      target(),
      'token of another client',
    ],
    ['of another client by azp is refused', { tid: TENANT, azp: OTHER }, target(), 'token of another client'],
    ['without these claims passes', { sub: 'x' }, target(), undefined],
    ['with claims of another type passes', { tid: 7, appid: null }, target(), undefined],
    ['of a server that is not Entra passes', { tid: OTHER, azp: OTHER }, elsewhere(), undefined],
    ['for another audience passes when none is expected', { aud: 'https://a.example' }, target(), undefined],
    [
      'for another audience is refused when one is expected',
      { aud: 'https://a.example' },
      target({ expectAudience: 'https://b.example' }),
      'token for another audience',
    ],
    [
      'without an audience is refused when one is expected',
      {},
      target({ expectAudience: 'https://b.example' }),
      'token for another audience',
    ],
    [
      'for several audiences passes when the expected one is among them',
      { aud: ['x', 'https://b.example'] },
      target({ expectAudience: 'https://b.example' }),
      undefined,
    ],
    ['that ends in a second passes', { exp: NOW_SECONDS + 1 }, target(), undefined],
    ['that ends now is refused', { exp: NOW_SECONDS }, target(), 'token already expired'],
    ['that ended long ago is refused', { exp: 1 }, target(), 'token already expired'],
    ['of any server that has ended is refused', { exp: 1 }, elsewhere(), 'token already expired'],
    ['with an end that is no number passes', { exp: '1' }, target(), undefined],
  ])('%s', (_what, claims, asked, expected) => {
    expect(checkToken(token(claims), asked, NOW).problem).toBe(expected);
  });

  test.each(['opaque', 'a.b.c', '..', 'eyJhbGciOiJub25lIn0.bm90IGpzb24.x'])(
    'passes when it cannot be read: %s',
    (opaque) => {
      const check = checkToken(new Secret(opaque), target({ expectAudience: 'https://b.example' }), NOW);
      expect(check).toEqual({ digest: expect.stringMatching(DIGEST), tenantId: undefined });
    },
  );

  it('is told from others by its digest', () => {
    const digestOf = (text: string) => checkToken(new Secret(text), target(), NOW);
    expect(digestOf('one')).toEqual(digestOf('one'));
    expect(digestOf('one')).not.toEqual(digestOf('two'));
    // The first characters of the well-known SHA-256 of "abc", in base64url.
    expect(digestOf('abc')).toMatchObject({ digest: 'ungWv48B' });
  });

  test.each<[what: string, claims: Record<string, unknown>, asked: Target, expected: string | undefined]>([
    ['in lower case', { tid: OTHER.toUpperCase() }, target({ tenant: 'contoso.example' }), OTHER],
    ['not where it is no GUID', { tid: 'contoso' }, target({ tenant: 'contoso.example' }), undefined],
    ['not where it is missing', {}, target(), undefined],
    ['not from a server that is not Entra', { tid: OTHER }, elsewhere(), undefined],
  ])('tells its tenant %s', (_what, claims, asked, tenantId) => {
    expect(checkToken(token(claims), asked, NOW)).toMatchObject({ tenantId });
  });
});
