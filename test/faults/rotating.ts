import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { fleet, type IdentityProvider, type LoggedRequest, startMockIdp, tenants } from '../support/fleet.ts';
import type { TestProcess } from '../support/process.ts';
import { Reader } from '../support/reader.ts';
import { sharedRedis } from '../support/redis.ts';

export const CLIENT_ID = 'rotating-app';
export const LIFETIME_MS = 20_000;
/** Every target is refreshed within it. */
export const CYCLE_MS = 0.6 * LIFETIME_MS;
/** Files are looked at every second, a new credential is proved, and other requests are on their way. */
export const TAKEN_UP_MS = 4000;
/** Before any answer: so that there is always something in flight. */
const DELAY_MS = 200;
/** What a daemon and Redis need, on a busy machine, to take note of an answer. */
const NOTED_MS = 400;
/** A refused credential is tried again after so long, by one request. */
const COOL_DOWN_MS = 30_000;
const RESOURCES = ['one', 'two', 'three'];

/** What mock-idp logs of a request with a credential. */
export interface CredentialRequest extends LoggedRequest {
  readonly credential?: string;
  readonly error?: number;
}

/** The requests that were answered, oldest first; of those in flight nobody knows yet. */
export const answeredAt = async (idp: IdentityProvider): Promise<readonly CredentialRequest[]> =>
  (await idp.requests()).filter(({ status }) => status !== 0);

export const refusedAt = async (idp: IdentityProvider): Promise<readonly CredentialRequest[]> =>
  (await answeredAt(idp)).filter(({ status }) => status !== 200);

/** How mock-idp names a secret or a certificate's DER in its log. */
export const nameOf = (credential: string | Buffer): string =>
  createHash('sha256').update(credential).digest('base64url').slice(0, 8);

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Puts a file in place of another as a careful program does: nobody sees a half of it. */
export function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** A folder as Kubernetes mounts a secret: the files are links through `..data`, which is swapped as a whole. */
export class MountedSecret {
  readonly #folder = temporaryFolder();
  #version = 0;

  /** Puts all files in place at once. */
  swap(files: Readonly<Record<string, string>>): void {
    this.#version += 1;
    const version = `..v${this.#version}`;
    mkdirSync(join(this.#folder, version));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.#folder, version, name), text);
    symlinkSync(version, join(this.#folder, '..data_tmp'));
    renameSync(join(this.#folder, '..data_tmp'), join(this.#folder, '..data'));
    if (this.#version > 1) return;
    for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(this.#folder, name));
  }

  file(name: string): string {
    return join(this.#folder, name);
  }
}

export interface Rotating {
  readonly idp: IdentityProvider;
  readonly reader: Reader;
  readonly daemons: readonly TestProcess[];
  /** What the server knows of the client from now on. */
  register(registration: object): Promise<void>;
  /** Requests that a credential won a token with, and when the last was sent that used any other. Epoch ms. */
  uses(credential: string): Promise<{ readonly accepted: number; readonly lastOfOthers: number }>;
  /** Stops the daemons, which must end well. */
  stop(): Promise<void>;
}

export interface RotatingOptions {
  /** YAML. */
  readonly credentials: string;
  readonly registration: object;
  readonly control?: object;
  /** Each has three targets. Default 100. */
  readonly tenantCount?: number;
  readonly limits?: string;
  /** Default two. */
  readonly daemonCount?: number;
  /** Default {@link LIFETIME_MS}. */
  readonly lifetimeMs?: number;
}

/** Daemons that keep short-lived tokens fresh at mock-idp, and a reader of every key. */
export async function startRotating(options: RotatingOptions): Promise<Rotating> {
  const { credentials, registration, control = {}, tenantCount = 100, daemonCount = 2 } = options;
  const lifetime = `${(options.lifetimeMs ?? LIFETIME_MS) / 1000}s`;
  const { url, namespace } = sharedRedis();
  const idp = await startMockIdp('--lifetime', lifetime, '--delay', `${DELAY_MS}ms`);
  const register = (known: object): Promise<void> => idp.control({ clients: { [CLIENT_ID]: known } });
  await register(registration);
  await idp.control(control);
  const ids = tenants('t', tenantCount);
  const clients = `
  app:
    clientId: ${CLIENT_ID}
    tokenEndpoint: ${idp.url}/{tenant}/oauth2/v2.0/token
    credentials: ${credentials}
    tenants: [${ids.join(', ')}]
    resources: { ${RESOURCES.map((name) => `${name}: https://${name}.example/.default`).join(', ')} }
    expectLifetime: ${lifetime}`;
  const limits = options.limits ?? '{ perHost: 100/s, perTenant: 10/s, identical: 10/20s }';
  const setting = fleet({ redisUrl: url, namespace, idpUrl: '', limits, clients });
  const targets = ids.flatMap((tenant) => RESOURCES.map((resource) => `app/${tenant}/${resource}`));
  const reader = new Reader(url, namespace, targets);
  reader.start();
  const daemons = await Promise.all(Array.from({ length: daemonCount }, () => setting.start()));
  const stop = async (): Promise<void> => {
    const exits = await Promise.all(daemons.map((daemon) => daemon.stop()));
    for (const { code } of exits) expect(code).toBe(0);
  };
  const uses = async (credential: string) => {
    const { ours = [], others = [] } = Object.groupBy(await answeredAt(idp), (each) =>
      each.credential === credential ? 'ours' : 'others',
    );
    const accepted = ours.filter(({ status }) => status === 200).length;
    return { accepted, lastOfOthers: others.at(-1)?.at ?? 0 };
  };
  return { idp, reader, daemons, register, uses, stop };
}

/**
 * The requests with a dead credential, as far as there is no excuse for them: not the first two tenants', whose
 * refusals are the evidence, and not what was on its way until the second of them was answered and noted.
 */
export function withoutExcuse(
  requests: readonly CredentialRequest[],
  dead: string,
): readonly CredentialRequest[] {
  const refused = requests.filter(({ credential, status }) => credential === dead && status === 401);
  const first = refused[0];
  const second = refused.find(({ tenant }) => tenant !== first?.tenant);
  if (second === undefined) return refused.slice(1);
  return refused.filter(({ at }) => at > second.at + DELAY_MS + NOTED_MS);
}

/** What may be refused beyond that: one probe for each cool-down that has passed. */
export const probesIn = (ms: number): number => Math.floor(ms / COOL_DOWN_MS);

/** No reader has missed a token or seen an older or dead one. */
export function expectUnharmed({ reader }: Rotating): void {
  const { missed, wentBack, expired, present } = reader.seen;
  expect({ missed, wentBack, expired, present }).toEqual({
    missed: [],
    wentBack: [],
    expired: [],
    present: 300,
  });
}
