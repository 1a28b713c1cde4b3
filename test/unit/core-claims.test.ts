import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readChallenge } from '../../src/core/claims.ts';

const CHALLENGE = { access_token: { nbf: { essential: true, value: '1700000000' } } };
const JSON_TEXT = JSON.stringify(CHALLENGE);

test.each<[what: string, text: string]>([
  ['JSON', ` ${JSON.stringify(CHALLENGE, null, 2)}`],
  ['Base64, as it stands in WWW-Authenticate', Buffer.from(JSON_TEXT).toString('base64')],
  ['Base64url', Buffer.from(JSON_TEXT).toString('base64url')],
])('a challenge is read as %s', (_what, text) => {
  expect(readChallenge(text)).toBe(JSON_TEXT);
});

test('a challenge may hold any letters', () => {
  const json = '{"access_token":{"name":{"value":"Zoë"}}}';
  expect(readChallenge(Buffer.from(json).toString('base64'))).toBe(json);
});

test.each<[what: string, text: string]>([
  ['nothing', ''],
  ['no JSON', '{'],
  ['a list', Buffer.from('[1]').toString('base64')],
  ['null', Buffer.from('null').toString('base64')],
  ['text', 'please'],
  ['too much', `{"a":"${'x'.repeat(3000)}"}`],
])('%s is no challenge', (_what, text) => {
  expect(readChallenge(text)).toBe('');
});

test('whatever a consumer writes gives a JSON object or nothing', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const read = readChallenge(text);
      expect(read === '' || typeof JSON.parse(read) === 'object').toBe(true);
    }),
  );
});
