import { type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici';
import type { Problem } from '../core/codes.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for https, and the hosts that need none; empty: none. */
export interface ProxySettings {
  readonly proxy: string;
  readonly noProxy: string;
}

/**
 * The proxy variables as curl reads them: in lower case first; an empty one is none; a host without a scheme is http.
 * Plain http goes through none: it is for loopback, and must not leave the machine.
 */
export function readProxySettings(env: Environment): ProxySettings {
  const variable = (name: string): string => env[name] || env[name.toUpperCase()] || '';
  const text = variable('https_proxy').trim();
  const proxy = text === '' || text.includes('://') ? text : `http://${text}`;
  return { proxy, noProxy: variable('no_proxy') };
}

type AgentOptions = EnvHttpProxyAgent.Options;

/**
 * An agent that goes through a proxy unless `noProxy` names the host. By CONNECT: so all bounds of `options`
 * hold, and a proxy sees no credential. Undefined when `proxy` is no URL of an HTTP proxy.
 */
export function proxyAgent(
  proxy: string,
  noProxy: string,
  connectTimeoutMs: number,
  options: AgentOptions,
): Dispatcher | undefined {
  if (!/^https?:$/.test(URL.parse(proxy)?.protocol ?? '')) return undefined;
  try {
    return new EnvHttpProxyAgent({
      ...options,
      httpProxy: proxy,
      httpsProxy: proxy,
      noProxy,
      proxyTunnel: true,
      proxyTls: { timeout: connectTimeoutMs },
      clientFactory: (origin, { ...given }) =>
        new WayToProxy(origin, { ...given, headersTimeout: connectTimeoutMs }),
    });
  } catch {
    // A user or password with a broken percent-encoding.
    return undefined;
  }
}

/** The proxy stood in the way. Holds nothing of what it said. */
export class ProxyFailure extends Error {
  override readonly name = 'ProxyFailure';
  readonly problem: Problem;
  readonly status: number | undefined;

  constructor(problem: Problem, status?: number) {
    super(problem);
    this.problem = problem;
    this.status = status;
  }
}

const CLOSED_BY_US = ['UND_ERR_CLOSED', 'UND_ERR_DESTROYED'];

type ConnectOptions = Parameters<Pool['connect']>[0];
type ConnectCallback = Parameters<Pool['connect']>[1];

/** The connections to a proxy. What fails here is the proxy's failure, not that of the server behind it. */
class WayToProxy extends Pool {
  override connect(options: ConnectOptions): Promise<Dispatcher.ConnectData>;
  override connect(options: ConnectOptions, callback: ConnectCallback): void;
  override connect(
    options: ConnectOptions,
    callback?: ConnectCallback,
  ): Promise<Dispatcher.ConnectData> | undefined {
    if (callback === undefined) return this.#tunnel(options);
    super.connect(options, callback);
    return undefined;
  }

  async #tunnel(options: ConnectOptions): Promise<Dispatcher.ConnectData> {
    const tunnel = await super.connect(options).catch((error: unknown) => {
      const isOurs = error instanceof Error && 'code' in error && CLOSED_BY_US.includes(String(error.code));
      throw isOurs ? error : new ProxyFailure('proxy unreachable');
    });
    const { statusCode, socket } = tunnel;
    if (statusCode === 200) return tunnel;
    socket.on('error', () => {}).destroy();
    throw new ProxyFailure(
      statusCode === 407 ? 'proxy authentication required' : 'proxy refused',
      statusCode,
    );
  }
}
