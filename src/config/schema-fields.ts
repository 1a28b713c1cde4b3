import { z } from 'zod';
import { keyVaultUrl, type Reader } from './values.ts';

/*
 * What the options are made of. `prefault` and not `default`: a default is written as an operator would write it.
 */

/** A text that a reader understands: the value, or its problem as the message. */
export const text = <T>(read: Reader<T>, description: string) =>
  z
    .string()
    .transform((input, context) => {
      const result = read(input);
      if ('value' in result) return result.value;
      context.addIssue({ code: 'custom', message: result.problem });
      return z.NEVER;
    })
    .describe(description);

export const filled = () => z.string().min(1, 'expected a text that is not empty');

export const path = filled().describe('A path; a relative one starts at the folder of this file.');

const variable = z
  .string()
  // The text is not shown: a secret is easily pasted here.
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable, never a secret itself')
  .describe('The name of an environment variable.');

export const pemFile = (description: string) => z.strictObject({ file: path }).describe(description);

function isShortJson(value: unknown): boolean {
  try {
    return JSON.stringify(value).length <= 4096;
  } catch {
    // By an alias YAML can put a mapping into itself.
    return false;
  }
}

/** Any JSON object of a size that fits into a request. */
export const claims = (description: string) =>
  z
    .record(z.string(), z.unknown())
    .refine(isShortJson, 'expected at most 4,096 characters of JSON')
    .describe(description);

/** Whether one of the keys is there and no other. */
export const hasOneOf =
  <Key extends string>(...keys: readonly Key[]) =>
  (value: { readonly [key in Key]?: unknown }): boolean =>
    keys.filter((key) => value[key] !== undefined).length === 1;

/** The same for editors. */
export const exactlyOne = (...keys: string[]) => ({ oneOf: keys.map((key) => ({ required: [key] })) });

/** References to a text that must not stand in the file. */
interface References<Shape extends z.core.$ZodLooseShape> {
  readonly shape: Shape;
  /** The words for whoever writes a secret in place of a reference to it. */
  readonly error: (issue: { code?: string }) => string | undefined;
  readonly isOne: (value: { readonly [key in keyof Shape]?: unknown }) => boolean;
  readonly message: string;
  readonly meta: ReturnType<typeof exactlyOne>;
}

function references<Shape extends z.core.$ZodLooseShape>(shape: Shape, forms: string): References<Shape> {
  const keys = Object.keys(shape);
  const named = `${keys.slice(0, -1).join(', ')} and ${keys.at(-1)}`;
  const rule = `secrets come only by reference: ${forms}`;
  return {
    shape,
    error: ({ code }) => (code === 'invalid_type' ? rule : undefined),
    isOne: hasOneOf(...keys),
    message: `expected exactly one of ${named}: ${rule}`,
    meta: exactlyOne(...keys),
  };
}

/** For what must be at hand before anything else is. */
export const LOCAL = references(
  { env: variable.optional(), file: path.optional() },
  '{ env: NAME } or { file: path }',
);

/** For what clients prove themselves with. */
export const ANYWHERE = references(
  {
    ...LOCAL.shape,
    keyVault: text(
      keyVaultUrl,
      'URL of a secret or certificate in Azure Key Vault, https://<vault>.vault.azure.net/secrets/<name>.',
    ).optional(),
  },
  '{ env: NAME }, { file: path } or { keyVault: URL }',
);
