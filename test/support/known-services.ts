const TENANT = '22222222-2222-4222-8222-222222222222';
/** Of all that have one; in the environment as SERVICE_SECRET. */
export const SERVICE_SECRET = 'a secret: +/%&=~';
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** A service as its own documentation describes it. */
export interface Service {
  /** Lines of its client in the configuration. */
  readonly client: readonly string[];
  readonly tenant?: string;
  /** Of its token endpoint. */
  readonly path: string;
  /** Everything that it is to be sent, but for what every request has. */
  readonly sent: Readonly<Record<string, string>>;
  readonly answer: Readonly<Record<string, unknown>>;
  readonly lifetimeSeconds: number;
}

/** A service for each preset, all at one address. The keys are those of one RSA key. */
export function services(url: string, keyFile: string, serviceAccountFile: string): Record<string, Service> {
  const secret = 'credentials: [ { secret: { env: SERVICE_SECRET } } ]';
  const basic = (id: string): Record<string, string> => ({
    'headers.authorization': `Basic ${Buffer.from(`${id}:a+secret%3A+%2B%2F%25%26%3D~`).toString('base64')}`,
  });
  const claims = (
    place: string,
    of: { aud: string; iss: string; minutes: number },
  ): Record<string, string> => ({
    [place]: 'signed by the key',
    [`${place}.header.alg`]: 'RS256',
    [`${place}.header.typ`]: 'JWT',
    [`${place}.claims.aud`]: of.aud,
    [`${place}.claims.iss`]: of.iss,
    [`${place}.claims.exp`]: `iat + ${of.minutes} minutes`,
    [`${place}.claims.iat`]: 'now',
    [`${place}.claims.nbf`]: 'iat + 0 minutes',
    [`${place}.claims.jti`]: 'a GUID',
  });
  const bearer = { token_type: 'Bearer', access_token: 'opaque' };
  return {
    entra: {
      client: [
        'clientId: entra-client',
        `server: ${url}`,
        secret,
        'resources: { api: https://api.example/.default }',
      ],
      tenant: TENANT,
      path: `/${TENANT}/oauth2/v2.0/token`,
      sent: {
        'headers.client-request-id': 'a GUID',
        'headers.x-ms-lib-capability': 'retry-after, h429',
        'body.grant_type': 'client_credentials',
        'body.client_id': 'entra-client',
        'body.client_secret': SERVICE_SECRET,
        'body.scope': 'https://api.example/.default',
      },
      answer: { ...bearer, expires_in: 3599, ext_expires_in: 3599 },
      lifetimeSeconds: 3599,
    },
    okta: {
      client: [
        'clientId: okta-client',
        `server: ${url}/okta/oauth2/default`,
        `credentials: [ { privateKey: { file: ${keyFile}, kid: okta-key } } ]`,
        'resources: { api: orders.read }',
      ],
      path: '/okta/oauth2/default/v1/token',
      sent: {
        'body.grant_type': 'client_credentials',
        'body.client_id': 'okta-client',
        'body.scope': 'orders.read',
        'body.client_assertion_type': ASSERTION_TYPE,
        'body.client_assertion.header.kid': 'okta-key',
        'body.client_assertion.claims.sub': 'okta-client',
        ...claims('body.client_assertion', {
          aud: `${url}/okta/oauth2/default/v1/token`,
          iss: 'okta-client',
          minutes: 5,
        }),
      },
      answer: { ...bearer, expires_in: 3600, scope: 'orders.read' },
      lifetimeSeconds: 3600,
    },
    auth0: {
      client: [
        'clientId: auth0-client',
        `server: ${url}/auth0`,
        secret,
        'resources: { api: { audience: https://api.example } }',
      ],
      path: '/auth0/oauth/token',
      sent: {
        'body.grant_type': 'client_credentials',
        'body.client_id': 'auth0-client',
        'body.client_secret': SERVICE_SECRET,
        'body.audience': 'https://api.example',
      },
      answer: { ...bearer, expires_in: 86_400 },
      lifetimeSeconds: 86_400,
    },
    keycloak: {
      client: ['clientId: keycloak-client', `server: ${url}/keycloak`, secret, 'resources: { api: profile }'],
      tenant: 'acme',
      path: '/keycloak/realms/acme/protocol/openid-connect/token',
      sent: {
        ...basic('keycloak-client'),
        'body.grant_type': 'client_credentials',
        'body.scope': 'profile',
      },
      answer: { ...bearer, expires_in: 300, refresh_expires_in: 0, 'not-before-policy': 0, scope: 'profile' },
      lifetimeSeconds: 300,
    },
    cognito: {
      client: [
        'clientId: cognito-client',
        `server: ${url}/cognito`,
        secret,
        'resources: { api: server/read }',
      ],
      path: '/cognito/oauth2/token',
      sent: {
        ...basic('cognito-client'),
        'body.grant_type': 'client_credentials',
        'body.scope': 'server/read',
      },
      answer: { ...bearer, expires_in: 3600 },
      lifetimeSeconds: 3600,
    },
    ping: {
      client: ['clientId: ping-client', `server: ${url}/ping`, secret, 'resources: { api: p1:read }'],
      tenant: TENANT,
      path: `/ping/${TENANT}/as/token`,
      sent: { ...basic('ping-client'), 'body.grant_type': 'client_credentials', 'body.scope': 'p1:read' },
      answer: { ...bearer, expires_in: 3600, scope: 'p1:read' },
      lifetimeSeconds: 3600,
    },
    google: {
      client: [
        'clientId: robot@project.example',
        `server: ${url}/google`,
        `credentials: [ { privateKey: { file: ${serviceAccountFile} } } ]`,
        'resources: { api: https://www.example/auth/storage.read_only }',
      ],
      path: '/google/token',
      sent: {
        'body.grant_type': JWT_BEARER,
        'body.assertion.header.kid': 'service-account-key',
        'body.assertion.claims.scope': 'https://www.example/auth/storage.read_only',
        ...claims('body.assertion', {
          aud: `${url}/google/token`,
          iss: 'robot@project.example',
          minutes: 10,
        }),
      },
      answer: { ...bearer, expires_in: 3599 },
      lifetimeSeconds: 3599,
    },
    salesforce: {
      client: [
        'clientId: salesforce-client',
        `server: ${url}/salesforce`,
        'subject: integration@acme.example',
        `credentials: [ { privateKey: { file: ${keyFile} } } ]`,
        'resources: { api: {} }',
      ],
      path: '/salesforce/services/oauth2/token',
      sent: {
        'body.grant_type': JWT_BEARER,
        'body.assertion.claims.sub': 'integration@acme.example',
        ...claims('body.assertion', { aud: `${url}/salesforce`, iss: 'salesforce-client', minutes: 3 }),
      },
      answer: {
        ...bearer,
        scope: 'api',
        instance_url: 'https://acme.my.salesforce.example',
        id: 'https://login.salesforce.example/id/00D/005',
      },
      lifetimeSeconds: 3600,
    },
  };
}
