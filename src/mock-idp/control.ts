import type { Rate } from '../core/duration.ts';
import { EvertokenError } from '../core/errors.ts';
import { type Behaviour, RETRY_AFTER_FORMS } from './behaviour.ts';
import type { Change } from './changes.ts';
import { clientsOf, parseClients } from './clients.ts';
import {
  formatLifetime,
  formatMs,
  MODES,
  parseClient,
  parseLifetime,
  parseLoop,
  parseRateLimit,
  parseRetryAfterMs,
  parseShare,
  parseSpanMs,
  parseWord,
} from './options.ts';
import { FLAVOURS } from './refusal.ts';

/** `read` gives the part of the behaviour that it changes, or throws `USAGE`; `show` writes it as it is read. */
interface Setting {
  readonly read: (value: unknown) => Partial<Behaviour>;
  readonly show: (behaviour: Behaviour) => unknown;
}

const SETTINGS = {
  mode: { read: (value) => ({ mode: parseWord(MODES, text(value)) }), show: ({ mode }) => mode },
  share: { read: (value) => ({ share: parseShare(text(value)) }), show: ({ share }) => percent(share) },
  tenants: {
    read: (value) => ({ tenants: unlessNull(value, tenantSet) }),
    show: ({ tenants }) => (tenants === undefined ? null : [...tenants]),
  },
  delay: {
    read: (value) => ({ delayMs: parseSpanMs(text(value)) }),
    show: ({ delayMs }) => formatMs(delayMs),
  },
  lifetime: {
    read: (value) => ({ lifetime: parseLifetime(text(value)) }),
    show: ({ lifetime }) => formatLifetime(lifetime),
  },
  refreshIn: {
    read: (value) => ({ refreshIn: unlessNull(value, (share) => parseShare(text(share))) }),
    show: ({ refreshIn }) => (refreshIn === undefined ? null : percent(refreshIn)),
  },
  clients: {
    read: (value) => ({
      clients: Array.isArray(value) ? clientsOf(value.map(text).map(parseClient)) : parseClients(value),
    }),
    // They are secrets, so their number only.
    show: ({ clients }) => clients.size,
  },
  flavour: {
    read: (value) => ({ flavour: parseWord(FLAVOURS, text(value)) }),
    show: ({ flavour }) => flavour,
  },
  sameToken: { read: (value) => ({ sameToken: flag(value) }), show: ({ sameToken }) => sameToken },
  expiredTokens: {
    read: (value) => ({ expiredTokens: flag(value) }),
    show: ({ expiredTokens }) => expiredTokens,
  },
  clockSkewSeconds: {
    read: (value) => ({ clockSkewSeconds: skew(value) }),
    show: ({ clockSkewSeconds }) => clockSkewSeconds,
  },
  rate: {
    read: (value) => ({ rate: unlessNull(value, (rate) => parseRateLimit(text(rate))) }),
    show: ({ rate }) => showRate(rate),
  },
  tenantRate: {
    read: (value) => ({ tenantRate: unlessNull(value, (rate) => parseRateLimit(text(rate))) }),
    show: ({ tenantRate }) => showRate(tenantRate),
  },
  loop: {
    read: (value) => ({ loop: unlessNull(value, (loop) => parseLoop(text(loop))) }),
    show: ({ loop }) => showRate(loop),
  },
  retryAfter: {
    read: (value) => ({ retryAfterMs: parseRetryAfterMs(text(value)) }),
    show: ({ retryAfterMs }) => (retryAfterMs === undefined ? 'none' : formatMs(retryAfterMs)),
  },
  retryAfterAs: {
    read: (value) => ({ retryAfterAs: parseWord(RETRY_AFTER_FORMS, text(value)) }),
    show: ({ retryAfterAs }) => retryAfterAs,
  },
  grace: {
    read: (value) => ({ graceMs: parseSpanMs(text(value)) }),
    show: ({ graceMs }) => formatMs(graceMs),
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** One setting as JSON has it. Throws `USAGE`. */
export const readSetting = (name: SettingName, value: unknown): Partial<Behaviour> =>
  SETTINGS[name].read(value);

/** The behaviour as `POST /control` takes it, but for the clients: of them only the number. */
export const showBehaviour = (behaviour: Behaviour): Readonly<Record<string, unknown>> =>
  Object.fromEntries(SETTING_NAMES.map((name) => [name, SETTINGS[name].show(behaviour)]));

/**
 * Reads any of the settings by their names, the ones of the command line as they are written there; and `for`, after
 * which they go back. `clients` is a list of `id:secret` or an object for {@link parseClients}, and takes the place of
 * all clients. Throws `USAGE`.
 */
export function parseChange(value: unknown): Change {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new EvertokenError('USAGE', 'expected a JSON object');
  const { for: span, ...wanted } = value as Readonly<Record<string, unknown>>;
  const settings = Object.entries(wanted).map(([name, wish]) => readSetting(settingName(name), wish));
  const forMs = span === undefined ? undefined : parseSpanMs(text(span));
  return { settings: Object.assign({}, ...settings), forMs };
}

function settingName(name: string): SettingName {
  const known = SETTING_NAMES.find((candidate) => candidate === name);
  if (known !== undefined) return known;
  throw new EvertokenError('USAGE', `expected only ${SETTING_NAMES.join(', ')}, for`);
}

const unlessNull = <Value>(value: unknown, read: (value: unknown) => Value): Value | undefined =>
  value === null ? undefined : read(value);

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new EvertokenError('USAGE', `expected a text, but got ${typeof value}`);
}

function flag(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new EvertokenError('USAGE', `expected true or false, but got ${typeof value}`);
}

function tenantSet(value: unknown): ReadonlySet<string> {
  if (Array.isArray(value) && value.length > 0) return new Set(value.map(text));
  throw new EvertokenError('USAGE', 'expected a list of tenants, or null for all');
}

const MOST_SKEW_SECONDS = 10 * 365 * 86_400;

function skew(value: unknown): number {
  if (typeof value === 'number' && Math.abs(value) <= MOST_SKEW_SECONDS) return value;
  throw new EvertokenError('USAGE', 'expected a clock skew in seconds, of ten years at most');
}

const percent = (share: number): string => `${Number((share * 100).toFixed(6))}%`;

const showRate = (rate: Rate | undefined): string | null =>
  rate === undefined ? null : `${rate.count}/${formatMs(rate.windowMs)}`;
