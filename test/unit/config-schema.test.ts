import { describe, expect, it } from 'vitest';
import { configJsonSchema, type JsonSchema } from '../../src/config/schema.ts';
import { suggest } from '../../src/config/suggest.ts';

const schema = configJsonSchema();

/** Every option with its path, alternatives included. */
function options(node: JsonSchema, path = ''): [string, JsonSchema][] {
  const own = Object.entries(node.properties ?? {}).flatMap(([key, value]): [string, JsonSchema][] =>
    typeof value === 'object' ? [[`${path}.${key}`, value], ...options(value, `${path}.${key}`)] : [],
  );
  const below = [node.additionalProperties, node.items, ...(node.anyOf ?? [])].flatMap((each) =>
    typeof each === 'object' && !Array.isArray(each) ? options(each, path) : [],
  );
  return [...own, ...below];
}

describe('the JSON Schema for editors', () => {
  it('can be written as JSON and names its dialect', () => {
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  });

  it('describes every option', () => {
    expect(options(schema).length).toBeGreaterThan(25);
    expect(options(schema).flatMap(([path, { description }]) => (description ? [] : [path]))).toEqual([]);
  });

  it('allows no other keys', () => {
    expect(schema.additionalProperties).toBe(false);
    expect(schema.required).toEqual(['clients']);
  });

  it.each([
    ['.redis', 'redis://127.0.0.1:6379'],
    ['.namespace', 'evertoken'],
    ['.http.listen', '127.0.0.1:8642'],
    ['.refresh.outageTarget', '20m'],
    ['.refresh.latest', '75%'],
    ['.refresh.retireUnreadAfter', 'never'],
    ['.clients.credentials.certificate.method', 'private_key_jwt'],
    ['.limits.perHost', '50/s'],
    ['.limits.perTenant', '5/s'],
    ['.limits.identical', '5/5m'],
  ])('says the default of %s as one writes it', (path, expected) => {
    expect(options(schema).find(([each]) => each === path)?.[1].default).toBe(expected);
  });

  it('gives the overrides of a client no default, because the top level has it', () => {
    expect(options(schema).find(([path]) => path === '.clients.limits.perHost')?.[1]).not.toHaveProperty(
      'default',
    );
  });
});

describe('a suggestion', () => {
  it.each([
    ['tennants', 'tenants'],
    ['tenant', 'tenants'],
    ['tenatns', 'tenants'],
    ['client_id', 'clientId'],
    ['ClientID', 'clientId'],
    ['resorces', 'resources'],
  ])('for %s is %s', (written, expected) => {
    expect(suggest(written, ['clientId', 'tenants', 'resources', 'refresh', 'limits'])).toBe(expected);
  });

  it.each(['x', 'certificate', '', 'a'.repeat(100_000)])('is not made when nothing is near', (written) => {
    expect(suggest(written, ['env', 'file', 'method', 'tenants'])).toBeUndefined();
  });
});
