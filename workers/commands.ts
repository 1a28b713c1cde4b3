import type { Parts } from '../src/compose/parts.ts';
import {
  type Command,
  type CommandContext,
  isCommandName,
  startCommandsWorker,
} from '../src/queue/commands-queue.ts';
import type { OrderResult } from '../src/refresh/orders.ts';
import type { Service } from './service.ts';

/** Carries out what operators order through the `commands` queue. */
export function startCommands(parts: Parts): Service {
  const { keys, log, metrics, openBlocking } = parts;
  const connection = openBlocking('commands');
  const worker = startCommandsWorker(
    async (command, context) => {
      const result = await carryOutCommand(parts, command, context);
      metrics.commands.inc({ name: command.name, outcome: 'carried out' });
      log.info({ command: command.name, ...describeCommand(command), ...result }, 'command carried out');
      return result;
    },
    {
      connection,
      prefix: keys.queuePrefix,
      onTrouble: (error, job) => log.warn({ job, error }, 'command interrupted'),
    },
  );
  worker.on('error', (error) => log.debug({ error }, 'commands queue'));
  worker.on('failed', (job, error) => {
    const outcome = error.message.startsWith('COMMAND_FAILED: ') ? 'failed' : 'refused';
    metrics.commands.inc({ name: isCommandName(job?.name) ? job.name : 'unknown', outcome });
    log.warn({ job: job?.id, reason: error.message }, `command ${outcome}`);
  });
  return { stop: (force) => worker.close(force), disconnect: () => connection.disconnect() };
}

async function carryOutCommand(
  { carryOut, tenants }: Parts,
  command: Command,
  context: CommandContext,
): Promise<OrderResult> {
  switch (command.name) {
    case 'refresh':
      return carryOut.refresh(command.data, await orderOf(carryOut, context));
    case 'pause':
      return carryOut.pause(command.data);
    case 'resume':
      return carryOut.resume(command.data);
    case 'purge':
      return carryOut.purge(command.data, await orderOf(carryOut, context));
    case 'add':
      return tenants.add(command.data);
    case 'remove':
      return tenants.remove(command.data);
  }
}

/** When the order was given: kept with the job, so that a job that runs twice asks for the same. */
async function orderOf(carryOut: Parts['carryOut'], { order, keepOrder }: CommandContext): Promise<number> {
  if (order !== undefined) return order;
  const given = await carryOut.newOrder();
  await keepOrder(given);
  return given;
}

/** Who ordered what, for the log. */
function describeCommand({ data }: Command): object {
  return 'select' in data
    ? { select: data.select, by: data.by, ...('reason' in data ? { reason: data.reason } : {}) }
    : { client: data.client, tenants: data.tenants.length, by: data.by };
}
