import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { serialize } from 'node:v8';
import { describe, expect, it, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';

const VALUE = 'Pa55-w0rd-that-nobody-may-see';
const secret = new Secret(VALUE);
const nested = {
  level: { list: [secret, { secret }], map: new Map([['key', secret]]), set: new Set([secret]) },
};

function onConsole(...args: unknown[]): string {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  new Console({ stdout: stream, stderr: stream }).log(...args);
  return written.join('');
}

describe('a secret', () => {
  it('is revealed to who asks for it by name', () => {
    expect(secret.reveal()).toBe(VALUE);
  });

  test.each<[way: string, text: string]>([
    ['a template', `${secret}`],
    ['String', String(secret)],
    ['an addition', '+'.concat(secret as unknown as string)],
    ['join', [secret, secret].join()],
    ['JSON', JSON.stringify(secret)],
    ['JSON of an object that holds it', JSON.stringify({ secret, nested: nested.level.list })],
    ['inspect', inspect(secret)],
    ['inspect with everything shown', inspect(nested, { showHidden: true, depth: null, getters: true })],
    [
      'inspect without custom printing',
      inspect(nested, { customInspect: false, showHidden: true, depth: null }),
    ],
    ['format %s', format('%s', secret)],
    ['format %o', format('%o', nested)],
    ['format %O', format('%O', nested)],
    ['format %j', format('%j', nested)],
    ['format %d and %i and %f', format('%d %i %f', secret, secret, secret)],
    ['format without a place for it', format('hello', secret, nested)],
    ['a console', onConsole(secret, nested)],
    ['a console with %s', onConsole('%s', secret)],
    ['the cause of an error', inspect(new Error('failed', { cause: secret }))],
    ['the cause of a cause', inspect(new Error('a', { cause: new Error('b', { cause: { secret } }) }))],
    ['a property of an error', inspect(Object.assign(new Error('a'), { secret }), { showHidden: true })],
    [
      'errors in a list',
      inspect(new AggregateError([new Error('a', { cause: nested })], 'b'), { depth: null }),
    ],
    ['the message of an error', String(new Error(`refused ${secret}`))],
    ['Object.entries', JSON.stringify([Object.entries(secret), Object.getOwnPropertyNames(secret)])],
    ['a spread', inspect({ ...secret })],
    ['a structured clone', inspect(structuredClone({ secret: { ...secret } }))],
    ['serialization', serialize(secret).toString('latin1')],
  ])('is not shown by %s', (_way, text) => {
    expect(text).not.toContain(VALUE);
    expect(text).not.toContain(VALUE.slice(0, 8));
  });

  it('leaves a mark where it is printed', () => {
    expect([`${secret}`, JSON.stringify(secret), inspect(secret)]).toEqual([
      '[secret]',
      '"[secret]"',
      '[secret]',
    ]);
  });
});
