/** A request for a lease, or about one. */
export interface LeaseRequest {
  /** What is locked, 1 to 200 characters. */
  readonly name: string;
  /** Who wants it: a UUID of this one acquisition, never used again. */
  readonly holder: string;
  /** How long it is to last, milliseconds. */
  readonly leaseMs: number;
}

/** A lease that was taken. */
export interface TakenLease {
  /** Fencing token: larger than every token given for this name before. A whole number below 2^53. */
  readonly token: number;
  /** Until when it surely lasts, milliseconds of this process's `performance.now()`. */
  readonly validUntilMs: number;
}

/**
 * Where leases are kept. Every backend passes the suite in `lease-store.conformance.ts`.
 *
 * A store decides by its own clock when a lease is over; the process measures what is left of it by
 * its monotonic clock, from before it asked.
 */
export interface LeaseStore {
  /**
   * Takes a lease that nobody has.
   *
   * @returns nothing when somebody has it
   * @throws LockError ERR_LOCK_UNAVAILABLE when the store cannot answer; then nobody got it, or it
   *   ends by itself
   */
  take(request: LeaseRequest): Promise<TakenLease | undefined>;
  /**
   * Makes a lease last for `leaseMs` from now.
   *
   * @returns until when, or nothing when the holder has it no more
   * @throws LockError ERR_LOCK_UNAVAILABLE
   */
  extend(request: LeaseRequest): Promise<number | undefined>;
  /** Gives a lease back. @returns whether the holder had it still */
  release(request: LeaseRequest): Promise<boolean>;
  /** Calls `wake` when a lease may have become free: a hint. @returns its end */
  onFreed?(wake: () => void): () => void;
}
