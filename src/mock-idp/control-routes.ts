import type { IncomingMessage, ServerResponse } from 'node:http';
import { EvertokenError } from '../core/errors.ts';
import type { Changes } from './changes.ts';
import { parseChange, showBehaviour } from './control.ts';
import { parseJson } from './input.ts';
import type { MockIdpStats, RequestRecord } from './record.ts';
import { readBody, sendJson } from './wire.ts';

export interface ControlParts {
  readonly changes: Changes;
  readonly record: RequestRecord;
  readonly stats: () => MockIdpStats;
}

/** Shows and changes how the server behaves, and shows what it saw. */
export async function handleControl(
  request: IncomingMessage,
  response: ServerResponse,
  parts: ControlParts,
): Promise<void> {
  const route = `${request.method} ${(request.url ?? '').split('?')[0]}`;
  if (route === 'POST /control') return await change(request, response, parts);
  const show = Object.hasOwn(SHOWN, route) ? SHOWN[route] : undefined;
  if (show) return sendJson(response, 200, show(parts));
  sendJson(response, 404, { error: 'not_found' });
}

const SHOWN: Readonly<Record<string, (parts: ControlParts) => unknown>> = {
  'GET /control': ({ changes }) => showBehaviour(changes.current),
  'GET /control/stats': ({ stats }) => stats(),
  'GET /control/requests': ({ record }) => record.requests(),
  'GET /control/violations': ({ record }) => record.violations.newest(),
};

async function change(
  request: IncomingMessage,
  response: ServerResponse,
  { changes }: ControlParts,
): Promise<void> {
  try {
    changes.apply(parseChange(parseJson((await readBody(request)) ?? '')));
    sendJson(response, 200, { ok: true });
  } catch (error) {
    if (!(error instanceof EvertokenError)) throw error;
    sendJson(response, 400, { error: error.message });
  }
}
