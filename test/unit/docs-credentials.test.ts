import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { Keyring } from '../../src/credentials/keyring.ts';
import { makeCertificate } from '../support/certificates.ts';

const text = readFileSync(new URL('../../docs/credentials.md', import.meta.url), 'utf8');

/** The code blocks of a language, without the indentation of a list. */
function blocks(language: string): string[] {
  const found = text.matchAll(new RegExp(`^( *)\`\`\`${language}\n([^]*?)^ *\`\`\`$`, 'gm'));
  return [...found].map(([, indent = '', block = '']) =>
    block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'evertoken-docs-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function load(path: string, yaml: string) {
  const file = join(path, 'evertoken.yaml');
  writeFileSync(file, yaml);
  return loadConfig(file, {});
}

test('every configuration in the document is one', async () => {
  const path = folder();
  const { certificatePem } = await makeCertificate();
  writeFileSync(join(path, 'bank-ca.pem'), certificatePem);
  const all = blocks('yaml');
  expect(all.length).toBeGreaterThan(5);
  for (const yaml of all) expect(load(path, yaml).clients.length).toBeGreaterThan(0);
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

test.skipIf(!hasOpenssl)('what its openssl commands make can be used as it says', async () => {
  const path = folder();
  const commands = blocks('sh').filter((block) => block.startsWith('openssl'));
  expect(commands).toHaveLength(2);
  for (const command of commands) execFileSync('sh', ['-ec', command], { cwd: path, stdio: 'ignore' });
  const usable = async (yaml: string): Promise<unknown[]> => {
    const keyring = new Keyring({ env: {}, clock: Date.now });
    onTestFinished(() => keyring.close());
    const entries = await Promise.all(load(path, yaml).clients.map((client) => keyring.of(client)));
    return entries.flat().map(({ credential, problem }) => [credential.kind, problem]);
  };
  const [withCertificate, withKey] = [
    blocks('yaml').find((block) => /certificate: \{ file: billing.pem \}/.test(block)),
    blocks('yaml').find((block) => /file: hr.key, kid/.test(block)),
  ];
  expect(await usable(withCertificate ?? '')).toEqual([['certificate', undefined]]);
  expect(await usable(withKey ?? '')).toEqual([['privateKey', undefined]]);
});
