import type { SaysLimits } from '../core/lowest-limit.ts';
import type { SharedOrdersPort } from './in-effect.ts';

/** What the processes of a fleet share, apart from targets. */
export interface FleetPort extends SharedOrdersPort {
  heartbeat(self: Said & { readonly id: string }): Promise<FleetView>;
  leave(): Promise<void>;
  beginEpoch(id: string, graceMs: number): Promise<{ readonly id: string }>;
  /** Publishes this process's limits for tenants; higher ones than are there only if all live processes agree. */
  publishLimits(agreed: boolean): Promise<void>;
  /** Drops the limits of clients that this process does not have. */
  dropOtherLimits(): Promise<void>;
  /** Changes when the server was started anew. */
  serverRunId(): Promise<string>;
}

/** What a process takes its targets from. */
export interface Hashes {
  /** Of the targets in effect. */
  readonly configHash: string;
  /** Of what is written; absent where nothing else is in effect. */
  readonly writtenHash?: string | undefined;
}

/** What a process says of itself with every heartbeat. */
export interface Said extends Hashes, SaysLimits {}

export interface FleetView {
  readonly now: number;
  readonly epoch: string;
  readonly processes: readonly (Said & { readonly id: string; readonly role: string })[];
}
