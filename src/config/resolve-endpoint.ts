import type { Client } from '../core/client.ts';
import type { Report } from './diagnostics.ts';
import type { Path } from './document.ts';
import { type Preset, presetOf } from './presets.ts';
import type { ClientInput } from './schema-client.ts';
import { authority as readAuthority } from './values.ts';

/** Where a client asks for tokens, and what is known of the service there. */
export interface Service {
  readonly endpoint: Client['endpoint'];
  /** Undefined under a `tokenEndpoint` alone. */
  readonly preset: Preset | undefined;
  /** Fills `{server}` in. */
  readonly complete: (template: string) => string;
}

/** Exactly one of authority, tokenEndpoint and preset, but that a tokenEndpoint may take the place of a preset's URL. */
export function resolveService(input: ClientInput, path: Path, report: Report): Service | undefined {
  const { authority, tokenEndpoint, preset: name, server } = input;
  const given = Object.entries({ authority, tokenEndpoint, preset: name }).flatMap(([key, value]) =>
    value === undefined ? [] : [key],
  );
  if (given.length === 0 || (authority !== undefined && given.length > 1)) {
    report({ path, message: explainAddresses(given) });
    return undefined;
  }
  if (server !== undefined && name === undefined) {
    report({
      path: [...path, 'server'],
      at: 'key',
      message: `server is what a preset completes: leave it out beside ${given[0]}, or write preset`,
    });
  }
  const preset = authority === undefined ? name && presetOf(name) : presetOf('entra');
  const complete = (template: string): string =>
    template.replaceAll('{server}', () => server ?? preset?.server ?? '');
  if (authority !== undefined) return { endpoint: { authority }, preset, complete };
  if (tokenEndpoint !== undefined) return { endpoint: { tokenEndpoint }, preset, complete };
  return preset && fromPreset(preset, server, { preset, complete }, [...path, 'server'], report);
}

function explainAddresses(given: readonly string[]): string {
  const got = given.length === 0 ? 'none' : given.join(' and ');
  const advice = given.includes('preset') ? '; beside preset the address is called server' : '';
  return `expected exactly one of authority (Entra), preset and tokenEndpoint (any other), but got ${got}${advice}`;
}

function fromPreset(
  preset: Preset,
  written: string | undefined,
  service: Omit<Service, 'endpoint'>,
  path: Path,
  report: Report,
): Service | undefined {
  const server = written ?? preset.server;
  const example = `such as ${preset.serverExample}`;
  if (server === undefined) {
    report({ path: path.slice(0, -1), message: `server is missing: ${preset.title} needs one, ${example}` });
    return undefined;
  }
  if (preset.serverShape?.test(server) === false) {
    report({
      path,
      message: `expected the address of an authorization server of ${preset.title}, ${example}`,
    });
    return undefined;
  }
  if (preset.tokenEndpoint !== undefined)
    return { ...service, endpoint: { tokenEndpoint: service.complete(preset.tokenEndpoint) } };
  const read = readAuthority(server);
  if ('value' in read) return { ...service, endpoint: { authority: read.value } };
  report({ path, message: read.problem });
  return undefined;
}
