import type { Parts } from '../src/compose/parts.ts';
import type { Service } from './service.ts';

/** Follows what operators change through other processes; a lost announcement is made up for by the heartbeat. */
export function followChanges(parts: Parts, onError: (error: unknown) => void): Service {
  const { keys, member, memory } = parts;
  const connection = parts.openSubscriber();
  connection.on('error', () => {});
  connection.on('message', (_channel, change) => {
    if (change.startsWith('purge ')) memory.forgetToken(change.slice('purge '.length));
    else member.reload().catch(onError);
  });
  connection.subscribe(keys.changes).catch(onError);
  return { stop: async () => {}, disconnect: () => connection.disconnect() };
}
