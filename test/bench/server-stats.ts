import type { Redis } from 'ioredis';

/** What a Redis server says of itself. */
export async function info(redis: Redis, section: string): Promise<Map<string, string>> {
  const lines = (await redis.info(section)).split('\r\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

export async function usedMemory(redis: Redis): Promise<number> {
  return Number((await info(redis, 'memory')).get('used_memory'));
}

/** User and system, of the server's process. */
export async function serverCpuMs(redis: Redis): Promise<number> {
  const cpu = await info(redis, 'cpu');
  return 1000 * (Number(cpu.get('used_cpu_user')) + Number(cpu.get('used_cpu_sys')));
}

export interface CommandStats {
  readonly calls: number;
  readonly usec: number;
}

/** Calls and processor time of one command since `CONFIG RESETSTAT`; a script's own commands count for its call. */
export async function commandStats(redis: Redis, command: string): Promise<CommandStats> {
  const line = (await info(redis, 'commandstats')).get(`cmdstat_${command}`) ?? '';
  const number = (name: string): number => Number(new RegExp(`\\b${name}=([\\d.]+)`).exec(line)?.[1] ?? 0);
  return { calls: number('calls'), usec: number('usec') };
}
