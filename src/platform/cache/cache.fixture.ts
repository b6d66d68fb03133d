import { setImmediate as nextTurn } from "node:timers/promises";
import { newId, type TenantId } from "../../kernel/ids.ts";
import {
  type Cache,
  type CacheConfig,
  type CacheEvent,
  createCache,
  type Invalidation,
  type InvalidationBus,
} from "./cache.ts";

/** A source whose values say what they are and how often they changed, and a cache before it. */
export const setup = (change: Partial<CacheConfig<string>> = {}) => {
  const loads: (readonly string[])[] = [];
  const versions = new Map<string, number>();
  const events: CacheEvent[] = [];
  const time = { nowMs: 0 };
  const source = {
    /** Loads wait for it when it is set. */
    gate: undefined as Promise<void> | undefined,
    fails: false,
    /** Whether loads say where the source stood: at the number of changes so far. */
    isPositioned: false,
    position: 0,
  };
  const versionOf = (tenantId: TenantId, key: string) => versions.get(`${tenantId}/${key}`) ?? 0;
  /** Changes a value. */
  const bump = (tenantId: TenantId, key: string) => {
    source.position++;
    versions.set(`${tenantId}/${key}`, versionOf(tenantId, key) + 1);
  };
  const config: CacheConfig<string> = {
    name: "test",
    ttlMs: 1_000,
    jitter: 0,
    earliness: 0,
    now: () => time.nowMs,
    onEvent: (event) => events.push(event),
    async load(tenantId, keys) {
      loads.push(keys);
      const read = keys.map((key) =>
        key.startsWith("none") ? undefined : `${tenantId}/${key}@${versionOf(tenantId, key)}`,
      );
      const asOf = source.position;
      await source.gate;
      if (source.fails) throw new Error("the source is away");
      return source.isPositioned ? { values: read, asOf } : read;
    },
    ...change,
  };
  const tenantId = newId<"tenant">();
  const at = (key: string, version = 0) => `${tenantId}/${key}@${version}`;
  return { cache: createCache(config), config, loads, bump, events, time, source, tenantId, at };
};

/** A bus that a test speaks through. */
export const createBus = () => {
  const hearers = new Set<(invalidations: readonly Invalidation[]) => void>();
  const doubters = new Set<() => void>();
  const bus: InvalidationBus = {
    listen(hear) {
      hearers.add(hear);
      return () => hearers.delete(hear);
    },
    onDoubt(hear) {
      doubters.add(hear);
      return () => doubters.delete(hear);
    },
  };
  return {
    bus,
    say(...invalidations: readonly Invalidation[]) {
      for (const hear of hearers) hear(invalidations);
    },
    doubt() {
      for (const hear of doubters) hear();
    },
    hearers,
  };
};

/** Asks for a value until it is held in the process, and so in the tier: it is filled behind the answer. */
export async function settle(cache: Cache<string>, tenantId: TenantId, key: string) {
  await cache.get(tenantId, key);
  while (cache.get(tenantId, key) instanceof Promise) await nextTurn();
}
