import type { IncomingMessage, ServerResponse } from 'node:http';

const MAX_BODY_BYTES = 64 * 1024;

/** Undefined when it is too large. */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(chunks).toString() : undefined;
}

const JSON_TYPE = 'application/json; charset=utf-8';

/** An answer as it goes out. `headers`: beside those that every answer has. */
export interface Message {
  readonly status: number;
  readonly body: string;
  /** Default JSON. */
  readonly contentType?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The head at once; the body is to follow by `end`. */
export function sendHead(response: ServerResponse, { status, body, contentType, headers }: Message): void {
  response.writeHead(status, {
    'content-type': contentType ?? JSON_TYPE,
    'content-length': Buffer.byteLength(body),
    // RFC 6749 section 5.1
    'cache-control': 'no-store',
    ...headers,
  });
}

export function send(response: ServerResponse, message: Message): void {
  sendHead(response, message);
  response.end(message.body);
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, { status, body: JSON.stringify(value) });
}
