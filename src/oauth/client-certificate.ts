import { TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';

type Connector = ReturnType<typeof buildConnector>;

/** A server that sends no session tickets says nothing at all; then the request goes out after this. */
const LONGEST_WAIT_MS = 250;

/**
 * Connects with a client certificate. In TLS 1.3 the client is done before the server has judged its certificate
 * (RFC 8446 section 4.4.2.4): a request sent at once would break with a reset, and the server's reason would be lost. So
 * this waits for the server's first word, which is a session ticket (section 4.6.1) or the alert.
 */
export function certificateConnector(options: buildConnector.BuildOptions): Connector {
  const connect = buildConnector(options);
  return (target, callback) =>
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null);
      if (!(socket instanceof TLSSocket) || socket.getProtocol() !== 'TLSv1.3') return callback(null, socket);
      awaitVerdict(socket).then(
        () => callback(null, socket),
        (alert: Error) => callback(alert, null),
      );
    });
}

/** Resolves when the server has accepted the certificate, or has said nothing; rejects with what ended the connection. */
async function awaitVerdict(socket: TLSSocket): Promise<void> {
  const verdict = Promise.withResolvers<void>();
  // The event comes from within OpenSSL, which takes no request there.
  const session = (): void => void setImmediate(verdict.resolve);
  const close = (): void => verdict.reject(new ClosedInHandshake());
  // Without reading, the end of the connection would not be seen; nothing is taken from what a server may have sent.
  const readable = (): void => void socket.read(0);
  const listeners = { session, error: verdict.reject, close, readable };
  for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  const timer = setTimeout(verdict.resolve, LONGEST_WAIT_MS);
  try {
    await verdict.promise;
  } finally {
    clearTimeout(timer);
    for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
  }
}

class ClosedInHandshake extends Error {
  readonly code = 'ECONNRESET';
}
