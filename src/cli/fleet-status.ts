import { CONDITIONS, type Condition } from '../core/condition.ts';
import { type CredentialStanding, credentialStanding, marksInUse } from '../core/credential-marks.ts';
import { perSecond, type Rate } from '../core/duration.ts';
import type { ClientPlan, HostPlan } from '../core/feasibility.ts';
import { whyNotHeld } from '../core/feasibility-words.ts';
import type { Gate } from '../core/gate.ts';
import { lowestLimit } from '../core/lowest-limit.ts';
import { describeLowered, type Pace, rateAt } from '../core/pace.ts';
import { hasLiveToken } from '../core/state.ts';
import { parseTarget, type TargetId } from '../core/target.ts';
import { REFRESH_QUEUE } from '../queue/refresh-queue.ts';
import type { Pause, ProcessInfo } from '../store/fleet.ts';
import { EVERYTHING, indexesOf, liveProcesses, type ManagedTarget, managedTargets } from './managed.ts';
import type { Session } from './session.ts';

/** The fleet as Redis shows it; what `--json` prints. Times are epoch ms. */
export interface Status {
  readonly now: number;
  readonly processes: readonly ProcessInfo[];
  readonly configuration: {
    /** Of the configuration at hand, with the operators' overrides. */
    readonly hash: string;
    readonly processesAgree: boolean;
    /** Whether all of them have the configuration at hand. */
    readonly sameAsHere: boolean;
  };
  readonly hosts: readonly HostStatus[];
  /** What servers have said about the credentials of the configured clients. */
  readonly credentials: readonly CredentialStatus[];
  /** Which outages the configured clients outlive, by the lives of tokens that were seen and the fleet's limits. */
  readonly outages: readonly OutageStatus[];
  /** Jobs that wait for a worker. */
  readonly queueWaiting: number;
  readonly targets: TargetsStatus;
  readonly pauses: readonly Pause[];
  readonly tenantOverrides: { readonly added: number; readonly removed: number };
  /** Client -> how many of its targets are managed though nothing names them any more. */
  readonly awaitingRemoval: Readonly<Record<string, number>>;
}

export interface HostStatus {
  readonly host: string;
  readonly managed: number;
  readonly due: number;
  readonly ready: number;
  readonly gate: Pick<Gate, 'closedUntil' | 'why' | 'probing'> & GateRate;
}

/** Requests a second; undefined where neither a process nor the configuration at hand has a limit for the host. */
interface GateRate {
  /** The lowest limit of any live process. */
  readonly limit: number | undefined;
  /** What the gate gives while it is open. */
  readonly rate: number | undefined;
  /** How the rate is lowered, for people; undefined where it is not. */
  readonly lowered: string | undefined;
}

export interface OutageStatus extends Pick<ClientPlan, 'client' | 'outageTargetMs' | 'holdsMs' | 'obstacle'> {
  readonly host: string;
  /** Why the target is not held; empty where it is. */
  readonly why: string;
}

export interface CredentialStatus {
  readonly client: string;
  readonly fingerprint: string;
  readonly standing: CredentialStanding;
  /** Of the last refusal; empty where there is none. */
  readonly code: string;
  /** When evidence last changed that. */
  readonly since: number;
  /** When a refused one is tried again. */
  readonly probeAt: number | undefined;
}

export interface TargetsStatus {
  readonly total: number;
  readonly withToken: number;
  readonly byCondition: Readonly<Record<Condition, number>>;
  /** Of the tokens that live; undefined where none does. */
  readonly shortestLifeLeftMs: number | undefined;
}

/** Looks at all of it; the targets' states are read in pages. */
export async function gatherStatus(session: Session): Promise<Status> {
  const { fleet, redis, keys } = session;
  const now = await fleet.now();
  const [processes, catalogue, lives, pauses, overrides, queueWaiting] = await Promise.all([
    liveProcesses(session),
    session.catalogue(),
    session.lifetimes.read(),
    fleet.pauses(now),
    fleet.tenantOverrides(),
    redis.llen(keys.waiting(REFRESH_QUEUE)),
  ]);
  const limitOf = (host: string): Rate | undefined =>
    lowestLimit(host, catalogue.hosts().get(host)?.perHost, processes);
  const hosts = await hostStatuses(session, limitOf, now);
  // What a process keeps beside what is written waits for a confirmation, and is shown as that.
  const hashes = new Set(processes.map(({ configHash, writtenHash }) => writtenHash ?? configHash));
  const operations = [...overrides.values()].map(({ op }) => op);
  const credentials = await credentialStatuses(
    session,
    session.config.clients.map(({ name }) => name),
    now,
  );
  const { targets, awaitingRemoval } = await countTargets(session, new Set(catalogue.ids()), now);
  return {
    now,
    processes,
    configuration: {
      hash: catalogue.hash,
      processesAgree: hashes.size <= 1,
      sameAsHere: [...hashes].every((hash) => hash === catalogue.hash),
    },
    outages: catalogue.replan(lives, limitOf).flatMap(outageStatuses),
    ...{ hosts, credentials, queueWaiting, targets, pauses, awaitingRemoval },
    tenantOverrides: {
      added: operations.filter((op) => op === 'add').length,
      removed: operations.filter((op) => op === 'remove').length,
    },
  };
}

const outageStatuses = (plan: HostPlan): OutageStatus[] =>
  plan.clients.map((one) => {
    const { client, outageTargetMs, holdsMs, obstacle } = one;
    return { client, host: plan.host, outageTargetMs, holdsMs, obstacle, why: whyNotHeld(one, plan) };
  });

async function credentialStatuses(
  { marks }: Session,
  clients: readonly string[],
  now: number,
): Promise<CredentialStatus[]> {
  const known = await marks.read(clients);
  return clients.flatMap((client, i) =>
    marksInUse(known[i] ?? [], now).map((mark): CredentialStatus => {
      const { fingerprint, code, changedAt: since, refusedAt, probeAt } = mark;
      const standing = credentialStanding(mark);
      return { client, fingerprint, standing, code, since, probeAt: refusedAt > 0 ? probeAt : undefined };
    }),
  );
}

async function hostStatuses(
  session: Session,
  limitOf: (host: string) => Rate | undefined,
  now: number,
): Promise<HostStatus[]> {
  const indexes = indexesOf(session);
  return Promise.all(
    (await indexes.hosts()).map(async (host) => {
      const [managed, due, ready, gate] = await Promise.all([
        indexes.count(host),
        indexes.dueCount(host, now),
        indexes.readyCount(host),
        session.gates.read({ host }),
      ]);
      const { closedUntil, why, probing, pace } = gate;
      return {
        host,
        managed,
        due,
        ready,
        gate: { closedUntil, why, probing, ...gateRate(pace, limitOf(host), now) },
      };
    }),
  );
}

function gateRate(pace: Pace, perHost: Rate | undefined, now: number): GateRate {
  if (perHost === undefined) return { limit: undefined, rate: undefined, lowered: undefined };
  const limit = perSecond(perHost);
  return { limit, rate: rateAt(pace, limit, now), lowered: describeLowered(pace, limit, now) };
}

async function countTargets(
  session: Session,
  named: ReadonlySet<TargetId>,
  now: number,
): Promise<{ targets: TargetsStatus; awaitingRemoval: Record<string, number> }> {
  const byCondition = Object.fromEntries(CONDITIONS.map((condition) => [condition, 0])) as Record<
    Condition,
    number
  >;
  const awaitingRemoval: Record<string, number> = {};
  let [total, withToken, shortest] = [0, 0, Number.POSITIVE_INFINITY];
  const count = ({ id, state, condition }: ManagedTarget): void => {
    total++;
    byCondition[condition]++;
    if (hasLiveToken(state, now)) {
      withToken++;
      shortest = Math.min(shortest, state.expiresAt - now);
    }
    if (named.has(id)) return;
    const { client } = parseTarget(id);
    awaitingRemoval[client] = (awaitingRemoval[client] ?? 0) + 1;
  };
  for await (const page of managedTargets(session, EVERYTHING, now)) for (const target of page) count(target);
  const shortestLifeLeftMs = Number.isFinite(shortest) ? shortest : undefined;
  return { targets: { total, withToken, byCondition, shortestLifeLeftMs }, awaitingRemoval };
}
