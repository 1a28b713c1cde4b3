import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { reportError } from '../../src/cli/report-error.ts';
import { readVersion } from '../../src/cli/version.ts';
import { EvertokenError } from '../../src/core/errors.ts';
import { commandLine, configText } from '../support/cli.ts';

const NOWHERE = configText({ redisUrl: 'redis://127.0.0.1:1' });

describe('the command line', () => {
  test('prints its version', async () => {
    const { code, stdout } = await commandLine(NOWHERE).run('--version');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${readVersion()}\n` });
  });

  test('has help with examples for every command', async () => {
    const { code, stdout } = await commandLine(NOWHERE).run('help', 'refresh');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples:\n {2}\$ evertoken refresh/);
  });

  test('without a command prints its help and ends with 2', async () => {
    const { code, stdout, stderr } = await commandLine(NOWHERE).run();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: evertoken');
  });

  test.each<[string, string[], RegExp]>([
    [
      'an unknown command, with a suggestion',
      ['statsu'],
      /unknown command 'statsu'\n\(Did you mean status\?\)/,
    ],
    ['an unknown option', ['status', '--jsno'], /unknown option '--jsno'/],
    ['a missing argument', ['get'], /missing required argument 'target'/],
    ['a malformed target', ['get', 'Billing/contoso'], /expected a target as client\/tenant\/resource/],
    ['a malformed target of explain', ['explain', 'x'], /expected a target as client\/tenant\/resource/],
    ['a malformed select', ['refresh', 'billing'], /expected a select as client\/tenant\/resource/],
    ['everything without --all', ['refresh', '*'], /means every target/],
    ['a malformed duration', ['pause', 'a/b/c', '--for', '1x'], /expected a duration such as 90s/],
    ['a malformed moment', ['pause', 'a/b/c', '--until', 'tomorrow'], /expected a moment in ISO 8601/],
    [
      'two ends of a pause',
      ['pause', 'a/b/c', '--for', '1h', '--until', '2030-01-01'],
      /cannot be used with/,
    ],
    ['an unknown role', ['start', '--role', 'boss'], /Allowed choices are all, scheduler, worker/],
    ['a purge that cannot ask', ['purge', 'a/b/c'], /say --yes where nobody can be asked/],
    ['neither tenants nor --absent', ['remove', 'billing'], /expected either tenants or --absent/],
    ['a malformed tenant', ['add', 'billing', 'a b'], /expected tenants of .* but got "a b"/],
  ])('refuses %s with 2', async (_what, args, message) => {
    const { code, stdout, stderr } = await commandLine(NOWHERE).run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  test('tells errors as JSON where JSON is asked for', async () => {
    const { code, stderr } = await commandLine(NOWHERE).run('statsu', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toEqual({
      error: { code: 'USAGE', message: "unknown command 'statsu'\n(Did you mean status?)" },
    });
  });

  test('says where it looked for a configuration', async () => {
    const { code, stderr } = await commandLine(NOWHERE).run('-c', 'absent.yaml', 'status');
    expect(code).toBe(2);
    expect(stderr).toBe(
      'evertoken: no configuration: absent.yaml (from -c) does not exist; name one with -c FILE or EVERTOKEN_CONFIG\n',
    );
  });

  test('names the place of a mistake in the configuration', async () => {
    const cli = commandLine(NOWHERE.replace('tenants:', 'tennants:'));
    const { code, stderr } = await cli.run('check');
    expect(code).toBe(2);
    expect(stderr).toMatch(/evertoken\.yaml:\d+:\d+ clients\.billing\.tennants: .*tenants/);
  });

  test('prints the JSON Schema without a configuration', async () => {
    const { code, stdout } = await commandLine(NOWHERE).run('check', '--schema', '-c', 'absent.yaml');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ title: 'evertoken configuration' });
  });

  test('knows --json in every command', async () => {
    const cli = commandLine(NOWHERE);
    const help = (await cli.run('--help')).stdout.split('Commands:')[1] ?? '';
    const names = [...help.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name as string);
    const commands = names.filter((name) => name !== 'help');
    expect(commands).toContain('mock-idp');
    const helps = await Promise.all(commands.map((name) => cli.run(name, '--help')));
    const without = commands.filter((_name, i) => !/^ +--json /m.test(helps[i]?.stdout ?? ''));
    expect(without).toEqual([]);
  });

  test('leaves the options of mock-idp to mock-idp', async () => {
    const cli = commandLine(NOWHERE);
    expect((await cli.run('mock-idp', '--help')).stdout).toContain('--lifetime');
    expect((await cli.run('mock-idp', '--port', 'x')).code).toBe(2);
  });
});

describe('a Redis that is down', () => {
  test.each([
    ['status'],
    ['targets'],
    ['get', 'billing/contoso/graph'],
    ['explain', 'billing/contoso/graph'],
    ['refresh', 'billing/*/*', '--wait'],
    ['resume', 'billing/*/*'],
    ['remove', 'billing', '--absent'],
  ])('ends %s with 1 and a message, soon', async (...args) => {
    const { code, stdout, stderr } = await commandLine(NOWHERE).run(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'evertoken: Redis at 127.0.0.1:1 cannot be reached (ECONNREFUSED); is it running, and is redis.url right?\n',
    );
  });

  test('does not keep check from saying what the configuration means', async () => {
    const { code, stdout } = await commandLine(NOWHERE).run('check');
    expect(code).toBe(1);
    expect(stdout).toContain('Problem: Redis at 127.0.0.1:1 cannot be reached');
    expect(stdout).toMatch(/billing +idp\.example +2 +2 +4 +1h/);
  });
});

test('check fails with 2 when a secret cannot be read, and does not wait for Redis', async () => {
  const cli = commandLine(NOWHERE.replace('env: BILLING_SECRET', 'env: NOT_SET_ANYWHERE'));
  const { code, stderr } = await cli.run('check', '--json');
  expect(code).toBe(2);
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'CREDENTIAL_UNREADABLE' } });
});

describe('an error is told', () => {
  const told: string[] = [];
  beforeEach(() => {
    told.length = 0;
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => told.push(String(text)) > 0);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test.each<[string, unknown, number, string]>([
    [
      'with the exit code of its code',
      new EvertokenError('NOT_FOUND', 'there is none'),
      3,
      'evertoken: there is none\n',
    ],
    [
      'as bad usage when it is from commander',
      new CommanderError(1, 'commander.unknownOption', "error: unknown option '-x'"),
      2,
      "evertoken: unknown option '-x'\n",
    ],
    [
      'as a bug when nobody foresaw it, without its stack',
      new TypeError('x is not a function'),
      1,
      'evertoken: x is not a function\nthis is a bug in evertoken: please report it, with the command that you gave\n',
    ],
  ])('%s', (_how, error, exitCode, text) => {
    expect(reportError(error, false)).toBe(exitCode);
    expect(told.join('')).toBe(text);
  });

  test('as one JSON object where JSON is asked for', () => {
    expect(reportError(new Error('x'), true)).toBe(1);
    expect(JSON.parse(told.join(''))).toMatchObject({ error: { code: 'UNEXPECTED' } });
  });
});

test.each(['src/cli', 'dist/src/cli'])('the version is found from %s of the package', (folder) => {
  const root = mkdtempSync(join(tmpdir(), 'evertoken-version-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "version": "9.8.7" }');
  expect(readVersion(pathToFileURL(join(root, folder, 'version.js')).href)).toBe('9.8.7');
});
