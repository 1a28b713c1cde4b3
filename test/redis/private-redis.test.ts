import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startPrivateRedis } from '../../src/demo/private-redis.ts';
import { findRedis } from '../../src/demo/redis-binary.ts';
import { startNode } from '../support/process.ts';
import { connect, ownRedis } from '../support/redis.ts';

const PRIVATE_REDIS = new URL('../../src/demo/private-redis.ts', import.meta.url).href;

async function setting(client: ReturnType<typeof connect>, name: string): Promise<unknown> {
  return ((await client.call('CONFIG', 'GET', name)) as string[])[1];
}

test('listens on loopback only, evicts nothing and writes no snapshots', async () => {
  const redis = await ownRedis();
  const client = connect(redis.url);
  expect(await client.ping()).toBe('PONG');
  expect(await setting(client, 'bind')).toBe('127.0.0.1');
  expect(await setting(client, 'maxmemory-policy')).toBe('noeviction');
  expect(await setting(client, 'save')).toBe('');
});

test('two at once have a port, a process and a directory each', async () => {
  const [one, other] = await Promise.all([ownRedis(), ownRedis()]);
  expect(one.port).not.toBe(other.port);
  expect(one.pid).not.toBe(other.pid);
  expect(await setting(connect(one.url), 'dir')).not.toBe(await setting(connect(other.url), 'dir'));
});

test('a persistent one has its data again after a SIGKILL and a restart', async () => {
  const redis = await ownRedis({ persistent: true });
  const { port, pid } = redis;
  const client = connect(redis.url);
  await client.set('k', 'v');
  await redis.kill('SIGKILL');
  await redis.restart();
  expect(await client.get('k')).toBe('v');
  expect(redis.port).toBe(port);
  expect(redis.pid).not.toBe(pid);
});

test('one that is not persistent is empty after a restart', async () => {
  const redis = await ownRedis();
  const client = connect(redis.url);
  await client.set('k', 'v');
  await redis.restart();
  expect(await client.exists('k')).toBe(0);
});

test('asks for the password, which the URL holds, and takes further arguments', async () => {
  const redis = await ownRedis({ password: 'p/w d', args: ['--maxmemory', '64mb'] });
  expect(await setting(connect(redis.url), 'maxmemory')).toBe(`${64 * 1024 * 1024}`);
  await expect(connect(`redis://127.0.0.1:${redis.port}`).ping()).rejects.toThrow('NOAUTH');
});

test('ends and removes its directory, also while it is stopped by a signal', async () => {
  const redis = await startPrivateRedis();
  const directory = String(await setting(connect(redis.url), 'dir'));
  await redis.kill('SIGSTOP');
  await redis.stop();
  expect(existsSync(directory)).toBe(false);
  expect(isAlive(redis.pid)).toBe(false);
});

test('leaves a Redis alone that already has the port', async () => {
  const redis = await ownRedis();
  await expect(startPrivateRedis({ port: redis.port })).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE' });
  expect(await connect(redis.url).ping()).toBe('PONG');
});

test('a parent that is killed leaves neither the process nor the directory behind', async () => {
  const parent = startNode([
    '--input-type=module',
    '-e',
    `import { startPrivateRedis } from '${PRIVATE_REDIS}';
     console.log((await startPrivateRedis({ persistent: true })).url);`,
  ]);
  const url = await parent.waitForLine((line) => line.startsWith('redis://'));
  const client = connect(url, { retryStrategy: () => null });
  const directory = String(await setting(client, 'dir'));
  const lost = new Promise((resolve) => client.once('end', resolve));
  await parent.stop('SIGKILL');
  await lost;
  await vi.waitFor(() => expect(existsSync(directory)).toBe(false), { interval: 5, timeout: 5_000 });
});

test('says what to install where there is nothing to run', async () => {
  vi.stubEnv('PATH', emptyFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(findRedis()).rejects.toMatchObject({
    code: 'REDIS_MISSING',
    message: expect.stringContaining('install'),
  });
});

const isDebianRoot = existsSync('/etc/debian_version') && process.getuid?.() === 0;

test.runIf(isDebianRoot)(
  'installs the distribution’s package without its service, after one line that says so',
  async () => {
    const folder = emptyFolder();
    const log = join(folder, 'log');
    const server = '#!/bin/sh\\necho Redis server v=7.0.15';
    program(
      folder,
      'apt-get',
      `echo "$@" >> ${log}\nprintf '${server}' > ${folder}/redis-check-rdb\n/bin/chmod +x ${folder}/redis-check-rdb`,
    );
    vi.stubEnv('PATH', folder);
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    onTestFinished(() => {
      vi.unstubAllEnvs();
      stderr.mockRestore();
    });
    expect(await findRedis()).toMatchObject({
      path: join(folder, 'redis-check-rdb'),
      calledAs: 'redis-server',
    });
    expect(stderr.mock.calls).toEqual([[expect.stringMatching(/^evertoken: installing .*\n$/)]]);
    expect(readFileSync(log, 'utf8')).toMatch(/ install .*redis-tools\n$/);
  },
);

test('passes over a Redis that is too old', async () => {
  const folder = emptyFolder();
  program(folder, 'redis-server', 'echo "Redis server v=6.0.16 sha=0"');
  program(folder, 'valkey-server', 'echo "Valkey server v=8.1.0 sha=0"');
  vi.stubEnv('PATH', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await findRedis()).toMatchObject({ path: join(folder, 'valkey-server') });
});

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'evertoken-path-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function program(folder: string, name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
