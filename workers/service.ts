/** A part of a process that takes work from Redis. */
export interface Service {
  /** Takes no more work and resolves when what is in hand has ended; with `force` without waiting for that. */
  stop(force: boolean): Promise<void>;
  disconnect(): void;
}
