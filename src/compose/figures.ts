import { marksInUse } from '../core/credential-marks.ts';
import { perSecond } from '../core/duration.ts';
import { rateAt } from '../core/pace.ts';
import { BEYOND_ANY_PLAN_MS } from '../core/retire.ts';
import type { CredentialFigures, FleetFigures, HostFigures } from '../observe/metrics.ts';
import type { RefreshQueue } from '../queue/refresh-queue.ts';
import type { Member } from '../refresh/member.ts';
import type { Fleet } from '../store/fleet.ts';
import type { Gates } from '../store/gates.ts';
import type { Indexes } from '../store/indexes.ts';
import type { Marks } from '../store/marks.ts';

interface Sources {
  readonly indexes: Indexes;
  readonly gates: Gates;
  readonly fleet: Fleet;
  readonly marks: Marks;
  /** The configured clients. */
  readonly clients: () => readonly string[];
  readonly member: Member;
  readonly refreshQueue: RefreshQueue;
}

/** The fleet's figures of this moment, for a scrape; a handful of cheap counts for each host. */
export async function fleetFigures({
  indexes,
  gates,
  fleet,
  marks,
  clients,
  member,
  refreshQueue,
}: Sources): Promise<FleetFigures> {
  const now = await fleet.now();
  const hosts = await Promise.all(
    (await indexes.hosts()).map(async (host): Promise<HostFigures> => {
      const [managed, due, ready, dormant, gate] = await Promise.all([
        indexes.count(host),
        indexes.dueCount(host, now),
        indexes.readyCount(host),
        indexes.dueCountAfter(host, now + BEYOND_ANY_PLAN_MS),
        gates.read({ host }),
      ]);
      const closedSeconds = Math.max(0, gate.closedUntil - now) / 1000;
      const perHost = member.perHost(host);
      const rate = perHost === undefined ? undefined : rateAt(gate.pace, perSecond(perHost), now);
      return { host, managed, due, ready, dormant, closedSeconds, rate };
    }),
  );
  return {
    hosts,
    processes: member.view.processes.length,
    queueWaiting: await refreshQueue.waiting(),
    credentials: await credentialFigures(marks, clients(), now),
  };
}

async function credentialFigures(
  marks: Marks,
  clients: readonly string[],
  now: number,
): Promise<CredentialFigures[]> {
  const known = await marks.read(clients);
  return clients.flatMap((client, i) =>
    marksInUse(known[i] ?? [], now).map(({ fingerprint, refusedAt }) => ({
      client,
      fingerprint,
      refused: refusedAt > 0,
    })),
  );
}
