import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { stampOf } from '../../src/credentials/stamp.ts';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import {
  atHandOf,
  authenticated,
  clientOf,
  foreignJwt,
  keyCredential,
  makeFolder,
  makeKeyring,
  only,
  secretCredential,
} from '../support/credentials.ts';

const HOUR_MS = 3_600_000;

let first: Certified;
let second: Certified;

beforeAll(async () => {
  [first, second] = await Promise.all([makeCertificate(), makeCertificate()]);
});

const pem = ({ certificatePem, keyPem }: Certified): string => certificatePem + keyPem;

/** A client with one certificate in one file, and the clock by which it is judged. */
function setUp(content: string) {
  const folder = makeFolder();
  const file = folder.write('it.pem', content);
  const clock = { now: Date.now() };
  const keyring = makeKeyring({ clock: () => clock.now });
  const client = clientOf([keyCredential(file)]);
  return {
    clock,
    keyring,
    client,
    write: (text: string) => folder.write('it.pem', text),
    remove: () => rmSync(file.file),
    entry: async () => only(await keyring.of(client)),
    fingerprint: async () => only(await keyring.of(client)).atHand?.fingerprint,
  };
}

describe('a credential that is rotated', () => {
  test('is used from the next request on, and the old one goes on where it was taken', async () => {
    const { entry, write, keyring } = setUp(pem(first));
    const old = await entry();
    write(pem(second));
    const changes = await keyring.check();
    const fresh = await entry();
    expect(changes).toEqual([
      {
        client: 'billing',
        index: 0,
        fingerprint: atHandOf(fresh).fingerprint,
        previous: atHandOf(old).fingerprint,
        problem: undefined,
        detail: undefined,
      },
    ]);
    expect(atHandOf(fresh).fingerprint).not.toBe(atHandOf(old).fingerprint);
    expect((await authenticated(old)).body.get('client_assertion')).toMatch(/^ey/);
  });

  test('is told once', async () => {
    const { entry, write, keyring } = setUp(pem(first));
    await entry();
    expect(await keyring.check()).toEqual([]);
    write(pem(second));
    expect(await keyring.check()).toHaveLength(1);
    expect(await keyring.check()).toEqual([]);
  });

  it.each([
    ['half-written', () => pem(second).slice(0, -100), 'credential unreadable'],
    ['empty', () => '', 'credential empty'],
    [
      'of two that do not belong together',
      () => first.certificatePem + second.keyPem,
      'key of another certificate',
    ],
    ['no credential at all', () => 'moved to the vault', 'credential unreadable'],
  ])('and is %s leaves the old one in use and says so, until it is whole', async (_, content, problem) => {
    const { entry, write, keyring, fingerprint } = setUp(pem(first));
    const old = await fingerprint();
    write(content());
    expect(await keyring.check()).toMatchObject([{ fingerprint: old, previous: undefined, problem }]);
    expect(await entry()).toMatchObject({ atHand: { fingerprint: old }, problem });
    write(pem(second));
    expect(await keyring.check()).toMatchObject([{ previous: old, problem: undefined }]);
    expect(await fingerprint()).not.toBe(old);
  });

  test('and vanishes leaves the old one in use, and coming back ends the problem', async () => {
    const { write, remove, keyring, fingerprint } = setUp(pem(first));
    const old = await fingerprint();
    remove();
    expect(await keyring.check()).toMatchObject([{ fingerprint: old, problem: 'credential unreadable' }]);
    write(pem(first));
    expect(await keyring.check()).toMatchObject([{ fingerprint: old, problem: undefined }]);
  });

  test('written anew with the same content keeps what it has signed', async () => {
    const { entry, write, keyring } = setUp(pem(first));
    const now = Date.now();
    const before = (await authenticated(await entry(), { now })).body.get('client_assertion');
    write(pem(first));
    expect(await keyring.check()).toEqual([]);
    expect((await authenticated(await entry(), { now })).body.get('client_assertion')).toBe(before);
  });

  test('a moment ago may be rotated again without a trace, so it is read again', async () => {
    const file = makeFolder().write('secret', 'secret-10');
    expect((await stampOf([file.file])).young).toBe(true);
    expect((await stampOf([new URL('../../package.json', import.meta.url).pathname])).young).toBe(false);
  });

  test('many times within a moment, without a change of size, is always seen', async () => {
    const folder = makeFolder();
    const client = clientOf([secretCredential(folder.write('secret', 'secret-10'))]);
    const keyring = makeKeyring();
    const seen = new Set([atHandOf(only(await keyring.of(client))).fingerprint]);
    for (let n = 11; n < 30; n++) {
      folder.write('secret', `secret-${n}`);
      for (const { fingerprint } of await keyring.check()) seen.add(`${fingerprint}`);
    }
    expect(seen.size).toBe(20);
  });

  test('by the swap of a symbolic link, as Kubernetes renews a mounted secret, is noticed', async () => {
    const { path } = makeFolder();
    const publish = (version: string, content: string) => {
      mkdirSync(join(path, version));
      writeFileSync(join(path, version, 'tls.pem'), content);
      symlinkSync(version, join(path, '..data_tmp'));
      renameSync(join(path, '..data_tmp'), join(path, '..data'));
    };
    publish('..2030_01', pem(first));
    symlinkSync(join('..data', 'tls.pem'), join(path, 'tls.pem'));
    const keyring = makeKeyring();
    const client = clientOf([keyCredential({ file: join(path, 'tls.pem') })]);
    const old = atHandOf(only(await keyring.of(client))).fingerprint;
    publish('..2030_02', pem(second));
    expect(await keyring.check()).toMatchObject([{ previous: old, problem: undefined }]);
  });

  test('in its key file, or in that of its passphrase, is noticed as well', async () => {
    const folder = makeFolder();
    const seal = (passphrase: string) =>
      first.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }).toString();
    const source = folder.write('tls.crt', first.certificatePem);
    const keySource = folder.write('tls.key', seal('one'));
    const passphrase = folder.write('passphrase', 'one\n');
    const keyring = makeKeyring();
    await keyring.of(clientOf([keyCredential(source, { keySource, passphrase })]));
    folder.write('tls.key', seal('two'));
    expect(await keyring.check()).toMatchObject([{ problem: 'passphrase wrong' }]);
    folder.write('passphrase', 'two\n');
    expect(await keyring.check()).toMatchObject([{ problem: undefined }]);
  });
});

describe('a certificate', () => {
  const validFor = (fromMs: number, toMs: number): Promise<Certified> =>
    makeCertificate({ validFrom: Date.now() + fromMs, validTo: Date.now() + toMs });

  test('is at hand until its end', async () => {
    const { clock, keyring, entry } = setUp(pem(await validFor(-HOUR_MS, HOUR_MS)));
    const { fingerprint } = atHandOf(await entry());
    clock.now += 2 * HOUR_MS;
    expect(await entry()).toMatchObject({ atHand: undefined, problem: 'certificate expired' });
    expect(await keyring.check()).toMatchObject([
      { fingerprint: undefined, previous: fingerprint, problem: 'certificate expired' },
    ]);
  });

  test('is at hand when its time comes', async () => {
    const { clock, keyring, entry } = setUp(pem(await validFor(HOUR_MS, 9 * HOUR_MS)));
    expect(await entry()).toMatchObject({ atHand: undefined, problem: 'certificate not yet valid' });
    clock.now += 2 * HOUR_MS;
    const { fingerprint } = atHandOf(await entry());
    expect(await keyring.check()).toMatchObject([{ fingerprint, previous: undefined, problem: undefined }]);
  });

  test('of tomorrow waits while the one of today is in use, and takes its place in time', async () => {
    const { clock, keyring, entry, fingerprint, write } = setUp(pem(first));
    const today = await fingerprint();
    write(pem(await validFor(HOUR_MS, 9 * HOUR_MS)));
    expect(await keyring.check()).toMatchObject([
      { fingerprint: today, problem: 'certificate not yet valid' },
    ]);
    expect(await fingerprint()).toBe(today);
    clock.now += 2 * HOUR_MS;
    expect(await entry()).toMatchObject({ problem: undefined });
    expect(await keyring.check()).toMatchObject([{ previous: today, problem: undefined }]);
  });

  test('of tomorrow that is taken back is forgotten', async () => {
    const { clock, keyring, fingerprint, write } = setUp(pem(first));
    const today = await fingerprint();
    write(pem(await validFor(HOUR_MS, 9 * HOUR_MS)));
    await keyring.check();
    write(pem(first));
    expect(await keyring.check()).toMatchObject([{ fingerprint: today, problem: undefined }]);
    clock.now += 2 * HOUR_MS;
    expect(await fingerprint()).toBe(today);
  });
});

describe('the JWT of another issuer', () => {
  const jwt = (exp: number) => foreignJwt({ exp });

  test('is read anew when the platform renews it, and stays the same credential', async () => {
    const folder = makeFolder();
    const exp = Math.floor(Date.now() / 1000) + 600;
    const file = folder.write('token', jwt(exp));
    const clock = { now: Date.now() };
    const keyring = makeKeyring({ clock: () => clock.now });
    const client = clientOf([{ kind: 'federated', source: file }]);
    const { fingerprint } = atHandOf(only(await keyring.of(client)));

    folder.write('token', jwt(exp + 600));
    expect(await keyring.check()).toEqual([]);
    const renewed = only(await keyring.of(client));
    expect((await authenticated(renewed)).body.get('client_assertion')).toBe(jwt(exp + 600));

    clock.now += 1_300_000;
    expect(only(await keyring.of(client))).toMatchObject({ atHand: undefined, problem: 'assertion expired' });
    folder.write('token', jwt(exp + 6000));
    expect(await keyring.check()).toEqual([]);
    expect(atHandOf(only(await keyring.of(client))).fingerprint).toBe(fingerprint);
  });
});
