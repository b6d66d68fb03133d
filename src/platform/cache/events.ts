import type { TenantId } from "../../kernel/ids.ts";

/** What a cache tells its observers. Hits in the process are too many for events: see the counts. */
export type CacheEvent =
  | {
      readonly kind: "loaded";
      readonly cache: string;
      readonly tenantId: TenantId;
      readonly keys: number;
      readonly elapsedMs: number;
    }
  | {
      readonly kind: "load_failed";
      readonly cache: string;
      readonly tenantId: TenantId;
      readonly keys: number;
      readonly error: unknown;
    }
  /** An old value was answered, because loading failed. */
  | { readonly kind: "stale_answered"; readonly cache: string; readonly tenantId: TenantId }
  | {
      readonly kind: "invalidated";
      readonly cache: string;
      readonly tenantId: TenantId;
      /** Values that were held in this process and are not any more. */
      readonly dropped: number;
    }
  /** Announcements may have been missed: everything in this process was dropped. */
  | { readonly kind: "doubted"; readonly cache: string }
  | {
      readonly kind: "tier_failed";
      readonly cache: string;
      readonly tier: string;
      readonly error: unknown;
    }
  /** What the tier missed while it was away was delivered; it is read again. */
  | {
      readonly kind: "tier_back";
      readonly cache: string;
      readonly tier: string;
      readonly removals: number;
    }
  /** The tier gave back something that this cache did not write like this. */
  | { readonly kind: "tier_garbled"; readonly cache: string }
  /** A value could not be encoded for the tier: it is kept in this process only. */
  | {
      readonly kind: "not_encoded";
      readonly cache: string;
      readonly tenantId: TenantId;
      readonly key: string;
      readonly error: unknown;
    };

/** How often things happened since the cache was made. */
export interface CacheCounts {
  /** Answered from this process. */
  hits: number;
  /** Not answered from this process. */
  misses: number;
  /** Of the misses: joined somebody who was asking already. */
  joined: number;
  /** Of the misses: found in the shared tier. */
  sharedHits: number;
  /** Calls of `load`. */
  loads: number;
  loadedKeys: number;
  loadErrors: number;
  /** Old values answered because loading failed. */
  staleAnswers: number;
  /** Loads behind an answer. */
  refreshes: number;
  evictions: number;
  /** Loaded values that were given to whoever waited, and not kept: an invalidation came between. */
  overtaken: number;
  tierErrors: number;
}

/** Counts at zero. */
export function zeroCounts(): CacheCounts {
  return {
    hits: 0,
    misses: 0,
    joined: 0,
    sharedHits: 0,
    loads: 0,
    loadedKeys: 0,
    loadErrors: 0,
    staleAnswers: 0,
    refreshes: 0,
    evictions: 0,
    overtaken: 0,
    tierErrors: 0,
  };
}
