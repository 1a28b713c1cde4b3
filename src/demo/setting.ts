import { refreshWindow } from '../core/plan.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { DEMO_CLIENT, type Lifetime } from '../mock-idp/options.ts';

/** What `demo` was asked for. */
export interface DemoOptions {
  readonly tenants: number;
  readonly resources: number;
  /** Of the tokens that mock-idp issues. At least {@link SHORTEST_LIFETIME_SECONDS}. */
  readonly lifetime: Lifetime;
  /** Undefined: until it is interrupted. */
  readonly forMs: number | undefined;
  /** Only the summary on stdout, as JSON. */
  readonly json: boolean;
}

/** Below this, whole seconds are too coarse to tell a token that is late from one that is not. */
export const SHORTEST_LIFETIME_SECONDS = 5;

/** The environment variable that the daemon takes the client's secret from. */
export const SECRET_VARIABLE = 'EVERTOKEN_DEMO_SECRET';

export const NAMESPACE = 'evertoken';
export const TENANTS_FILE = 'tenants.txt';
const CLIENT = 'demo';
const RESOURCE_NAMES = ['graph', 'vault', 'storage', 'search', 'mail', 'queue', 'billing', 'maps'];

/** The most resources that can be asked for: each has a name. */
export const MOST_RESOURCES = RESOURCE_NAMES.length;

export function tenantNames({ tenants }: Pick<DemoOptions, 'tenants'>): string[] {
  const digits = Math.max(3, `${tenants}`.length);
  return Array.from({ length: tenants }, (_, i) => `tenant-${`${i + 1}`.padStart(digits, '0')}`);
}

const resourceNames = ({ resources }: Pick<DemoOptions, 'resources'>): string[] =>
  RESOURCE_NAMES.slice(0, resources);

/** Every target, tenant by tenant. */
export function targetIds(options: Pick<DemoOptions, 'tenants' | 'resources'>): TargetId[] {
  const resources = resourceNames(options);
  return tenantNames(options).flatMap((tenant) =>
    resources.map((resource) => formatTarget({ client: CLIENT, tenant, resource })),
  );
}

/** Where a consumer finds a target's token. */
export const tokenKey = (target: TargetId): string => `${NAMESPACE}:token:${target}`;

/** The limits of the daemon's configuration, in its units. */
export interface Limits {
  readonly outageTargetSeconds: number;
  readonly perHostPerSecond: number;
  readonly perTenantPerSecond: number;
  readonly identicalCount: number;
  readonly identicalWindowSeconds: number;
}

const IDENTICAL_COUNT = 5;
const LONGEST_IDENTICAL_WINDOW_SECONDS = 3600;
/** How much faster than the steady pace requests may be sent: what the first round and a backlog take. */
const HEADROOM = 4;
const MOST_PER_SECOND = 10_000;

/**
 * Limits under which a fleet of tokens this short-lived can be kept fresh. The defaults are meant for tokens of
 * an hour: five identical requests in five minutes are too few for tokens of one.
 */
export function limitsFor({ tenants, resources, lifetime }: DemoOptions): Limits {
  const lifeSeconds = lifetime.minSeconds;
  // With four planned requests in the shortest life, a cycle may be far shorter than the window begins.
  const identicalWindowSeconds = Math.min(lifeSeconds, LONGEST_IDENTICAL_WINDOW_SECONDS);
  // As much as lives this short can hold: refreshes begin after a third of one, so a demo of half a minute shows some.
  const outageTargetSeconds = Math.max(1, Math.floor(lifeSeconds * 0.25));
  const window = refreshWindow(lifeSeconds * 1000, {
    outageTargetMs: outageTargetSeconds * 1000,
    identical: { count: IDENTICAL_COUNT, windowMs: identicalWindowSeconds * 1000 },
  });
  const perSecond = (targets: number): number =>
    Math.ceil((HEADROOM * targets) / (window.earliest * lifeSeconds));
  return {
    outageTargetSeconds,
    perHostPerSecond: Math.min(MOST_PER_SECOND, Math.max(100, perSecond(tenants * resources))),
    perTenantPerSecond: Math.max(10, perSecond(resources)),
    identicalCount: IDENTICAL_COUNT,
    identicalWindowSeconds,
  };
}

/** The daemon's configuration, as a file that people may look at. The tenants stand in one beside it. */
export function configText(options: DemoOptions, urls: { redis: string; mockIdp: string }): string {
  const limits = limitsFor(options);
  const { minSeconds, maxSeconds } = options.lifetime;
  const resources = resourceNames(options).map((name) => `      ${name}: https://${name}.example/.default`);
  return `# Made by "evertoken demo", and gone when it ends.
redis: ${urls.redis}
namespace: ${NAMESPACE}
http: { listen: 127.0.0.1:0 }
refresh: { outageTarget: ${limits.outageTargetSeconds}s }
limits:
  perHost: ${limits.perHostPerSecond}/s
  perTenant: ${limits.perTenantPerSecond}/s
  identical: ${limits.identicalCount}/${limits.identicalWindowSeconds}s
clients:
  ${CLIENT}:
    clientId: ${DEMO_CLIENT.clientId}
    authority: ${urls.mockIdp}
    credentials:
      - secret: { env: ${SECRET_VARIABLE} }
    tenants: { file: ${TENANTS_FILE} }
    resources:
${resources.join('\n')}
    expectLifetime: ${Math.round((minSeconds + maxSeconds) / 2)}s
`;
}

/** As it is written on the command line. */
export function formatLifetime({ minSeconds, maxSeconds }: Lifetime): string {
  return minSeconds === maxSeconds ? `${minSeconds}s` : `${minSeconds}s..${maxSeconds}s`;
}
