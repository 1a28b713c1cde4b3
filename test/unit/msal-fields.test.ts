import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NodeAuthOptions, version } from '@azure/msal-node';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Catalogue } from '../../src/config/catalogue.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Target } from '../../src/core/client.ts';
import { formatTarget } from '../../src/core/target.ts';
import { Keyring } from '../../src/credentials/keyring.ts';
import { tokenRequest } from '../../src/oauth/request.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import { captureMsal } from '../support/msal.ts';
import { differences, fieldsOf, type WireRequest } from '../support/wire-fields.ts';

const AUTHORITY = 'https://login.microsoftonline.com';
const TENANT = '22222222-2222-4222-8222-222222222222';
const CLIENT_ID = '11111111-1111-4111-8111-111111111111';
const SCOPE = 'https://graph.microsoft.com/.default';
const SECRET = 'a secret: +/%&=~';
const CHALLENGE = JSON.stringify({ access_token: { nbf: { essential: true, value: '1700000000' } } });
const CHALLENGE_WITH_CAPABILITY = JSON.stringify({ access_token: { xms_cc: { values: ['cp2'] } } });
const REQUEST_ID = '33333333-3333-4333-8333-333333333333';

interface Difference {
  readonly place: string;
  /** Also a matcher, for what depends on what it did before. */
  readonly msal: unknown;
  readonly ours: string;
  readonly why: string;
  /** Default: always. */
  readonly where?: 'claims' | 'capabilities in the challenge';
}

const TELEMETRY = 'telemetry of MSAL about itself; we name ourselves in user-agent';
const AS_MSAL_NET = 'a header field, as MSAL.NET sends it';
const ID_TOKEN = 'about an ID token, and client credentials give none';

/** Whatever is not here has to be the same. */
const DIFFERENCES: readonly Difference[] = [
  { place: 'query.client-request-id', msal: 'a GUID', ours: 'absent', why: AS_MSAL_NET },
  { place: 'body.client-request-id', msal: 'a GUID', ours: 'absent', why: AS_MSAL_NET },
  { place: 'headers.client-request-id', msal: 'absent', ours: 'a GUID', why: AS_MSAL_NET },
  { place: 'body.x-ms-lib-capability', msal: 'retry-after, h429', ours: 'absent', why: AS_MSAL_NET },
  { place: 'headers.x-ms-lib-capability', msal: 'absent', ours: 'retry-after, h429', why: AS_MSAL_NET },
  { place: 'body.x-client-SKU', msal: 'msal.js.node', ours: 'absent', why: TELEMETRY },
  { place: 'body.x-client-VER', msal: version, ours: 'absent', why: TELEMETRY },
  { place: 'body.x-client-OS', msal: process.platform, ours: 'absent', why: TELEMETRY },
  { place: 'body.x-client-CPU', msal: process.arch, ours: 'absent', why: TELEMETRY },
  { place: 'body.x-client-current-telemetry', msal: expect.any(String), ours: 'absent', why: TELEMETRY },
  { place: 'body.x-client-last-telemetry', msal: expect.any(String), ours: 'absent', why: TELEMETRY },
  {
    place: 'headers.content-type',
    msal: 'application/x-www-form-urlencoded;charset=utf-8',
    ours: 'application/x-www-form-urlencoded',
    why: 'the media type has no parameters; RFC 6749 appendix B fixes UTF-8',
  },
  {
    place: 'headers.accept',
    msal: 'absent',
    ours: 'application/json',
    why: 'proxies and gateways on the way choose the form of their errors by it',
  },
  ...['signin_state', 'login_hint', 'tenant_region_sub_scope'].map((claim) => ({
    place: `body.claims.id_token.${claim}.essential`,
    msal: 'false',
    ours: 'absent',
    why: ID_TOKEN,
    where: 'claims' as const,
  })),
  {
    place: 'body.claims.access_token.xms_cc.values',
    msal: '["cp1"]',
    ours: '["cp1","cp2"]',
    why: 'MSAL drops what the challenge asks for; together they ask for both',
    where: 'capabilities in the challenge',
  },
];

interface Case {
  readonly msal: Partial<NodeAuthOptions>;
  /** As in the configuration. */
  readonly credential: string;
  readonly capabilities?: readonly string[];
  readonly challenge?: string;
  /** Whose assertion is taken apart. */
  readonly key?: Certified;
}

const folder = mkdtempSync(join(tmpdir(), 'evertoken-msal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const inFile = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
};

let certified: Certified;
let federated: string;
beforeAll(async () => {
  const root = await makeCertificate({ commonName: 'root', authority: true });
  const issuer = await makeCertificate({ commonName: 'issuer', authority: true, issuer: root });
  certified = await makeCertificate({ key: 'RSA', issuer });
  federated = await new SignJWT({ sub: 'workload', aud: 'api://AzureADTokenExchange' })
    .setProtectedHeader({ alg: 'ES256' })
    .setExpirationTime('1h')
    .sign(root.privateKey);
});

const SECRET_CASE = { msal: { clientSecret: SECRET }, credential: 'secret: { env: SECRET }' };

/** Made when the keys are there. */
const CASES: Readonly<Record<string, () => Case>> = {
  'a secret': () => ({ ...SECRET_CASE }),
  'a certificate': () => ({
    msal: { clientCertificate: msalCertificate(certified) },
    credential: `certificate: { file: ${inFile('plain.pem', certified.chainPem + certified.keyPem)} }`,
    key: certified,
  }),
  'a certificate with its chain': () => ({
    msal: { clientCertificate: { ...msalCertificate(certified), x5c: certified.chainPem } },
    credential: `certificate: { file: ${inFile('x5c.pem', certified.keyPem + certified.chainPem)}, x5c: true }`,
    key: certified,
  }),
  'an assertion of another issuer': () => ({
    msal: { clientAssertion: federated },
    credential: `federated: { file: ${inFile('federated.jwt', `${federated}\n`)} }`,
  }),
  'a client capability': () => ({ ...SECRET_CASE, capabilities: ['cp1'] }),
  'a claims challenge': () => ({ ...SECRET_CASE, challenge: CHALLENGE }),
  'a capability and a challenge': () => ({ ...SECRET_CASE, capabilities: ['cp1'], challenge: CHALLENGE }),
  'a capability and another one in the challenge': () => ({
    ...SECRET_CASE,
    capabilities: ['cp1'],
    challenge: CHALLENGE_WITH_CAPABILITY,
  }),
};

test.for(Object.entries(CASES))(
  'with %s our request differs from that of MSAL Node only as listed',
  async ([, makeCase]) => {
    const wanted = makeCase();
    const { capabilities, challenge, key } = wanted;
    const theirs = await captureMsal({
      authority: `${AUTHORITY}/${TENANT}`,
      auth: {
        clientId: CLIENT_ID,
        ...wanted.msal,
        ...(capabilities === undefined ? {} : { clientCapabilities: [...capabilities] }),
      },
      scope: SCOPE,
      claims: challenge,
    });
    const ours = await captureOurs(wanted);

    const here = new Set<Difference['where']>([undefined]);
    if (capabilities !== undefined || challenge !== undefined) here.add('claims');
    if (challenge === CHALLENGE_WITH_CAPABILITY) here.add('capabilities in the challenge');
    const listed = DIFFERENCES.filter(({ where }) => here.has(where));
    expect(differences(await fieldsOf(theirs, key?.publicKey), await fieldsOf(ours, key?.publicKey))).toEqual(
      Object.fromEntries(listed.map(({ place, msal, ours: own }) => [place, [msal, own]])),
    );
  },
);

function msalCertificate({ certificate, keyPem }: Certified): {
  thumbprintSha256: string;
  privateKey: string;
} {
  return { thumbprintSha256: certificate.fingerprint256.replaceAll(':', ''), privateKey: keyPem };
}

/** What we hand to the transport, which adds `user-agent`, for the configuration that a user would write. */
async function captureOurs(wanted: Case): Promise<WireRequest> {
  const env = { SECRET };
  const target = targetOf(wanted, env);
  const keyring = new Keyring({ env, clock: Date.now });
  try {
    const [entry] = await keyring.of(target.client);
    if (entry?.atHand === undefined)
      throw new Error(`expected a credential, but got ${JSON.stringify(entry)}`);
    const request = tokenRequest(target, REQUEST_ID, wanted.challenge);
    await entry.atHand.authenticate(request, { now: Date.now(), signAgain: false });
    return { url: request.url, headers: request.headers, body: request.body.toString() };
  } finally {
    keyring.close();
  }
}

function targetOf({ credential, capabilities }: Case, env: Readonly<Record<string, string>>): Target {
  const file = inFile(
    'evertoken.yaml',
    `clients:
  entra:
    clientId: ${CLIENT_ID}
    authority: ${AUTHORITY}
    credentials: [ { ${credential} } ]
    tenants: [${TENANT}]
    resources: { graph: ${SCOPE} }
    ${capabilities === undefined ? '' : `capabilities: [${capabilities.join(', ')}]`}
`,
  );
  const target = new Catalogue(loadConfig(file, env).clients).get(
    formatTarget({ client: 'entra', tenant: TENANT, resource: 'graph' }),
  );
  if (target === undefined) throw new Error('expected the target to be configured');
  return target;
}
