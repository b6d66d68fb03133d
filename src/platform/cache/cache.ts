import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import { ask, refresh } from "./asking.ts";
import { createCoarseClock } from "./coarse-clock.ts";
import { type Desk, type Held, reaches } from "./desk.ts";
import { type Codec, jsonCodec } from "./envelope.ts";
import { type CacheCounts, type CacheEvent, zeroCounts } from "./events.ts";
import type { MakePolicy } from "./eviction.ts";
import { createFloors } from "./floors.ts";
import { isRefreshedEarly, type Lifetimes } from "./freshness.ts";
import { doubtEverything, invalidateLocally, removalOf } from "./invalidating.ts";
import type { Invalidation, InvalidationBus } from "./invalidation.ts";
import type { Load } from "./load.ts";
import { createLocalStore } from "./local-store.ts";
import type { SharedTier } from "./shared-tier.ts";
import { estimateBytes } from "./size.ts";
import { createTagIndex } from "./tag-index.ts";
import { createTierLink, type TierLink } from "./tier-link.ts";
import { type TierNames, tierNames } from "./tier-names.ts";
import { type Put, putThrough, type Write } from "./write-through.ts";

export {
  announceInvalidations,
  type InvalidationSource,
  invalidationSubscription,
  invalidationsTopic,
} from "./announce.ts";
export {
  type BufferedWrites,
  type BufferedWritesConfig,
  createBufferedWrites,
  type ParkedWrite,
} from "./buffered-writes.ts";
export {
  createDurableWrites,
  type DurableSink,
  type DurableWrite,
  type DurableWrites,
  type DurableWritesConfig,
} from "./durable-writes.ts";
export { type Codec, jsonCodec } from "./envelope.ts";
export { CacheError, type CacheErrorCode } from "./errors.ts";
export type { CacheCounts, CacheEvent } from "./events.ts";
export {
  type Evictable,
  type EvictionPolicy,
  lru,
  type MakePolicy,
  type StoreLimits,
  s3Fifo,
} from "./eviction.ts";
export type { Invalidation, InvalidationBus } from "./invalidation.ts";
export type { Load, Loaded } from "./load.ts";
export {
  createLocalStore,
  type LocalEntry,
  type LocalStore,
  type LocalStoreConfig,
  type Placing,
} from "./local-store.ts";
export {
  createMemoryInvalidationBus,
  joinInvalidationBuses,
  type MemoryInvalidationBus,
} from "./memory-bus.ts";
export { createMemorySharedTier, type MemorySharedTierConfig } from "./memory-tier.ts";
export {
  createPostgresInvalidationBus,
  deleteOldInvalidations,
  type PostgresInvalidationBus,
  type PostgresInvalidationBusConfig,
} from "./postgres-bus.ts";
export {
  createPostgresSharedTier,
  deleteExpiredCacheEntries,
  type PostgresSharedTierConfig,
} from "./postgres-tier.ts";
export { createRedisSharedTier, type RedisSharedTierConfig } from "./redis-tier.ts";
export type { RingMember } from "./ring-member.ts";
export {
  createRingTier,
  type RingTier,
  type RingTierConfig,
  RingTierError,
  type RingTierNode,
} from "./ring-tier.ts";
export type { Claim, SharedTier, TierWrite } from "./shared-tier.ts";
export type { WriteBehind, WriteBehindEvent } from "./write-behind.ts";
export { deleteAppliedWrites, retryParkedWrites } from "./write-table.ts";
export type { Put, Write } from "./write-through.ts";

/** How a cache is made; everything but its name, its source and the life of its values has a default. */
export interface CacheConfig<Value> {
  /** Part of every key in the tier, and how invalidations name it: 1 to 60 of a-z 0-9 _ . - */
  readonly name: string;
  /** Reads what is not there at the source. What it throws reaches whoever waits, and is not kept. */
  readonly load: Load<Value>;
  /** How long a value is answered, milliseconds. */
  readonly ttlMs: number;
  /** How long "does not exist" is answered, milliseconds; default 5,000 or `ttlMs`; 0: not kept. */
  readonly missingTtlMs?: number;
  /** From this age on a value is loaded again behind the answer, milliseconds; default `ttlMs`: never. */
  readonly freshMs?: number;
  /** How long after its end a value is answered when loading fails, milliseconds; default 0. */
  readonly staleIfErrorMs?: number;
  /** How long a failure of `load` is answered without trying again, milliseconds; default 0. */
  readonly errorTtlMs?: number;
  /** Largest share of its life that a value loses at random, 0 to 1; default 0.1. */
  readonly jitter?: number;
  /** How eagerly values are loaded before their end, by how long that takes; default 1, 0: never. */
  readonly earliness?: number;

  /** Held in this process, by `sizeOf`; default 32 MiB. */
  readonly bytesMax?: number;
  /** Values held in this process; default 100,000. */
  readonly entriesMax?: number;
  /** Who goes first when there is no room; default S3-FIFO. */
  readonly policy?: MakePolicy;
  /** Size of a value, bytes; default: its length in the tier, else an estimate. */
  readonly sizeOf?: (value: Value) => number;

  /** Keys in one call of `load`; default 500. */
  readonly loadBatchMax?: number;
  /** Longest a load may take, milliseconds; default 10,000. */
  readonly loadTimeoutMs?: number;
  /** Keys being asked for at once; one more is refused with ERR_CACHE_FULL; default 10,000. */
  readonly flightsMax?: number;

  /** Shared by the nodes; without it each node has its own values only. */
  readonly tier?: SharedTier;
  /** Longest a call to the tier may take, milliseconds; default 250. */
  readonly tierTimeoutMs?: number;
  /** How long a tier that failed is left alone, milliseconds; default 1,000. */
  readonly tierRestMs?: number;
  /** Removals remembered for a tier that is away; with more, all it has is doubted; default 10,000. */
  readonly removalsMax?: number;
  /** How long one node has the right to load a key, milliseconds; default 10,000. */
  readonly leaseMs?: number;
  /** How long another node's load is waited for, milliseconds; default 2,000. */
  readonly waitMs?: number;
  /** How values travel; default JSON. */
  readonly codec?: Codec<Value>;
  /** Part of every key in the tier: give another one when the shape of values changes. */
  readonly version?: string;

  /** Tags that every value of a key names. */
  readonly tagsOfKey?: (key: string) => readonly string[];
  /** Tags that a value names; costs two more questions to the tier for a load. */
  readonly tagsOfValue?: (key: string, value: Value) => readonly string[];
  /** Where invalidations of all nodes are heard. */
  readonly invalidations?: InvalidationBus;
  /** Tenants whose positions are remembered; default 10,000, each with up to 1,000 keys and tags. */
  readonly floorTenantsMax?: number;
  /** Writes values to the source, for `put`. */
  readonly write?: Write<Value>;

  /** Milliseconds of a monotonic clock; default: looked at once a millisecond. */
  readonly now?: () => number;
  readonly random?: Random;
  readonly onEvent?: (event: CacheEvent) => void;
}

/** How a value is asked for. */
export interface GetOptions {
  /** Nothing older is answered, wherever it is found; in the unit in which loads say `asOf`. */
  readonly notBefore?: number;
}

/** What is not true any more. */
export type Stale = Pick<Invalidation, "keys" | "tags" | "position">;

/**
 * Values of many tenants, loaded when they are asked for. Values are shared between all who get
 * them: do not change them.
 */
export interface Cache<Value> {
  /**
   * Finds a value: at once when this process holds it, else later.
   *
   * @returns undefined when it does not exist
   * @throws CacheError ERR_CACHE_FULL, ERR_CACHE_LOAD_TIMEOUT, or ERR_CACHE_BEHIND when the source
   *   itself is behind `notBefore`; or what `load` throws
   */
  get(
    tenantId: TenantId,
    key: string,
    options?: GetOptions,
  ): Value | undefined | Promise<Value | undefined>;
  /** Finds several, with one load for all that are missing. @returns as many as keys */
  getMany(
    tenantId: TenantId,
    keys: readonly string[],
    options?: GetOptions,
  ): readonly (Value | undefined)[] | Promise<readonly (Value | undefined)[]>;
  /** Writes a value to the source, then to the tiers; nothing: it is gone. @throws what `write` throws */
  put(tenantId: TenantId, key: string, value: Value | undefined): Promise<void>;
  /** Writes several, with one call of `write`. */
  putMany(tenantId: TenantId, puts: readonly Put<Value>[]): Promise<void>;
  /**
   * Drops what names these keys or tags, or everything of the tenant: in this process before it
   * returns, in the tier when it resolves or, if that is away, before it is read again. Other
   * processes hear of it through `invalidations`.
   */
  invalidate(tenantId: TenantId, stale?: Stale): Promise<void>;
  /** What happened since it was made, and what it holds now. */
  stats(): CacheCounts & { readonly entries: number; readonly bytes: number };
  /** Hears no more and holds nothing more; whatever is asked is loaded. May be called twice. */
  stop(): Promise<void>;
}

/** Makes an empty cache. */
export function createCache<Value>(config: CacheConfig<Value>): Cache<Value> {
  const desk = createDesk(config);
  const { local, now, counts, link, name } = desk;
  const isQuiet = (held: Held<Value>, nowMs: number) => nowMs < held.quietUntilMs;
  const get = (tenantId: TenantId, key: string, options?: GetOptions) => {
    const nowMs = now();
    const held = local.get(tenantId, key, nowMs);
    if (held === undefined) return ask(desk, tenantId, key, options?.notBefore);
    if (options === undefined && isQuiet(held, nowMs)) {
      counts.hits++;
      return held.value;
    }
    return answer(desk, { tenantId, key, held, nowMs }, options?.notBefore);
  };
  const unlisten = listen(desk, config.invalidations);
  const putMany = async (tenantId: TenantId, puts: readonly Put<Value>[]) => {
    assert(config.write !== undefined, `the cache ${name} was made without a write`);
    await putThrough(desk, config.write, tenantId, puts);
  };
  return {
    get,
    getMany(tenantId, keys, options) {
      const answers = keys.map((key) => get(tenantId, key, options));
      return answers.some((each) => each instanceof Promise) ? Promise.all(answers) : answers;
    },
    put: (tenantId, key, value) => putMany(tenantId, [{ key, value }]),
    putMany,
    async invalidate(tenantId, stale = {}) {
      const invalidation = { cache: name, tenantId, ...stale };
      invalidateLocally(desk, invalidation);
      await link?.remove(removalOf(desk, invalidation));
    },
    stats: () => ({ ...counts, ...local.usage() }),
    async stop() {
      if (desk.isStopped) return;
      desk.isStopped = true;
      unlisten();
      local.clear();
      await link?.stop();
    },
  } as Cache<Value>;
}

/** A value that is held and has to be thought about. */
interface Considered<Value> {
  readonly tenantId: TenantId;
  readonly key: string;
  readonly held: Held<Value>;
  readonly nowMs: number;
}

/** Answers with what is held if it is good, and has it refreshed when it is time. */
function answer<Value>(
  desk: Desk<Value>,
  { tenantId, key, held, nowMs }: Considered<Value>,
  notBefore = Number.NEGATIVE_INFINITY,
): Value | undefined | Promise<Value | undefined> {
  if (nowMs >= held.span.goodUntilMs || !reaches(held.asOf, notBefore)) {
    return ask(desk, tenantId, key, notBefore);
  }
  desk.counts.hits++;
  if (nowMs >= held.quietUntilMs) {
    const aheadMs = held.loadMs * desk.lifetimes.earliness;
    const isDue = nowMs >= held.span.freshUntilMs;
    if (isDue || isRefreshedEarly(held.span, aheadMs, nowMs, desk.random)) {
      refresh(desk, tenantId, key, held);
    }
  }
  return held.value;
}

function listen<Value>(desk: Desk<Value>, bus: InvalidationBus | undefined): () => void {
  if (!bus) return () => {};
  const unlisten = bus.listen((invalidations) => {
    const own = invalidations.filter(({ cache }) => cache === desk.name);
    if (own.length === 0) return;
    for (const invalidation of own) invalidateLocally(desk, invalidation);
    const removals = own.map((invalidation) => removalOf(desk, invalidation));
    void desk.link?.remove({
      keys: removals.flatMap(({ keys }) => keys),
      firstTags: removals.flatMap(({ firstTags }) => firstTags),
      tags: removals.flatMap(({ tags }) => tags),
    });
  });
  const undoubt = bus.onDoubt(() => doubtEverything(desk));
  return () => {
    unlisten();
    undoubt();
  };
}

function lifetimesOf<Value>(config: CacheConfig<Value>): Lifetimes {
  const { ttlMs, freshMs = ttlMs, staleIfErrorMs = 0, jitter = 0.1, earliness = 1 } = config;
  const { missingTtlMs = Math.min(5_000, ttlMs) } = config;
  assert(ttlMs > 0 && freshMs > 0 && freshMs <= ttlMs, "0 < freshMs <= ttlMs");
  assert(jitter >= 0 && jitter < 1, "a share of jitter is at least 0 and below 1");
  return { ttlMs, missingTtlMs, freshMs, staleIfErrorMs, jitter, earliness };
}

function limitsOf<Value>(config: CacheConfig<Value>): Desk<Value>["limits"] {
  return {
    loadBatchMax: config.loadBatchMax ?? 500,
    flightsMax: config.flightsMax ?? 10_000,
    loadTimeoutMs: config.loadTimeoutMs ?? 10_000,
    leaseMs: config.leaseMs ?? 10_000,
    waitMs: config.waitMs ?? 2_000,
    errorTtlMs: config.errorTtlMs ?? 0,
  };
}

function createDesk<Value>(config: CacheConfig<Value>): Desk<Value> {
  const { name, tagsOfKey = () => [], sizeOf, onEvent: emit = () => {} } = config;
  const counts = zeroCounts();
  const lifetimes = lifetimesOf(config);
  const limits = limitsOf(config);
  const names = tierNames(name, config.version ?? "");
  const tagIndex = createTagIndex();
  const { ttlMs } = lifetimes;
  return {
    ...{ name, load: config.load, lifetimes, limits, tagsOfKey, names, tagIndex, counts, emit },
    tagsOfValue: config.tagsOfValue,
    sizeOf: (value, encodedBytes) =>
      (value !== undefined && sizeOf?.(value)) || encodedBytes || estimateBytes(value),
    codec: config.codec ?? (jsonCodec as Codec<Value>),
    link: config.tier && linkTo(config.tier, config, { names, counts, emit }),
    local: createLocalStore<Held<Value>>({
      bytesMax: config.bytesMax ?? 32 * 2 ** 20,
      entriesMax: config.entriesMax ?? 100_000,
      ...(config.policy ? { policy: config.policy } : {}),
      onRemoved(tenantId, key, value, cause) {
        tagIndex.remove(tenantId, key, value.tags);
        if (cause === "evicted") counts.evictions++;
      },
    }),
    floors: createFloors({
      floorsMax: 1_000,
      tenantsMax: config.floorTenantsMax ?? 10_000,
      // The latest that what was read before the change can have been stored, and as long as it lies there.
      keepMs: ttlMs + limits.loadTimeoutMs + limits.leaseMs,
    }),
    flights: new Map(),
    boarding: new Map(),
    underWay: { flights: 0, failures: 0 },
    writings: new Map(),
    now: config.now ?? createCoarseClock(),
    random: config.random ?? Math.random,
    isStopped: false,
  };
}

function linkTo<Value>(
  tier: SharedTier,
  config: CacheConfig<Value>,
  { names, counts, emit }: { names: TierNames; counts: CacheCounts; emit: Desk<Value>["emit"] },
): TierLink {
  const about = { cache: config.name, tier: tier.name };
  return createTierLink({
    tier,
    cacheTag: names.cacheTag,
    timeoutMs: config.tierTimeoutMs ?? 250,
    restMs: config.tierRestMs ?? 1_000,
    removalsMax: config.removalsMax ?? 10_000,
    onFailed(error) {
      counts.tierErrors++;
      emit({ kind: "tier_failed", ...about, error });
    },
    onBack: (removals) => emit({ kind: "tier_back", ...about, removals }),
  });
}
