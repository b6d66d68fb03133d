import type { Config } from "./config.ts";
import type {
  CacheConfig,
  CacheEvent,
  InvalidationBus,
  SharedTier,
} from "./platform/cache/cache.ts";
import { joinInvalidationBuses } from "./platform/cache/memory-bus.ts";
import { createPostgresInvalidationBus } from "./platform/cache/postgres-bus.ts";
import { createRedisSharedTier } from "./platform/cache/redis-tier.ts";
import { createRingTier } from "./platform/cache/ring-tier.ts";
import type { Db } from "./platform/db/db.ts";
import type { Dependency } from "./platform/http/health.ts";
import { createThrottledLog, type HttpLog } from "./platform/http/log.ts";
import {
  createLimiter,
  createPostgresLimitStore,
  createRedisLimitStore,
  type LimitEvent,
  type Limiter,
} from "./platform/limits/limits.ts";
import {
  connectRedis,
  type Redis,
  type RedisEvent,
  type RedisServer,
} from "./platform/redis/redis.ts";
import type { DependencyFigures } from "./platform/resilience/resilience.ts";
import type { Wakeup } from "./platform/wakeup/wakeup.ts";

/** What the nodes of a deployment share beside their data: counted limits, cached answers, news of changes. */
export interface Sharing {
  readonly limiter: Limiter;
  /** For caches whose answers may lie where all nodes see them. */
  readonly caching: Pick<CacheConfig<never>, "tier" | "invalidations" | "onEvent">;
  /** What tells all nodes of changes in any database. */
  readonly invalidations: InvalidationBus;
  /** Redis servers, for readiness: the process serves without them. */
  readonly dependencies: readonly Dependency[];
  /** What happened to the commands of each Redis server. */
  figures(): readonly DependencyFigures[];
  /** Begins to hear of changes. */
  start(): Promise<void>;
  /** Stops what hears and counts, then the connections. May be called twice, and before `start`. */
  stop(): Promise<void>;
}

/** A database whose changes are heard. */
export interface HeardDatabase {
  readonly name: string;
  readonly wakeup: Wakeup;
}

/**
 * Opens what nodes share: in Redis where it is configured, else in PostgreSQL. News of changes always
 * comes through PostgreSQL, with the commit that they are of.
 */
export function createSharing(
  { redis: addresses, limitWaitMs: waitMs }: Pick<Config, "redis" | "limitWaitMs">,
  { db, databases, log }: { db: Db; databases: readonly HeardDatabase[]; log: HttpLog },
): Sharing {
  const redis = addresses && connectRedis({ ...addresses, onEvent: tellRedis(log) });
  const buses = databases.map(({ name, wakeup }) =>
    createPostgresInvalidationBus({
      ...{ db, database: name, wakeup },
      onError: (err) => log.warn({ err, database: name }, "news of changes cannot be read"),
    }),
  );
  const invalidations = joinInvalidationBuses(buses);
  const tier = redis && tierOver(redis);
  const limiter = createLimiter({
    store: redis
      ? createRedisLimitStore({ nodes: redis.servers, isCluster: redis.isCluster })
      : createPostgresLimitStore({ db }),
    waitMs,
    onEvent: tellLimits(log),
  });
  return {
    limiter,
    invalidations,
    caching: { invalidations, onEvent: tellCaches(log), ...(tier ? { tier } : {}) },
    dependencies: (redis?.servers ?? []).map(redisDependency),
    figures: () => redis?.figures() ?? [],
    async start() {
      await Promise.all(buses.map((bus) => bus.start()));
    },
    async stop() {
      await limiter.stop();
      await Promise.all(buses.map((bus) => bus.stop()));
      await tier?.stop();
      await redis?.stop();
    },
  };
}

/** Independent servers share the keys, each of them on two; one server or a cluster has all. */
function tierOver(redis: Redis): SharedTier & { stop(): Promise<void> } {
  const { isCluster } = redis;
  const tiers = redis.servers.map((node) =>
    createRedisSharedTier({ node, isCluster, server: node.name }),
  );
  const [only] = tiers;
  if (only && tiers.length === 1) return { ...only, stop: async () => {} };
  return createRingTier({
    members: redis.servers.map(({ name }, at) => ({ name, tier: tiers[at] as (typeof tiers)[0] })),
  });
}

function redisDependency(server: RedisServer): Dependency {
  return {
    name: `redis/${server.name}`,
    isRequired: false,
    check: async () => void (await server.call("ping")),
  };
}

function tellRedis(log: HttpLog) {
  const often = createThrottledLog(log, "a Redis server cannot be reached");
  return (event: RedisEvent) => {
    const { kind, server } = event;
    if (kind === "ready") log.info({ server }, "Redis is there");
    else if (kind === "lost") log.warn({ server }, "Redis is lost; the node goes on without it");
    else if (kind === "error") often(`redis ${server}`, { server, err: event.error });
    else if (event.state === "open")
      log.warn({ server }, "Redis is silent; the node goes on without it");
  };
}

function tellLimits(log: HttpLog) {
  return (event: LimitEvent) => {
    if (event.kind === "store_away") {
      log.warn({ err: event.error }, "the store of rate limits is away; this node counts alone");
    } else {
      log.info({ awayMs: Math.round(event.awayMs) }, "the store of rate limits is back");
    }
  };
}

function tellCaches(log: HttpLog) {
  const often = createThrottledLog(log, "a cache goes on without its shared tier");
  return (event: CacheEvent) => {
    const { kind, cache } = event;
    if (kind === "tier_failed") often(`cache ${event.tier}`, { cache, err: event.error });
    else if (kind === "tier_back")
      log.info({ cache, removals: event.removals }, "the tier is back");
    else if (kind === "doubted")
      log.warn({ cache }, "news may have been missed; all is asked anew");
    else if (kind === "tier_garbled") log.warn({ cache }, "the tier holds what nobody wrote");
  };
}
