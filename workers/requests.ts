import type { Parts } from '../src/compose/parts.ts';
import { answerConsumer, type ConsumerRequestDependencies } from '../src/refresh/consumer-requests.ts';
import { startLoop } from './loop.ts';
import type { Service } from './service.ts';

/** Answers what consumers ask in the `requests` stream. */
export function startRequests(parts: Parts, wake: () => void, onError: (error: unknown) => void): Service {
  const { member, states, indexes, fleet, metrics } = parts;
  const connection = parts.openBlocking('requests');
  connection.on('error', () => {});
  const stream = parts.requestsStream(connection);
  const dependencies: ConsumerRequestDependencies = {
    catalogue: () => member.catalogue,
    states,
    indexes,
    clock: fleet,
    tokenExists: (target) => states.hasTokenKey(target),
    wake,
  };
  const turn = async (): Promise<number> => {
    for (const request of await stream.next()) {
      try {
        metrics.consumerRequests.inc({ answer: await answerConsumer(request, dependencies) });
      } catch (error) {
        // One that cannot be answered must not take the rest of its batch with it; its consumer asks again.
        onError(error);
      }
    }
    return 0;
  };
  let stopping = false;
  const loop = startLoop({
    turn,
    onError: (error) => {
      if (!stopping) onError(error);
    },
  });
  return {
    stop: async () => {
      stopping = true;
      // Ends the blocking read, which is all that the loop can be waiting for.
      connection.disconnect();
      await loop.stop();
    },
    disconnect: () => connection.disconnect(),
  };
}
