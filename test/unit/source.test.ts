import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SecretSource } from '../../src/core/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Environment, findSecret, nameVariable } from '../../src/credentials/source.ts';

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

function reveal(source: SecretSource, env: Environment = {}): string {
  const found = findSecret(source, env);
  return found instanceof Secret ? found.reveal() : `no secret: ${found.problem}`;
}

describe('a secret from a file', () => {
  it.each([
    ['drops the line break that editors add', 'pa ss\n', 'pa ss'],
    ['drops white space of any kind at the end', 'pass \t\r\n\n', 'pass'],
    ['keeps white space at the beginning', '  pass', '  pass'],
    ['drops a byte order mark', '\ufeffpass', 'pass'],
  ])('%s', (_, content, expected) => {
    expect(reveal(file(content))).toBe(expected);
  });

  it('is read anew each time, so that a rotated one counts', () => {
    expect(reveal(file('old'))).toBe('old');
    expect(reveal(file('new'))).toBe('new');
  });
});

describe('a secret from a variable', () => {
  it('is taken from the environment that is given', () => {
    expect(reveal({ env: 'A_B' }, { A_B: ' pass ' })).toBe(' pass ');
  });

  it('drops line breaks at the end, which `echo | base64` leaves there', () => {
    expect(reveal({ env: 'A_B' }, { A_B: 'pass\r\n' })).toBe('pass');
  });
});

describe('a secret that is not there', () => {
  it.each([
    ['an unset variable', () => ({ env: 'BILLING_SECRET' }), 'is not set'],
    ['an empty variable', () => ({ env: 'EMPTY_ONE' }), 'is empty'],
    ['a missing file', () => ({ file: join(folder, 'nothing') }), 'does not exist'],
    ['a file below a file', () => ({ file: join(file('x').file, 'x') }), 'does not exist'],
    ['an empty file', () => file(' \n'), 'is empty'],
    ['a folder', () => ({ file: folder }), 'is a folder'],
    ['a device or a pipe', () => ({ file: '/dev/zero' }), 'is not a regular file'],
  ])('says why, and nothing of its source: %s', (_, source, problem) => {
    expect(findSecret(source(), { EMPTY_ONE: ' ' })).toEqual({ problem });
  });
});

describe('the name of a variable', () => {
  it('is shown', () => {
    expect(nameVariable('BILLING_SECRET')).toBe('the environment variable BILLING_SECRET');
  });

  it.each(['hunter2', 'A1B2C3D4E5F6A7B8', 'Q~8aB_c', 'hunter_2'])(
    'is not repeated where it may be a secret that was written in its place: %s',
    (pasted) => {
      expect(nameVariable(pasted)).toBe('the environment variable');
    },
  );
});
