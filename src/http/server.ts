import fastify, { type FastifyInstance } from 'fastify';
import { EvertokenError } from '../core/errors.ts';

/** What a process says of its health. */
export interface Health {
  /** The process does its work, or waits for what it needs; false only when a restart would help. */
  readonly live: boolean;
  /** It takes part: Redis answers and the configuration is enlisted. */
  readonly ready: boolean;
  /** What stands in the way of `ready`, or is degraded; by stable names. */
  readonly problems: readonly string[];
}

export interface HttpSources {
  readonly health: () => Health;
  readonly metrics: () => Promise<string>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Serves probes and metrics. */
export class HttpServer {
  readonly #app: FastifyInstance;

  constructor({ health, metrics }: HttpSources) {
    this.#app = fastify({ logger: false, forceCloseConnections: true });
    this.#app.get('/healthz', async (_request, reply) => {
      const state = health();
      return reply.code(state.live ? 200 : 503).send(state);
    });
    this.#app.get('/readyz', async (_request, reply) => {
      const state = health();
      return reply.code(state.ready ? 200 : 503).send(state);
    });
    this.#app.get('/metrics', async (_request, reply) => {
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics());
    });
  }

  /** Gives the address that it listens on. Throws `LISTEN_FAILED`. */
  async listen({ host, port }: Address): Promise<Address> {
    try {
      await this.#app.listen({ host, port });
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      const todo =
        code === 'EADDRINUSE'
          ? 'another program has it: stop that, or choose another port'
          : 'choose another address';
      throw new EvertokenError(
        'LISTEN_FAILED',
        `cannot listen on ${host}:${port} (${code}); ${todo}, with http.listen or http.probes; port 0 takes any free one`,
      );
    }
    const address = this.#app.addresses()[0];
    return { host, port: typeof address === 'object' ? address.port : port };
  }

  async close(): Promise<void> {
    await this.#app.close();
  }
}
