import type { TenantId } from "../../kernel/ids.ts";
import { isLoaded, type Load } from "./load.ts";
import type { Put, Write } from "./write-through.ts";

/** What becomes of writes that are applied behind their acknowledgement. */
export type WriteBehindEvent =
  | {
      readonly kind: "applied";
      readonly cache: string;
      readonly tenantId: TenantId;
      readonly writes: number;
    }
  /** A batch, or one write, failed and will be tried again. */
  | {
      readonly kind: "apply_failed";
      readonly cache: string;
      readonly tenantId: TenantId;
      readonly writes: number;
      readonly error: unknown;
    }
  /** A write failed too often: it is kept aside and tried no more. */
  | {
      readonly kind: "parked";
      readonly cache: string;
      readonly tenantId: TenantId;
      readonly key: string;
      readonly error: unknown;
    }
  /** Looking for writes to apply failed. */
  | { readonly kind: "look_failed"; readonly cache: string; readonly error: unknown };

/** Acknowledges writes first and applies them later, in batches; of a key the last one. */
export interface WriteBehind<Value> {
  /** Acknowledges writes: the `write` of a cache. @throws CacheError ERR_CACHE_WRITES_FULL or _STOPPED */
  readonly write: Write<Value>;
  /** Makes the `load` of a cache: what still waits to be applied is answered before the source is asked. */
  overlay(load: Load<Value>): Load<Value>;
  start(): void;
  /** Applies what is due now. */
  flush(): Promise<void>;
  /** Ends the applying. May be called twice, and without a start. */
  stop(): Promise<void>;
}

/** Finds what waits for some keys: a put, or nothing for keys nobody wrote. */
export type FindWaiting<Value> = (
  tenantId: TenantId,
  keys: readonly string[],
) => Promise<ReadonlyMap<string, Put<Value>>>;

/** Puts what waits in front of a load. */
export function overlayWaiting<Value>(find: FindWaiting<Value>, load: Load<Value>): Load<Value> {
  return async (tenantId, keys, signal) => {
    // First what waits: what is applied between the two questions is found by the second.
    const waiting = await find(tenantId, keys);
    const missing = keys.filter((key) => !waiting.has(key));
    const brought = missing.length > 0 ? await load(tenantId, missing, signal) : [];
    const loaded = isLoaded(brought) ? brought : { values: brought };
    const found = new Map(missing.map((key, at) => [key, loaded.values[at]] as const));
    const values = keys.map((key) => waiting.get(key)?.value ?? found.get(key));
    // The position of the source says nothing of what it has not got yet.
    return waiting.size > 0 ? values : { ...loaded, values };
  };
}
