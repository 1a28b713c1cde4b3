import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A server in the test, which does to each request what the test says. */
export interface HttpServer {
  /** With a path and a query. */
  readonly url: string;
  readonly port: number;
  readonly requests: IncomingMessage[];
  readonly sockets: Set<Socket>;
  /** The most connections at the same time. */
  peakSockets: number;
}

/** Starts a server on loopback, with `tls` by https; stopped when the test ends. */
export async function serve(handler: RequestListener, tls?: ServerOptions): Promise<HttpServer> {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    response.on('error', () => {});
    handler(request, response);
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  const seen = { url: '', port: 0, requests, sockets, peakSockets: 0 };
  server.on('connection', (socket) => {
    sockets.add(socket);
    seen.peakSockets = Math.max(seen.peakSockets, sockets.size);
    socket.once('close', () => sockets.delete(socket)).on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  const scheme = tls === undefined ? 'http' : 'https';
  return Object.assign(seen, { port, url: `${scheme}://127.0.0.1:${port}/t/token?x=1` });
}
