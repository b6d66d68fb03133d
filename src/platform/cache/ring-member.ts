import type { SharedTier } from "./shared-tier.ts";

/** A shared tier that can be a member of a ring. Every one here can. */
export interface RingMember extends SharedTier {
  /** The epochs of tags, undefined where a tag is not known; begins none. */
  knownEpochs(tags: readonly string[]): Promise<readonly (number | undefined)[]>;
  /**
   * Makes the epochs of tags at least so large: members of a ring agree on the largest. One that is
   * not known begins there.
   *
   * @param epochs as many as tags
   */
  lift(tags: readonly string[], epochs: readonly number[]): Promise<void>;
  /**
   * Names the life of its server: it changes when the server may have gone back to an older state of
   * its data. One that is merely emptied need not say so.
   */
  life(): Promise<string>;
}
