/** A value to write. */
export interface TierWrite {
  readonly key: string;
  /** What the cache makes of a value: opaque to the tier. */
  readonly bytes: Buffer;
  /** Milliseconds until it is gone by itself. */
  readonly ttlMs: number;
}

/** The right to load a key for all nodes. */
export interface Claim {
  /** Names this right; a removal of the key takes it away. */
  readonly token: string;
}

/**
 * The tier that nodes share: it may lose any of what it holds at any moment, and never makes
 * anything up. Keys carry the name of the cache and the tenant, 1 to 512 characters, printable.
 *
 * Every call may reject when the tier is away, within a bounded time; the cache then goes on without it.
 */
export interface SharedTier {
  /** Label in events: `redis`, `ring`, `postgres`. */
  readonly name: string;
  /** Reads several. @returns as many as keys; undefined where nothing is */
  read(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]>;
  /** Writes several, whatever was there, and takes away the claims of their keys. */
  write(entries: readonly TierWrite[]): Promise<void>;
  /** Removes several, and takes away the claims of their keys: what is being loaded is older. */
  remove(keys: readonly string[]): Promise<void>;
  /**
   * Asks for the right to load a key, for `leaseMs` at most: a single flight over the nodes.
   *
   * @returns undefined while another asker has it
   */
  claim(key: string, leaseMs: number): Promise<Claim | undefined>;
  /**
   * Writes what was loaded, and gives the right back, unless it was taken away since.
   *
   * @returns whether it was written
   * @see https://www.usenix.org/system/files/conference/nsdi13/nsdi13-final170_update.pdf 3.2.1, leases
   */
  fill(claim: Claim, entry: TierWrite): Promise<boolean>;
  /** Gives the right back without a value: the load failed. */
  unclaim(claim: Claim, key: string): Promise<void>;
  /**
   * The epochs of tags: what was stored with another epoch of one of its tags is gone. A tag that
   * is not known, or was forgotten, begins a new epoch here: later than any before.
   *
   * @returns as many as tags, positive safe integers
   */
  epochs(tags: readonly string[]): Promise<readonly number[]>;
  /**
   * Begins new epochs: larger than the last ones.
   *
   * @returns as many as tags
   */
  renew(tags: readonly string[]): Promise<readonly number[]>;
}
