import { rmSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Certified, makeCertificate } from '../support/certificates.ts';
import {
  atHandOf,
  clientOf,
  keyCredential,
  makeFolder,
  makeKeyring,
  only,
  secretCredential,
} from '../support/credentials.ts';

let first: Certified;
let second: Certified;

beforeAll(async () => {
  [first, second] = await Promise.all([makeCertificate(), makeCertificate()]);
});

const pem = ({ certificatePem, keyPem }: Certified): string => certificatePem + keyPem;

/** A client with one certificate in one file. */
function setUp(content: string) {
  const folder = makeFolder();
  const file = folder.write('it.pem', content);
  const keyring = makeKeyring();
  const client = clientOf([keyCredential(file)]);
  return {
    keyring,
    client,
    write: (text: string) => folder.write('it.pem', text),
    remove: () => rmSync(file.file),
    entry: async () => only(await keyring.of(client)),
  };
}

describe('the keyring', () => {
  test('gives all credentials of a client in their order, with the problem of each', async () => {
    const folder = makeFolder();
    const client = clientOf([
      keyCredential(folder.write('new.pem', 'nonsense')),
      secretCredential({ env: 'BILLING_SECRET' }),
    ]);
    const keyring = makeKeyring({ env: { BILLING_SECRET: 'x' } });
    expect(await keyring.of(client)).toMatchObject([
      { index: 0, credential: client.credentials[0], atHand: undefined, problem: 'credential unreadable' },
      { index: 1, credential: client.credentials[1], atHand: { signsAssertions: false }, problem: undefined },
    ]);
  });

  test('tells the problems of the first loading too', async () => {
    const { keyring, entry } = setUp('nonsense');
    await entry();
    expect(await keyring.check()).toMatchObject([
      { fingerprint: undefined, problem: 'credential unreadable' },
    ]);
    expect(await keyring.check()).toEqual([]);
  });

  test('loads a client once, however many ask at the same time, and then looks at no file', async () => {
    const { keyring, client, remove } = setUp(pem(first));
    const all = await Promise.all(Array.from({ length: 50 }, () => keyring.of(client)));
    remove();
    all.push(await keyring.of(client));
    expect(new Set(all.map((entries) => atHandOf(only(entries)).authenticate)).size).toBe(1);
  });

  test('keeps in use what a new configuration has as well', async () => {
    const { keyring, client, write } = setUp(pem(first));
    const { authenticate } = atHandOf(only(await keyring.of(client)));
    write('half-written');
    const [kept] = client.credentials;
    const changed = clientOf([secretCredential({ env: 'NEW_ONE' }), ...(kept ? [kept] : [])]);
    keyring.retain([changed]);
    const [fresh, old] = await keyring.of(changed);
    expect(fresh).toMatchObject({ index: 0, problem: 'credential unreadable' });
    expect(old).toMatchObject({ index: 1, atHand: { authenticate } });
  });

  test('forgets clients that are configured no more', async () => {
    const { keyring, client, write } = setUp(pem(first));
    const { fingerprint } = atHandOf(only(await keyring.of(client)));
    keyring.retain([]);
    write(pem(second));
    expect(await keyring.check()).toEqual([]);
    expect(atHandOf(only(await keyring.of(client))).fingerprint).not.toBe(fingerprint);
  });

  test('gives a secret the same fingerprint again, and another one to another client or secret', async () => {
    const fingerprintOf = async (secret: string, clientId?: string) => {
      const more = clientId === undefined ? {} : { clientId };
      const client = clientOf([secretCredential({ env: 'A_B' })], more);
      return atHandOf(only(await makeKeyring({ env: { A_B: secret } }).of(client))).fingerprint;
    };
    const fingerprint = await fingerprintOf('x');
    expect(fingerprint).toMatch(/^[A-Za-z0-9_-]{8}$/);
    expect(await fingerprintOf('x')).toBe(fingerprint);
    expect(await fingerprintOf('y')).not.toBe(fingerprint);
    expect(await fingerprintOf('x', 'another')).not.toBe(fingerprint);
  });
});
