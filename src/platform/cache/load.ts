import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { CacheError } from "./errors.ts";

/** What a load brings when it knows where the truth stood. */
export interface Loaded<Value> {
  /** As many as keys, in their order; nothing: does not exist. */
  readonly values: readonly (Value | undefined)[];
  /**
   * A number that grows per tenant with every change, read in the same transaction before the values
   * or together with them.
   */
  readonly asOf?: number;
}

/**
 * Reads values at the source.
 *
 * @param signal is aborted when nobody waits any more
 * @returns as many values as keys, in their order
 */
export type Load<Value> = (
  tenantId: TenantId,
  keys: readonly string[],
  signal: AbortSignal,
) => Promise<readonly (Value | undefined)[] | Loaded<Value>>;

/** Calls a load, within its time. @throws CacheError ERR_CACHE_LOAD_TIMEOUT, or what it throws */
export async function callLoad<Value>(
  load: Load<Value>,
  tenantId: TenantId,
  keys: readonly string[],
  timeoutMs: number,
): Promise<Loaded<Value>> {
  const ending = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `a load of ${keys.length} keys did not end within ${timeoutMs} ms`;
    const error = new CacheError("ERR_CACHE_LOAD_TIMEOUT", message);
    late.reject(error);
    ending.abort(error);
  }, timeoutMs);
  try {
    const brought = await Promise.race([load(tenantId, keys, ending.signal), late.promise]);
    const loaded = isLoaded(brought) ? brought : { values: brought };
    assert(loaded.values.length === keys.length, "a load brings one value per key");
    return loaded;
  } finally {
    clearTimeout(timer);
  }
}

/** Tells the two shapes of what a load brings apart. */
export function isLoaded<Value>(
  brought: readonly (Value | undefined)[] | Loaded<Value>,
): brought is Loaded<Value> {
  return !Array.isArray(brought);
}
