import { isIPv4, isIPv6 } from 'node:net';
import { parseDurationMs, parseRate, type Rate } from '../core/duration.ts';
import { printable } from '../core/target.ts';
import type { Address } from './config.ts';

/** What a text of the configuration means, or what is wrong with it. */
export type Read<T> = { readonly value: T } | { readonly problem: string };

export type Reader<T> = (text: string) => Read<T>;

/** Bounds are durations, so that a message shows them as they are written. */
export function durationMs(bounds: { readonly min: string; readonly max: string }): Reader<number> {
  const [minMs = 0, maxMs = 0] = [parseDurationMs(bounds.min), parseDurationMs(bounds.max)];
  return (text) => {
    const value = parseDurationMs(text);
    if (value !== undefined && value >= minMs && value <= maxMs) return { value };
    return {
      problem: `expected a duration from ${bounds.min} to ${bounds.max}, such as 20m, but got ${quoted(text)}`,
    };
  };
}

/** A duration, or `never`, which is read as 0. */
export function durationMsOrNever(bounds: { readonly min: string; readonly max: string }): Reader<number> {
  const read = durationMs(bounds);
  return (text) => {
    const result = text === 'never' ? { value: 0 } : read(text);
    return 'value' in result
      ? result
      : { problem: result.problem.replace(', such as', ' or never, such as') };
  };
}

/** A share of a token's life, written `75%`. Bounds are percentages. */
export function share(bounds: { readonly min: number; readonly max: number }): Reader<number> {
  return (text) => {
    const value = Number(/^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1]);
    if (value >= bounds.min && value <= bounds.max) return { value: value / 100 };
    return {
      problem: `expected a share from ${bounds.min}% to ${bounds.max}%, such as 75%, but got ${quoted(text)}`,
    };
  };
}

const INSTANT = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/** An ISO 8601 date, which means its first moment in UTC, or a date-time with its zone. Gives epoch ms. */
export function instant(text: string): Read<number> {
  const day = INSTANT.exec(text)?.[1] ?? '';
  const [start, value] = [Date.parse(day), Date.parse(text)];
  // Date.parse takes the 31st of a month that has 30 days for the first of the next.
  if (!Number.isNaN(start) && !Number.isNaN(value) && new Date(start).toISOString().startsWith(day))
    return { value };
  return {
    problem: 'expected a date, such as 2027-01-31, or a date and time with a zone, 2027-01-31T12:00:00Z',
  };
}

export interface RateBounds {
  readonly minCount: number;
  readonly maxCount: number;
  readonly maxWindow: string;
}

export function rate({ minCount, maxCount, maxWindow }: RateBounds): Reader<Rate> {
  const maxWindowMs = parseDurationMs(maxWindow) ?? 0;
  return (text) => {
    const value = parseRate(text);
    if (value && value.count >= minCount && value.count <= maxCount && value.windowMs <= maxWindowMs)
      return { value };
    const expected = `count/duration, such as 50/s or 5/5m, with a count from ${minCount} to ${maxCount} and at most ${maxWindow}`;
    return { problem: `expected a rate as ${expected}, but got ${quoted(text)}` };
  };
}

/** `host:port`; an IPv6 host in brackets. */
export function address(text: string): Read<Address> {
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const [host, port] = [match?.[1] ?? match?.[2], Number(match?.[3])];
  if (host === undefined || port > 65_535 || (match?.[1] !== undefined && !isIPv6(host))) {
    return { problem: `expected host:port, such as 127.0.0.1:8642 or [::1]:8642, but got ${quoted(text)}` };
  }
  return { value: { host, port } };
}

/** As `address`, on loopback only: whoever reaches the listener may do everything, for there is no authentication. */
export function loopbackAddress(text: string): Read<Address> {
  const read = address(text);
  if ('problem' in read || isLoopback(read.value.host)) return read;
  return {
    problem:
      `expected a loopback address (127.0.0.0/8, ::1 or localhost) but got ${quoted(text)}: ` +
      'there is no authentication yet; for probes and metrics use http.probes',
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** An origin, such as `https://login.microsoftonline.com`. Never echoes the text: a wrong URL may hold a password. */
export function authority(text: string): Read<string> {
  const read = endpointUrl(text);
  if ('problem' in read) return read;
  const { pathname, search, origin } = read.value;
  if (pathname === '/' && search === '') return { value: origin };
  return {
    problem:
      'expected an origin only, such as https://login.microsoftonline.com: the tenant comes from tenants, ' +
      'and for any other path there is tokenEndpoint',
  };
}

export const TENANT_PLACEHOLDER = '{tenant}';

/** Stands for the placeholder while the URL is normalised: every letter survives that. */
const MARKER = 'tenant-goes-here';

/** A URL in which `{tenant}` may stand in the path or query. Gives it normalised, with the placeholder. */
export function tokenEndpoint(text: string): Read<string> {
  const filled = text.replaceAll(TENANT_PLACEHOLDER, MARKER);
  if (/[{}]/.test(filled)) return { problem: 'expected no placeholder other than {tenant}' };
  const read = endpointUrl(filled);
  if ('problem' in read) return read;
  // A host for every tenant would mean a gate and an index for every tenant.
  if (read.value.host.includes(MARKER))
    return { problem: '{tenant} may stand in the path or query, not in the host' };
  return { value: read.value.href.replaceAll(MARKER, TENANT_PLACEHOLDER) };
}

/** The address of a server that a preset completes: a URL without query, in which `{tenant}` may stand in the path. */
export function serverUrl(text: string): Read<string> {
  const read = tokenEndpoint(text);
  if ('problem' in read) return read;
  if (read.value.includes('?'))
    return { problem: 'expected an address without a query, such as https://idp.example' };
  return { value: read.value.replace(/\/+$/, '') };
}

/** The URL of a secret or certificate in Azure Key Vault. Never echoes the text, which may be a secret. */
export function keyVaultUrl(text: string): Read<string> {
  const expected =
    'https://<vault>.vault.azure.net/secrets/<name> or …/certificates/<name>, a version may follow';
  if (!URL.canParse(text)) return { problem: `expected ${expected}` };
  const { protocol, username, password, pathname, search, hash, href } = new URL(text);
  const isPlain = protocol === 'https:' && username + password + search + hash === '';
  return isPlain && /^\/(?:secrets|certificates)\/[0-9A-Za-z-]{1,127}(?:\/[0-9A-Za-z]{1,64})?$/.test(pathname)
    ? { value: href }
    : { problem: `expected ${expected}` };
}

function endpointUrl(text: string): Read<URL> {
  if (!URL.canParse(text)) return { problem: 'expected a URL, such as https://idp.example/{tenant}/token' };
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return { problem: 'expected a URL without credentials: those belong under credentials' };
  }
  if (text.includes('#')) return { problem: 'expected a URL without a fragment (RFC 6749 section 3.2)' };
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(host))) {
    return {
      problem: 'expected https: the request carries credentials; plain http is for loopback hosts only',
    };
  }
  return { value: url };
}

/** Never echoes the text: it may hold a password. */
export function redisUrl(text: string): Read<string> {
  return isRedisUrl(text)
    ? { value: text }
    : { problem: 'expected redis://host:port/db or rediss://host:port/db' };
}

/** Nothing but what is said here: ioredis would take any of its options, a password too, from a query. */
function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, search, hash } = new URL(text);
  return (
    /^rediss?:$/.test(protocol) &&
    hostname !== '' &&
    /^(?:\/\d{0,4})?$/.test(pathname) &&
    search + hash === ''
  );
}

/** As `redisUrl`, for a file, where no secret may stand. */
export function redisUrlWithoutPassword(text: string): Read<string> {
  const read = redisUrl(text);
  if ('problem' in read || new URL(text).password === '') return read;
  return {
    problem:
      'expected a URL without a password: secrets come only by reference, ' +
      'redis: { url, password: { env: NAME } or { file: path } }, or as the whole URL in REDIS_URL',
  };
}

/** RFC 6749 section 3.3: words of printable ASCII, one space between them. */
export const isScope = (text: string): boolean =>
  /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(text);

/** RFC 8707 section 2: an absolute URI without a fragment. */
export const isResourceIndicator = (text: string): boolean => URL.canParse(text) && !/[#\s]/.test(text);

const quoted = (text: string): string => `"${printable(text)}"`;
