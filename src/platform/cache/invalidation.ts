import type { TenantId } from "../../kernel/ids.ts";

/** What is not true any more. */
export interface Invalidation {
  /** Name of the cache. */
  readonly cache: string;
  readonly tenantId: TenantId;
  /** Keys within the tenant; with neither keys nor tags: everything of the tenant. */
  readonly keys?: readonly string[];
  readonly tags?: readonly string[];
  /**
   * Where the truth stands now, in the unit in which loads say `asOf`: what was loaded before it is not
   * believed, wherever it is found. Absent: whatever is held now goes.
   */
  readonly position?: number;
}

/** Carries invalidations to the caches of all nodes. */
export interface InvalidationBus {
  /** Hears what this and other nodes announce, each at least once, in no particular order. @returns its end */
  listen(hear: (invalidations: readonly Invalidation[]) => void): () => void;
  /**
   * Hears that announcements may have been missed: everything held locally has to be doubted.
   *
   * @returns its end
   */
  onDoubt(hear: () => void): () => void;
}
