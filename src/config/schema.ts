import { z } from 'zod';
import { isNamespace, NAME_GRAMMAR, NAMESPACE_GRAMMAR, printable } from '../core/target.ts';
import { clientSchema, limits, refresh } from './schema-client.ts';
import { filled, LOCAL, pemFile, text } from './schema-fields.ts';
import { address, loopbackAddress, redisUrlWithoutPassword } from './values.ts';

/*
 * Every option once: unit, default, bounds and text. The JSON Schema, the messages and the reference come from here.
 */

const password = z
  .strictObject(LOCAL.shape, { error: LOCAL.error })
  .refine(LOCAL.isOne, LOCAL.message)
  .meta({ description: 'Where the password comes from.', ...LOCAL.meta });

const redisUrl = text(redisUrlWithoutPassword, 'redis://host:port/db, or rediss:// for TLS.');

const redis = z
  .union([
    redisUrl,
    z.strictObject({
      url: redisUrl,
      tls: z
        .strictObject({
          ca: pemFile('PEM file of the authorities to trust.').optional(),
        })
        .describe('Use TLS, also with redis://. Default: only with rediss://.')
        .optional(),
      username: filled().describe('User of the Redis ACL. Default: the default user.').optional(),
      password: password.optional(),
    }),
  ])
  .prefault('redis://127.0.0.1:6379')
  .describe(
    'The Redis that tokens are put into. The environment variable REDIS_URL replaces this whole setting.',
  );

const http = z
  .strictObject({
    listen: text(
      loopbackAddress,
      'host:port of health and metrics, on loopback only. Port 0: any free one.',
    ).prefault('127.0.0.1:8642'),
    probes: text(
      address,
      'host:port that serves only health and metrics, on any address. Default: none.',
    ).optional(),
  })
  .prefault({})
  .describe('What the daemon listens on.');

const sections = z.strictObject({ redis, http, refresh, limits });

export type Sections = z.output<typeof sections>;

const namespace = z
  .string()
  .refine(isNamespace, {
    error: ({ input }) => `expected a namespace (${NAMESPACE_GRAMMAR}) but got "${printable(String(input))}"`,
  })
  .prefault('evertoken')
  .describe(`What every key in Redis begins with: ${NAMESPACE_GRAMMAR}.`);

export const configSchema = sections.extend({
  namespace,
  clients: z
    .record(z.string(), clientSchema)
    .refine((all) => Object.keys(all).length > 0, 'expected at least one client')
    .describe(`Registered applications, by name (${NAME_GRAMMAR}).`),
});

export type ConfigInput = z.output<typeof configSchema>;

/** The sections that are well by themselves, and defaults for the others: to go on checking what else there is. */
export function readableSections(value: Readonly<Record<string, unknown>>): Sections {
  const well = Object.entries(sections.shape).filter(([key, schema]) => schema.safeParse(value[key]).success);
  return sections.parse(Object.fromEntries(well.map(([key]) => [key, value[key]])));
}

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The configuration's JSON Schema (draft 2020-12) for editors: what may be written, before any default. */
export function configJsonSchema(): JsonSchema {
  return { title: 'evertoken configuration', ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
