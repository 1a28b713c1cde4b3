import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSecret } from '../../src/credentials/source.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evertoken-source-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string): { file: string } {
  const path = join(folder, 'secret');
  writeFileSync(path, content);
  return { file: path };
}

describe('a secret from a file', () => {
  it.each([
    ['drops the line break that editors add', 'pa ss\n', 'pa ss'],
    ['drops white space of any kind at the end', 'pass \t\r\n\n', 'pass'],
    ['keeps white space at the beginning', '  pass', '  pass'],
    ['drops a byte order mark', '\ufeffpass', 'pass'],
  ])('%s', (_, content, expected) => {
    expect(readSecret(file(content), {}).reveal()).toBe(expected);
  });

  it('is read anew each time, so that a rotated one counts', () => {
    expect(readSecret(file('old'), {}).reveal()).toBe('old');
    expect(readSecret(file('new'), {}).reveal()).toBe('new');
  });
});

describe('a secret from a variable', () => {
  it('is taken from the environment that is given', () => {
    expect(readSecret({ env: 'A_B' }, { A_B: ' pass ' }).reveal()).toBe(' pass ');
  });

  it('drops line breaks at the end, which `echo | base64` leaves there', () => {
    expect(readSecret({ env: 'A_B' }, { A_B: 'pass\r\n' }).reveal()).toBe('pass');
  });
});

describe('a secret that is not there', () => {
  it.each([
    [
      'an unset variable',
      () => ({ env: 'BILLING_SECRET' }),
      /^the environment variable BILLING_SECRET is not set: set it/,
    ],
    ['an empty variable', () => ({ env: 'EMPTY_ONE' }), /EMPTY_ONE is empty: set it/],
    [
      'a missing file',
      () => ({ file: join(folder, 'nothing') }),
      /nothing does not exist: put the secret there/,
    ],
    ['a file below a file', () => ({ file: join(file('x').file, 'x') }), /does not exist/],
    ['an empty file', () => file(' \n'), /is empty: put the secret there/],
    ['a folder', () => ({ file: folder }), /is a folder/],
  ])('is CREDENTIAL_UNREADABLE with what to do: %s', (_, source, message) => {
    const read = () => readSecret(source(), { EMPTY_ONE: ' ' });
    expect(read).toThrow(expect.objectContaining({ code: 'CREDENTIAL_UNREADABLE' }));
    expect(read).toThrow(message);
  });

  it.each(['hunter2', 'A1B2C3D4E5F6A7B8', 'Q~8aB_c', 'hunter_2'])(
    'does not repeat %s, which was written where a variable is named',
    (pasted) => {
      expect(() => readSecret({ env: pasted }, {})).toThrow(/^the environment variable is not set/);
    },
  );
});
