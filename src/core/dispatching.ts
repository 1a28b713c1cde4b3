/** The numbers of dispatching: how claims follow each other, and how often a dispatcher looks. */

/** A host's claims may be early by this: one tick more or less does not matter, and a longer burst would be a herd. */
export const HOST_BURST_MS = 100;
/** A tenant's claims may be early by this, since the targets of one tenant come due as chance has it. */
export const TENANT_BURST_MS = 1000;
/** A target in ready is looked at again after this, in case its state has changed without anyone saying so. */
export const READY_RECHECK_MS = 300_000;

/** Work waits for the gate: as often as its burst tolerance asks. */
export const GATE_TICK_MS = 40;
/** The longest sleep: other processes make targets due without telling this one. */
export const IDLE_MS = 500;
/** Never more than about two seconds of work in the queue. */
export const QUEUE_SECONDS = 2;
/** Jobs in the queue, whatever the rate. */
export const MOST_QUEUED = 2000;
