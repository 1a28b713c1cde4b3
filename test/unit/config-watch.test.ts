import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type ConfigWatch, watchConfig } from '../../src/config/watch.ts';
import type { EvertokenError } from '../../src/core/errors.ts';
import { makeCertificate } from '../support/certificates.ts';
import { ConfigFolder } from '../support/config-folder.ts';

const POLL_MS = 10;

const settings = (changes: object = {}): string =>
  JSON.stringify({
    clients: {
      a: {
        clientId: 'id',
        authority: 'https://login.example',
        credentials: [{ secret: { env: 'A_B' } }],
        tenants: ['contoso'],
        resources: { graph: 'https://graph/.default' },
        ...changes,
      },
    },
  });

type Report = Config | EvertokenError;

/** A watch of the configuration in a folder, and what it reported. */
class Watched {
  readonly reports: Report[] = [];
  readonly watch: ConfigWatch;
  #wake: () => void = () => undefined;

  constructor(file: string, current = loadConfig(file, {})) {
    const report = (each: Report): void => {
      this.reports.push(each);
      this.#wake();
    };
    this.watch = watchConfig({
      file,
      env: {},
      current,
      onChange: report,
      onProblem: report,
      pollMs: POLL_MS,
    });
    onTestFinished(() => this.watch.stop());
  }

  /** The next report that has not been taken yet. */
  async next(): Promise<Report> {
    while (this.reports.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.reports.shift() as Report;
  }

  async nextConfig(): Promise<Config> {
    const report = await this.next();
    if ('code' in report) throw report;
    return report;
  }

  async nextProblem(): Promise<string> {
    const report = await this.next();
    if ('code' in report) return report.message;
    throw new Error('expected a problem, but got a configuration');
  }

  /** Long enough for many looks, on a machine that has other things to do. */
  async expectSilence(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 15 * POLL_MS));
    expect(this.reports).toEqual([]);
  }
}

const tenantsOf = ({ clients }: Config): readonly string[] | undefined => clients[0]?.tenants;

function watched(content = settings()): { folder: ConfigFolder; file: string; watch: Watched } {
  const folder = new ConfigFolder();
  const file = folder.write('evertoken.yaml', content);
  return { folder, file, watch: new Watched(file) };
}

describe('a change of the file', () => {
  it('is loaded and reported, each anew', async () => {
    const { folder, watch } = watched();
    folder.write('evertoken.yaml', settings({ tenants: ['fabrikam'] }));
    expect(tenantsOf(await watch.nextConfig())).toEqual(['fabrikam']);
    folder.write('evertoken.yaml', settings({ tenants: ['adatum'] }));
    expect(tenantsOf(await watch.nextConfig())).toEqual(['adatum']);
    await watch.expectSilence();
  });

  it('is seen also when it came between the load and the watch', async () => {
    const folder = new ConfigFolder();
    const file = folder.write('evertoken.yaml', settings());
    const current = loadConfig(file, {});
    folder.write('evertoken.yaml', settings({ tenants: ['fabrikam', 'adatum'] }));
    expect(tenantsOf(await new Watched(file, current).nextConfig())).toEqual(['fabrikam', 'adatum']);
  });

  it('is none when only the time is another', async () => {
    const { file, watch } = watched();
    utimesSync(file, 1, 1);
    await watch.expectSilence();
  });

  it('is seen when neither size nor time is another', async () => {
    const folder = new ConfigFolder();
    const file = folder.write('evertoken.yaml', settings());
    utimesSync(file, 1, 1);
    const watch = new Watched(file);
    writeFileSync(file, settings({ tenants: ['adatumm'] }));
    utimesSync(file, 1, 1);
    expect(tenantsOf(await watch.nextConfig())).toEqual(['adatumm']);
  });

  it('is seen in the list of tenants and in the authorities to trust', async () => {
    const folder = new ConfigFolder();
    const [first, second] = await Promise.all([makeCertificate(), makeCertificate()]);
    folder.write('tenants.txt', 'contoso\n');
    folder.write('ca.pem', first.certificatePem);
    const changes = { tenants: { file: 'tenants.txt' }, ca: { file: 'ca.pem' } };
    const watch = new Watched(folder.write('evertoken.yaml', settings(changes)));
    folder.write('tenants.txt', 'contoso\nfabrikam\n');
    expect(tenantsOf(await watch.nextConfig())).toEqual(['contoso', 'fabrikam']);
    folder.write('ca.pem', `${first.certificatePem}\n${second.certificatePem}`);
    expect((await watch.nextConfig()).clients[0]?.ca).toContain(second.certificatePem);
  });

  it('is seen in a list that was not named before', async () => {
    const { folder, watch } = watched();
    folder.write('tenants.txt', 'adatum');
    folder.write('evertoken.yaml', settings({ tenants: { file: 'tenants.txt' } }));
    const { files } = await watch.nextConfig();
    expect(files).toEqual(['evertoken.yaml', 'tenants.txt'].map((name) => join(folder.path, name)));
    folder.write('tenants.txt', 'fabrikam');
    expect(tenantsOf(await watch.nextConfig())).toEqual(['fabrikam']);
  });

  it('is seen through the swap of a symbolic link, as Kubernetes mounts do it', async () => {
    const folder = new ConfigFolder();
    const version = (name: string, tenant: string): void => {
      mkdirSync(join(folder.path, name));
      folder.write(join(name, 'evertoken.yaml'), settings({ tenants: [tenant] }));
      symlinkSync(name, join(folder.path, '..new'));
      renameSync(join(folder.path, '..new'), join(folder.path, '..data'));
    };
    version('..1', 'contoso');
    const file = join(folder.path, 'evertoken.yaml');
    symlinkSync(join('..data', 'evertoken.yaml'), file);
    const watch = new Watched(file);
    version('..2', 'adatumm');
    expect(tenantsOf(await watch.nextConfig())).toEqual(['adatumm']);
    await watch.expectSilence();
  });

  it('waits until whoever writes has finished', async () => {
    const { folder, file, watch } = watched();
    const whole = settings({ tenants: ['fabrikam'] });
    folder.write('evertoken.yaml', whole.slice(0, 20));
    // More often than it is looked at, so that it is never the same twice.
    for (let end = 20; end < whole.length; end += 5) {
      appendFileSync(file, whole.slice(end, end + 5));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(tenantsOf(await watch.nextConfig())).toEqual(['fabrikam']);
    await watch.expectSilence();
  });

  it('is taken over with 100,000 tenants', async () => {
    const folder = new ConfigFolder();
    const list = (count: number): string => Array.from({ length: count }, (_, i) => `tenant-${i}`).join('\n');
    folder.write('tenants.txt', list(1000));
    const watch = new Watched(folder.write('evertoken.yaml', settings({ tenants: { file: 'tenants.txt' } })));
    folder.write('tenants.txt', list(100_000));
    expect(tenantsOf(await watch.nextConfig())).toHaveLength(100_000);
  });
});

describe('a file that cannot be used', () => {
  it('is reported once, and its repair too, even to what was there before', async () => {
    const { folder, file, watch } = watched();
    folder.write('evertoken.yaml', 'clients: [');
    expect(await watch.nextProblem()).toMatch(/evertoken\.yaml:1:\d+: the indentation does not fit/);
    utimesSync(file, 1, 1);
    await watch.expectSilence();
    folder.write('evertoken.yaml', 'clients: {}');
    expect(await watch.nextProblem()).toContain('clients: expected at least one client');
    folder.write('evertoken.yaml', settings());
    expect(tenantsOf(await watch.nextConfig())).toEqual(['contoso']);
  });

  it('may vanish and come back', async () => {
    const { file, folder, watch } = watched();
    rmSync(file);
    expect(await watch.nextProblem()).toMatch(/^the configuration .*evertoken\.yaml does not exist$/);
    await watch.expectSilence();
    folder.write('evertoken.yaml', settings({ tenants: ['fabrikam'] }));
    expect(tenantsOf(await watch.nextConfig())).toEqual(['fabrikam']);
  });

  it('may name a file that comes later', async () => {
    const { folder, watch } = watched();
    folder.write('evertoken.yaml', settings({ tenants: { file: 'later.txt' } }));
    expect(await watch.nextProblem()).toContain('the file of tenants does not exist');
    folder.write('later.txt', 'fabrikam');
    expect(tenantsOf(await watch.nextConfig())).toEqual(['fabrikam']);
  });

  it.each([
    ['deeply nested', '['.repeat(50_000)],
    ['deeply nested claims', `clients: { a: { claims: ${'{a: '.repeat(20_000)} } }`],
    ['binary', '\u0000\u0001\ufffd'],
    ['full of aliases', `a: &a [x]\n${'b: [*a, *a]\n'.repeat(50)}`],
  ])('does not end the process: %s', async (_, content) => {
    const { folder, watch } = watched();
    folder.write('evertoken.yaml', content);
    expect(await watch.nextProblem()).toContain('evertoken.yaml');
    folder.write('evertoken.yaml', settings({ tenants: ['adatum'] }));
    expect(tenantsOf(await watch.nextConfig())).toEqual(['adatum']);
  });
});

describe('a reload by order', () => {
  it('reports at once, also where nothing has changed', () => {
    const { watch } = watched();
    watch.watch.reload();
    expect(watch.reports).toMatchObject([{ clients: [{ tenants: ['contoso'] }] }]);
  });

  it('reports what is wrong each time', async () => {
    const { file, watch } = watched();
    writeFileSync(file, 'clients: {}');
    watch.watch.reload();
    watch.watch.reload();
    expect(watch.reports.splice(0)).toMatchObject([{ code: 'CONFIG_INVALID' }, { code: 'CONFIG_INVALID' }]);
    await watch.expectSilence();
  });
});

it('nothing is reported after the stop', async () => {
  const { folder, watch } = watched();
  watch.watch.stop();
  folder.write('evertoken.yaml', settings({ tenants: ['fabrikam'] }));
  await watch.expectSilence();
});
