import { type Job, Queue, QueueEvents, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { parseDurationMs } from '../core/duration.ts';
import { ERROR_EXIT_CODES, type ErrorCode, EvertokenError } from '../core/errors.ts';
import { printable } from '../core/target.ts';
import { overrideRetention } from './retention.ts';

/** The operators' queue: a contract, written to by any BullMQ client in any language. */
export const COMMANDS_QUEUE = 'commands';

const select = z.string().max(1024);
const by = z.string().max(200).optional();
const all = z.boolean().optional();
const tenants = z.array(z.string()).min(1).max(100_000);

/** Epoch seconds, epoch milliseconds, an ISO date or a duration from now (`30m`). */
const until = z.union([z.number().positive(), z.string()]).transform((value, context) => {
  if (typeof value === 'number') return { untilMs: Math.floor(value < 1e11 ? value * 1000 : value) };
  const forMs = parseDurationMs(value);
  if (forMs !== undefined) return { forMs };
  const untilMs = Date.parse(value);
  if (!Number.isNaN(untilMs)) return { untilMs };
  context.addIssue({
    code: 'custom',
    message: 'expected epoch seconds, an ISO date or a duration such as 30m',
  });
  return z.NEVER;
});

const SHAPES = {
  refresh: z.strictObject({
    select,
    all,
    by,
    force: z.boolean().optional(),
    reason: z.string().max(500).optional(),
  }),
  pause: z
    .strictObject({ select, all, by, until: until.optional() })
    .transform(({ until, ...rest }) => ({ ...rest, ...until })),
  resume: z.strictObject({ select, by }),
  purge: z.strictObject({ select, all, by }),
  add: z.strictObject({ client: z.string(), tenants, by }),
  remove: z
    .strictObject({ client: z.string(), tenants: tenants.optional(), absent: z.boolean().optional(), by })
    .refine(
      (data) => (data.absent === true) !== (data.tenants !== undefined),
      'expected either tenants or absent: true',
    )
    .transform((data) => ({ ...data, tenants: data.tenants ?? [] })),
} as const;

export type CommandName = keyof typeof SHAPES;

export function isCommandName(name: string | undefined): name is CommandName {
  return name !== undefined && Object.hasOwn(SHAPES, name);
}

/** A checked command: its name and data. */
export type Command = {
  [Name in CommandName]: { readonly name: Name; readonly data: z.output<(typeof SHAPES)[Name]> };
}[CommandName];

const RETENTION = {
  /** Callers read the return value of their job; after this it is gone. */
  removeOnComplete: { age: 3600, count: 1000 },
  removeOnFail: { age: 86_400, count: 1000 },
} as const;

const LOCK_MS = 10_000;
const STALLED_INTERVAL_MS = 5000;
const MOST_EVENTS = 1000;

/**
 * Kept in the job when a command begins, so that a job that runs twice does nothing twice: as its progress, which
 * nobody can set who adds a job.
 */
interface Progress {
  readonly order?: number;
}

export interface CommandContext {
  /** The generation that this command's order was given, if it ran before. */
  readonly order: number | undefined;
  readonly keepOrder: (order: number) => Promise<void>;
}

/** What a job keeps of an error that nobody raised on purpose: its text and its stack may hold anything. */
const COMMAND_FAILED = new EvertokenError(
  'COMMAND_FAILED',
  'Redis or the daemon failed during the command; see the log; it may be said again',
);

export interface CommandsWorkerOptions {
  readonly connection: Redis;
  readonly prefix: string;
  /** Hears the errors that the job does not keep. */
  readonly onTrouble?: (error: unknown, jobId: string | undefined) => void;
}

/**
 * Runs the operators' commands. A malformed one, one with attempts of its own and one that the use case refuses
 * fail with a reason that begins with a stable code; so does one during which something broke, as
 * `COMMAND_FAILED`. They are not tried again.
 */
export function startCommandsWorker(
  carryOut: (command: Command, context: CommandContext) => Promise<unknown>,
  { connection, prefix, onTrouble }: CommandsWorkerOptions,
): Worker {
  const processor = async (job: Job): Promise<unknown> => {
    overrideRetention(job);
    try {
      const command = parseCommand(job);
      const { order } = job.progress as Progress;
      const keepOrder = (given: number): Promise<void> =>
        job.updateProgress({ order: given } satisfies Progress);
      return await carryOut(command, { order, keepOrder });
    } catch (error) {
      if (!(error instanceof EvertokenError)) onTrouble?.(error, job.id);
      const { code, message } = error instanceof EvertokenError ? error : COMMAND_FAILED;
      throw new UnrecoverableError(`${code}: ${message}`);
    }
  };
  return new Worker(COMMANDS_QUEUE, processor, {
    connection,
    prefix,
    concurrency: 4,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_INTERVAL_MS,
    // A command of a killed worker is run again by another: every command may be said twice.
    maxStalledCount: 1,
    ...RETENTION,
  });
}

/** Checks a job of the contract. Throws `COMMAND_REFUSED` with what was expected and what came. */
function parseCommand(job: Pick<Job, 'name' | 'data' | 'opts'>): Command {
  if (!isCommandName(job.name)) {
    throw new EvertokenError(
      'COMMAND_REFUSED',
      `expected a job named ${Object.keys(SHAPES).join(', ')}, but got "${printable(job.name)}"`,
    );
  }
  if ((job.opts.attempts ?? 1) > 1) {
    throw new EvertokenError(
      'COMMAND_REFUSED',
      `expected attempts: 1, but got ${job.opts.attempts}; a command is not retried: say it again`,
    );
  }
  const name = job.name as CommandName;
  const parsed = SHAPES[name].safeParse(job.data ?? {});
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join('.') || 'data'}: ${issue.message}`,
    );
    throw new EvertokenError('COMMAND_REFUSED', `${name}: ${problems.join('; ')}`);
  }
  return { name, data: parsed.data } as Command;
}

/** How the command line gives an order and hears what became of it. */
export class CommandsClient {
  readonly #queue: Queue;
  readonly #events: QueueEvents;

  /** `blocking` is used for the answers alone. */
  constructor(connection: Redis, blocking: Redis, prefix: string) {
    this.#queue = new Queue(COMMANDS_QUEUE, {
      connection,
      prefix,
      streams: { events: { maxLen: MOST_EVENTS } },
    });
    // From the first event that is kept, not from now: an answer may come before the reading has begun.
    this.#events = new QueueEvents(COMMANDS_QUEUE, { connection: blocking, prefix, lastEventId: '0-0' });
    // Without a listener BullMQ prints a lost connection, stack and all; the order that fails says it in words.
    this.#queue.on('error', () => {});
    this.#events.on('error', () => {});
  }

  /**
   * Gives an order and waits for its result. Throws `COMMAND_UNANSWERED` when no daemon has answered in time
   * (the order stays in the queue), else the error with which it failed.
   */
  async order(name: CommandName, data: object, timeoutMs: number): Promise<unknown> {
    await this.#events.waitUntilReady();
    const job = await this.#queue.add(name, data, { attempts: 1, ...RETENTION });
    try {
      return await job.waitUntilFinished(this.#events, timeoutMs);
    } catch (error) {
      throw await this.#refusal(job, error);
    }
  }

  async #refusal(job: Job, error: unknown): Promise<Error> {
    const message = error instanceof Error ? error.message : String(error);
    if (!(await job.isFailed())) {
      return new EvertokenError(
        'COMMAND_UNANSWERED',
        `no daemon has answered; order ${job.id} stays in the queue until one with role all or scheduler runs: \`evertoken status\` shows who lives`,
      );
    }
    const [, code = '', text = ''] = /^([A-Z_]+): (.*)$/s.exec(message) ?? [];
    return Object.hasOwn(ERROR_EXIT_CODES, code)
      ? new EvertokenError(code as ErrorCode, text)
      : new EvertokenError('COMMAND_REFUSED', message);
  }

  async close(): Promise<void> {
    await this.#events.close();
    await this.#queue.close();
  }
}
