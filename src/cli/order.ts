import { EvertokenError } from '../core/errors.ts';
import { type CommandName, CommandsClient } from '../queue/commands-queue.ts';
import type { OrderResult } from '../refresh/orders.ts';
import { connectRedis } from '../store/connection.ts';
import { isScheduling, liveProcesses } from './managed.ts';
import type { Session } from './session.ts';

/** An order for very many targets takes a while; where nobody lives who could answer, nobody needs to wait for it. */
const ANSWER_MS = 120_000;
const NOBODY_ANSWERS_MS = 2000;
/** For giving the order itself. */
const MARGIN_MS = 5000;

/** Gives an order through the operators' queue. Throws COMMAND_UNANSWERED, or the error with which it was refused. */
export async function giveOrder(session: Session, name: CommandName, data: object): Promise<OrderResult> {
  const lives = (await liveProcesses(session)).some(isScheduling);
  const blocking = connectRedis(session.config.redis, 'blocking', 'cli-answers');
  blocking.on('error', () => {});
  const client = new CommandsClient(session.redis, blocking, session.keys.queuePrefix);
  const timeoutMs = lives ? ANSWER_MS : NOBODY_ANSWERS_MS;
  try {
    const answer = client.order(name, definedOnly(data), timeoutMs);
    return (await inTime(answer, timeoutMs + MARGIN_MS)) as OrderResult;
  } finally {
    client.close().catch(() => {});
    blocking.disconnect();
  }
}

/** The shapes of the contract know no undefined. */
function definedOnly(data: object): object {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
}

/** BullMQ, when Redis goes away while an order is given, waits for ever or rejects where nobody can catch it. */
async function inTime<Result>(answer: Promise<Result>, timeoutMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const trouble = new Promise<never>((_resolve, reject) => {
    const error = new EvertokenError(
      'REDIS_UNREACHABLE',
      'Redis has stopped answering; see with evertoken status whether it is back before you repeat the order',
    );
    timer = setTimeout(() => reject(error), timeoutMs);
    // Never taken away: the process ends soon, and what comes until then tells nothing more.
    process.on('unhandledRejection', reject);
  });
  try {
    return await Promise.race([answer, trouble]);
  } finally {
    clearTimeout(timer);
  }
}

/** `12 targets accepted`, `12 targets: 10 accepted, 2 refused (identical limit: 2)`. */
export function describeResult({ matched, accepted, refused, reasons }: OrderResult): string {
  const targets = (count: number): string => `${count} target${count === 1 ? '' : 's'}`;
  if (refused === 0) return `${targets(accepted)} accepted`;
  const why = Object.entries(reasons).map(([reason, count]) => `${reason}: ${count}`);
  return `${targets(matched)}: ${accepted} accepted, ${refused} refused (${why.join(', ')})`;
}
