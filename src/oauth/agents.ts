import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';
import type { ClientTls } from '../core/client-authentication.ts';
import type { Problem } from '../core/codes.ts';
import { certificateConnector } from './client-certificate.ts';
import { type Environment, type ProxySettings, proxyAgent, readProxySettings } from './proxy.ts';

/** A token response is a few kilobytes; whatever is larger is none. */
const MAX_RESPONSE_BYTES = 1024 * 1024;

/** What connections must have in common to be shared. */
export interface ConnectionSettings {
  readonly tls?: ClientTls | undefined;
  /** PEM of authorities that are trusted beside the usual ones. */
  readonly ca?: string | undefined;
}

export interface AgentsOptions {
  /** Per origin and agent, each with one request at a time. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** An agent that nobody has used for so long is closed. */
  readonly idleTimeoutMs: number;
  /** The proxy variables. */
  readonly env: Environment;
}

interface Entry extends ConnectionSettings {
  readonly proxy: string;
  readonly dispatcher: Dispatcher;
  readonly idle: NodeJS.Timeout;
}

/** Beyond that the one that was not used for the longest time is closed. */
const MOST_AGENTS = 64;

/**
 * The connection pools: one for all that need nothing special, and one for each client certificate, set of authorities
 * and proxy. An agent is closed when it is not used any more, as after a rotation; its requests end first.
 */
export class Agents {
  readonly #options: AgentsOptions;
  readonly #proxies: ProxySettings;
  /** Those used last are at the end. */
  #entries: Entry[] = [];
  readonly #closing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: AgentsOptions) {
    this.#options = options;
    this.#proxies = readProxySettings(options.env);
  }

  /** The pool for a token endpoint, or why there can be none. */
  for(url: URL, settings: ConnectionSettings): Dispatcher | Problem {
    if (this.#closed) return 'aborted';
    const proxy = url.protocol === 'http:' ? '' : this.#proxies.proxy;
    const known = this.#entries.find((entry) => isFor(entry, settings, proxy));
    if (known !== undefined) return this.#use(known);
    const dispatcher = this.#open(settings, proxy);
    if (typeof dispatcher === 'string') return dispatcher;
    const idle = setTimeout(() => this.#close(entry), this.#options.idleTimeoutMs).unref();
    const entry: Entry = { tls: settings.tls, ca: settings.ca, proxy, dispatcher, idle };
    this.#entries.push(entry);
    if (this.#entries.length > MOST_AGENTS) this.#close(this.#entries[0] as Entry);
    return dispatcher;
  }

  /** Ends when the requests in flight have. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const entry of this.#entries) this.#close(entry);
    await Promise.all(this.#closing);
  }

  #use(entry: Entry): Dispatcher {
    entry.idle.refresh();
    if (this.#entries.at(-1) !== entry)
      this.#entries = [...this.#entries.filter((other) => other !== entry), entry];
    return entry.dispatcher;
  }

  #close(entry: Entry): void {
    clearTimeout(entry.idle);
    this.#entries = this.#entries.filter((other) => other !== entry);
    const closed = entry.dispatcher.close().finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }

  #open(settings: ConnectionSettings, proxy: string): Dispatcher | Problem {
    const { connections, connectTimeoutMs } = this.#options;
    const secureContext = secureContextFor(settings);
    if (typeof secureContext === 'string') return secureContext;
    const connect = {
      timeout: connectTimeoutMs,
      // One connection that stalls must not hold up a hundred requests, and `connections` is to mean requests.
      allowH2: false,
      ...(secureContext && { secureContext }),
    };
    const bounds = {
      connections,
      maxResponseSize: MAX_RESPONSE_BYTES,
      allowH2: false,
      // The deadline of each request covers both; undici's own timers are coarse.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    if (proxy === '')
      return new Agent({ ...bounds, connect: settings.tls ? certificateConnector(connect) : connect });
    return (
      proxyAgent(proxy, this.#proxies.noProxy, connectTimeoutMs, {
        ...bounds,
        connect,
        requestTls: connect,
      }) ?? 'proxy address unusable'
    );
  }
}

function isFor(entry: Entry, { tls, ca }: ConnectionSettings, proxy: string): boolean {
  return (
    entry.proxy === proxy &&
    entry.ca === ca &&
    entry.tls?.fingerprint === tls?.fingerprint &&
    // The same certificate may come with other ones above it.
    entry.tls?.certificateChainPem === tls?.certificateChainPem
  );
}

/** Made once for each agent: reading all authorities for each connection would take milliseconds. */
function secureContextFor({ tls, ca }: ConnectionSettings): SecureContext | Problem | undefined {
  if (tls === undefined && ca === undefined) return undefined;
  try {
    return createSecureContext({
      ...(ca !== undefined && { ca: [...getCACertificates('default'), ca] }),
      ...(tls !== undefined && { cert: tls.certificateChainPem, key: tls.key.reveal() }),
    });
  } catch {
    return 'TLS settings unusable';
  }
}
