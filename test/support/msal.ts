import { ConfidentialClientApplication, type NodeAuthOptions } from '@azure/msal-node';
import type { WireRequest } from './wire-fields.ts';

export interface MsalRequest {
  readonly authority: string;
  readonly auth: Omit<NodeAuthOptions, 'authority'>;
  readonly scope: string;
  readonly claims?: string | undefined;
}

/** The one request that MSAL Node, written by others, hands to its transport to get a token. Nothing is sent. */
export async function captureMsal({ authority, auth, scope, claims }: MsalRequest): Promise<WireRequest> {
  const captured: WireRequest[] = [];
  const application = new ConfidentialClientApplication({
    auth: { ...auth, authority, authorityMetadata: metadataOf(authority) },
    system: {
      networkClient: {
        sendGetRequestAsync: async (url: string) => {
          throw new Error(`expected no request but for a token, but MSAL asks for ${url}`);
        },
        sendPostRequestAsync: async <Body>(
          url: string,
          options: { headers?: Record<string, string>; body?: string } = {},
        ) => {
          captured.push({ url, headers: options.headers ?? {}, body: options.body ?? '' });
          const body = { token_type: 'Bearer', expires_in: 3600, access_token: 'opaque' };
          return { status: 200, headers: {}, body: body as Body };
        },
      },
    },
  });
  await application.acquireTokenByClientCredential({
    scopes: [scope],
    ...(claims === undefined ? {} : { claims }),
  });
  const [request] = captured;
  if (request === undefined || captured.length > 1)
    throw new Error(`expected one request of MSAL, but there were ${captured.length}`);
  return request;
}

/** What MSAL would otherwise fetch. */
function metadataOf(authority: string): string {
  return JSON.stringify({
    issuer: `${authority}/v2.0`,
    authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
    token_endpoint: `${authority}/oauth2/v2.0/token`,
    jwks_uri: `${authority}/discovery/v2.0/keys`,
  });
}
