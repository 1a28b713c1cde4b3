import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { freePort } from '../../src/demo/private-redis.ts';

/** Stands between a client and a server on loopback, and misbehaves as told. */
export interface Proxy {
  readonly port: number;
  /** Ends all connections; new ones are welcome. */
  cut(): void;
  /** Ends all connections and refuses new ones, until `accept()`. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  /** Holds back what comes from now on, in either direction, by so much. */
  delay(delayMs: number): void;
  /** Lets nothing through, while the connections stay open, until `thaw()`. */
  freeze(): void;
  thaw(): void;
}

/** Starts a proxy for a port on loopback; closed when the test ends. */
export async function startProxy(targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let delayMs = 0;
  let frozen = false;

  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket)).on('error', () => {});
    if (frozen) socket.pause();
  };
  const forward = (from: Socket, to: Socket): void => {
    // A chain, so that a changed delay cannot let later bytes overtake earlier ones.
    let sent = Promise.resolve();
    const later = (action: () => void): void => {
      const waited = delayMs > 0 ? new Promise((done) => setTimeout(done, delayMs)) : undefined;
      sent = sent.then(() => waited).then(action);
    };
    from.on('data', (chunk) => later(() => to.write(chunk)));
    from.on('close', () => later(() => to.destroySoon()));
  };
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    forward(client, target);
    forward(target, client);
    keep(client);
    keep(target);
  });
  const port = await freePort();
  const accept = async (): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const refuse = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined;
    server.close();
    cut();
    await closed;
  };

  await accept();
  onTestFinished(refuse);
  return {
    port,
    cut,
    refuse,
    accept,
    delay(ms) {
      delayMs = ms;
    },
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
  };
}
