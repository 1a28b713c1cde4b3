import type { Redis } from 'ioredis';
import { isNotPermitted, parseInfo } from './connection.ts';
import type { Keys } from './keys.ts';
import { Script } from './script.ts';

const SCRIPTS = {
  heartbeat: new Script('heartbeat'),
  epoch: new Script('epoch'),
  dropPauses: new Script('drop-pauses'),
  limits: new Script('limits'),
};

/** A process is taken for live this long after its last heartbeat, by whoever looks. */
export const PROCESS_LIVE_MS = 10_000;

/** As many arguments as one call can be given without harm. */
const CHUNK = 1000;

/** A confirmation holds for what is absent when it is given, and the fleet hears of it within seconds. */
const KEEP_CONFIRMATION_MS = 86_400_000;

/** What a process says of itself with every heartbeat. */
export interface ProcessInfo {
  readonly id: string;
  readonly role: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  /** Hash of what it takes its targets from; removals wait until all live processes agree. */
  readonly configHash: string;
  /** The same of what is written, where the process keeps targets beside that until an operator confirms their removal. */
  readonly writtenHash?: string | undefined;
  /** Host -> what it may be asked, requests a second. The lowest of all live processes holds for the fleet. */
  readonly limits?: Readonly<Record<string, number>> | undefined;
  /** Epoch ms of the process's own clock. */
  readonly startedAt: number;
}

export interface FleetView {
  /** Redis time, ms. */
  readonly now: number;
  /** Empty when Redis has no epoch: it is new, or has lost its state. */
  readonly epoch: string;
  /** Claims open at this Redis time, ms. */
  readonly opensAt: number;
  readonly processes: readonly ProcessInfo[];
}

/** What an operator said about a tenant of a client, on top of the configuration. */
export interface TenantOverride {
  readonly op: 'add' | 'remove';
  readonly by: string;
  /** Epoch ms of the Redis clock. */
  readonly at: number;
}

/** A standing order not to claim the targets of a select. */
export interface Pause {
  readonly select: string;
  readonly all: boolean;
  /** Epoch ms of the Redis clock. */
  readonly until: number;
  readonly by: string;
}

/** What the processes of a fleet tell each other. */
export class Fleet {
  readonly #redis: Redis;
  readonly #keys: Keys;

  constructor(redis: Redis, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Says that a process lives. `liveMs`: how long one counts as live after its last heartbeat. */
  async heartbeat(self: ProcessInfo, liveMs = PROCESS_LIVE_MS): Promise<FleetView> {
    return this.#beat(self.id, JSON.stringify(self), liveMs);
  }

  /** Says that a process is leaving, so that nobody waits for its agreement. */
  async leave(id: string, liveMs = PROCESS_LIVE_MS): Promise<void> {
    await this.#beat(id, '', liveMs);
  }

  /** Who lives, for those who only look. */
  async view(liveMs = PROCESS_LIVE_MS): Promise<FleetView> {
    return this.#beat('', '', liveMs);
  }

  async #beat(id: string, says: string, liveMs: number): Promise<FleetView> {
    const keys = [this.#keys.processes, this.#keys.processDetails, this.#keys.epoch];
    const [now, epoch, opensAt, details] = await SCRIPTS.heartbeat.run(this.#redis, keys, [id, says, liveMs]);
    return {
      now: Number(now),
      epoch: String(epoch),
      opensAt: Number(opensAt),
      processes: (details as readonly string[]).flatMap((json) => readJson<ProcessInfo>(json) ?? []),
    };
  }

  /** Begins an epoch unless there is one. Gives the one that is. */
  async beginEpoch(id: string, graceMs: number): Promise<{ begun: boolean; id: string; opensAt: number }> {
    const [begun, current, opensAt] = await SCRIPTS.epoch.run(this.#redis, [this.#keys.epoch], [id, graceMs]);
    return { begun: begun === 1, id: String(current), opensAt: Number(opensAt) };
  }

  /** Redis time, ms. */
  async now(): Promise<number> {
    const [seconds, micros] = await this.#redis.time();
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  }

  /**
   * Changes when the server was started anew, and then possibly with an older file. Empty where the server does
   * not tell, or not this user.
   */
  async serverRunId(): Promise<string> {
    try {
      return parseInfo(await this.#redis.info('server')).get('run_id') ?? '';
    } catch (error) {
      if (!isNotPermitted(error)) throw error;
      return '';
    }
  }

  /** Overrides by `client/tenant`. */
  async tenantOverrides(): Promise<Map<string, TenantOverride>> {
    const entries = Object.entries(await this.#redis.hgetall(this.#keys.tenants));
    return new Map(
      entries.flatMap(([scope, json]): [string, TenantOverride][] => {
        const override = readJson<TenantOverride>(json);
        return override === undefined ? [] : [[scope, override]];
      }),
    );
  }

  async overrideTenants(client: string, tenants: readonly string[], override: TenantOverride): Promise<void> {
    const json = JSON.stringify(override);
    for (let start = 0; start < tenants.length; start += CHUNK) {
      const fields = tenants.slice(start, start + CHUNK).flatMap((tenant) => [`${client}/${tenant}`, json]);
      await this.#redis.hset(this.#keys.tenants, ...fields);
    }
  }

  /** The pauses that still hold; ended ones are dropped on the way. */
  async pauses(now: number): Promise<Pause[]> {
    const pauses: Pause[] = [];
    const ended: string[] = [];
    for (const [select, json] of Object.entries(await this.#redis.hgetall(this.#keys.pauses))) {
      const pause = readJson<Omit<Pause, 'select'>>(json);
      if (pause !== undefined && pause.until > now) pauses.push({ ...pause, select });
      else ended.push(select, json);
    }
    for (let start = 0; start < ended.length; start += CHUNK) {
      const chunk = ended.slice(start, start + CHUNK);
      await SCRIPTS.dropPauses.run(this.#redis, [this.#keys.pauses], chunk);
    }
    return pauses;
  }

  async pause({ select, ...rest }: Pause): Promise<void> {
    await this.#redis.hset(this.#keys.pauses, select, JSON.stringify(rest));
  }

  /** Ends a pause. Gives whether there was one. */
  async resume(select: string): Promise<boolean> {
    return (await this.#redis.hdel(this.#keys.pauses, select)) === 1;
  }

  /** Notes that what is no longer configured of a client is meant to go. */
  async confirmRemoval(client: string): Promise<void> {
    const now = await this.now();
    const old = [...(await this.confirmations())].filter(([, at]) => at < now - KEEP_CONFIRMATION_MS);
    const change = this.#redis
      .multi()
      .hset(this.#keys.confirmed, client, now)
      .pexpire(this.#keys.confirmed, KEEP_CONFIRMATION_MS);
    if (old.length > 0) change.hdel(this.#keys.confirmed, ...old.map(([name]) => name));
    await change.exec();
  }

  /** Client -> Redis time, ms, at which an operator last confirmed its removals. */
  async confirmations(): Promise<Map<string, number>> {
    const entries = Object.entries(await this.#redis.hgetall(this.#keys.confirmed));
    return new Map(entries.map(([client, at]) => [client, Number(at)]));
  }

  /**
   * Publishes each client's pace for one tenant, which the scripts that claim read. A shorter interval than the one that
   * is there is written only if all live processes have `agreed`: until then the slowest of them holds.
   */
  async setTenantIntervals(intervalsMs: ReadonlyMap<string, number>, agreed = true): Promise<void> {
    const entries = [...intervalsMs];
    for (let start = 0; start < entries.length; start += CHUNK) {
      const fields = entries.slice(start, start + CHUNK).flat();
      await SCRIPTS.limits.run(this.#redis, [this.#keys.limits], [agreed ? 1 : 0, ...fields]);
    }
  }

  /** Drops what is known of clients that no process has any more. */
  async dropTenantIntervals(keep: ReadonlySet<string>): Promise<void> {
    const gone = (await this.#redis.hkeys(this.#keys.limits)).filter((client) => !keep.has(client));
    if (gone.length > 0) await this.#redis.hdel(this.#keys.limits, ...gone);
  }

  /** Tells every process that an operator has changed something: `tenants`, `pauses`, `removals` or `purge <target>`. */
  async announce(change: string): Promise<void> {
    await this.#redis.publish(this.#keys.changes, change);
  }
}

/** An entry of a shared hash. One that cannot be read, by whomever it was written, must not keep the fleet from its work. */
function readJson<T extends object>(json: string): T | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}
