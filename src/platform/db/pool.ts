import pg from "pg";
import {
  type Breaker,
  type BreakerState,
  createBreaker,
  ResilienceError,
} from "../resilience/resilience.ts";
import { DbError, toDbError } from "./errors.ts";

/** Limits of a pool; every one has a default. */
export interface PoolLimits {
  /** Connections at most, 1 to 500. */
  readonly max: number;
  /** Connections kept open when idle. */
  readonly min: number;
  /** Longest wait for a connection, milliseconds; then ERR_DB_POOL_EXHAUSTED. */
  readonly acquireTimeoutMs: number;
  /** Callers that may wait at once; the next one is refused immediately. */
  readonly waitingMax: number;
  /** Close a connection that nobody used for so long, milliseconds. */
  readonly idleTimeoutMs: number;
  /** Replace a connection after so long, seconds. */
  readonly maxLifetimeSeconds: number;
  /** Report a connection that is held longer than this, milliseconds. */
  readonly leakAfterMs: number;
  /** Consecutive connection failures that open the breaker. */
  readonly breakerThreshold: number;
  /** Longest an open breaker refuses at once before it tries again, milliseconds. */
  readonly breakerOpenMs: number;
}

/** Limits that suit one process on a small machine. */
export const defaultPoolLimits: PoolLimits = {
  max: 10,
  min: 1,
  acquireTimeoutMs: 2_000,
  waitingMax: 1_000,
  idleTimeoutMs: 30_000,
  maxLifetimeSeconds: 1_800,
  leakAfterMs: 30_000,
  breakerThreshold: 5,
  breakerOpenMs: 1_000,
};

/** How a pool reaches its database, and who wants to know what happens in it. */
export interface PoolConfig {
  /** Label in metrics and messages: `home/app`. */
  readonly name: string;
  readonly url: string;
  /** Schemas unqualified names resolve in, for every connection of this pool. */
  readonly searchPath?: string;
  readonly limits?: Partial<PoolLimits>;
  readonly onEvent?: (event: PoolEvent) => void;
}

/** What a pool tells its observers. */
export type PoolEvent =
  | { readonly kind: "acquired"; readonly pool: string; readonly waitedMs: number }
  | { readonly kind: "exhausted"; readonly pool: string }
  | {
      readonly kind: "leak";
      readonly pool: string;
      readonly heldMs: number;
      readonly holder: string;
    }
  | {
      readonly kind: "breaker";
      readonly pool: string;
      readonly state: BreakerState;
    }
  | { readonly kind: "connection_error"; readonly pool: string; readonly error: Error };

/** A borrowed connection. Give it back exactly once. */
export interface Lease {
  readonly client: pg.PoolClient;
  /** Returns it to the pool; `broken` closes it instead. */
  release(broken?: boolean): void;
}

/** A snapshot of a pool's state. */
export interface PoolState {
  readonly name: string;
  readonly max: number;
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  readonly breaker: BreakerState;
}

/** Connections to one database as one role. */
export interface Pool {
  readonly name: string;
  /** Borrows a connection. @throws DbError ERR_DB_POOL_EXHAUSTED or ERR_DB_UNAVAILABLE, quickly */
  acquire(holder: string): Promise<Lease>;
  state(): PoolState;
  stop(): Promise<void>;
}

const int8 = 20;
pg.types.setTypeParser(int8, parseSafeInteger);

/** Opens a pool; no connection is made before the first use. */
export function createPool(config: PoolConfig): Pool {
  const limits = { ...defaultPoolLimits, ...config.limits };
  const emit = config.onEvent ?? (() => {});
  const pool = new pg.Pool(driverOptions(config, limits));
  // An error on an idle connection would otherwise end the process (node-postgres #2112).
  pool.on("error", (error) => emit({ kind: "connection_error", pool: config.name, error }));
  pool.on("connect", (client) => {
    client.on("error", (error) => emit({ kind: "connection_error", pool: config.name, error }));
  });
  const breaker = createBreaker({
    name: config.name,
    failuresInARow: limits.breakerThreshold,
    // A database that comes back is missed by everybody: it is asked often.
    openMs: limits.breakerOpenMs / 4,
    openMaxMs: limits.breakerOpenMs,
    isFailure: (error) => error instanceof DbError && error.code === "ERR_DB_UNAVAILABLE",
    onEvent(event) {
      if (event.kind === "breaker")
        emit({ kind: "breaker", pool: config.name, state: event.state });
    },
  });

  return {
    name: config.name,
    async acquire(holder) {
      if (pool.waitingCount >= limits.waitingMax) throw exhausted(config.name, emit);
      const startedAt = performance.now();
      const client = await connect(pool, config.name, breaker, emit);
      emit({ kind: "acquired", pool: config.name, waitedMs: performance.now() - startedAt });
      return lend(client, { name: config.name, holder, leakAfterMs: limits.leakAfterMs, emit });
    },
    state: () => ({
      name: config.name,
      max: limits.max,
      total: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      breaker: breaker.state(),
    }),
    async stop() {
      if (!pool.ended && !pool.ending) await pool.end();
    },
  };
}

function driverOptions(config: PoolConfig, limits: PoolLimits): pg.PoolConfig {
  return {
    connectionString: config.url,
    max: limits.max,
    min: limits.min,
    connectionTimeoutMillis: limits.acquireTimeoutMs,
    idleTimeoutMillis: limits.idleTimeoutMs,
    maxLifetimeSeconds: limits.maxLifetimeSeconds,
    keepAlive: true,
    application_name: `brandos/${config.name}`,
    pipeline: true,
    ...(config.searchPath ? { options: `-c search_path=${config.searchPath}` } : {}),
  } as pg.PoolConfig;
}

async function connect(
  pool: pg.Pool,
  name: string,
  breaker: Breaker,
  emit: (event: PoolEvent) => void,
): Promise<pg.PoolClient> {
  try {
    return await breaker.run(async () => {
      try {
        return await pool.connect();
      } catch (error) {
        const full = pool.totalCount >= pool.options.max;
        if (full && /timeout exceeded/.test(String(error))) throw exhausted(name, emit);
        throw toDbError(error);
      }
    });
  } catch (error) {
    if (!(error instanceof ResilienceError)) throw error;
    const message = `database ${name} is unavailable; the circuit breaker is open`;
    throw new DbError("ERR_DB_UNAVAILABLE", message, { retryable: true, cause: error });
  }
}

function exhausted(name: string, emit: (event: PoolEvent) => void): DbError {
  emit({ kind: "exhausted", pool: name });
  const message = `every connection of pool ${name} is busy; try again shortly`;
  return new DbError("ERR_DB_POOL_EXHAUSTED", message, { retryable: true });
}

interface Lending {
  readonly name: string;
  readonly holder: string;
  readonly leakAfterMs: number;
  readonly emit: (event: PoolEvent) => void;
}

function lend(client: pg.PoolClient, lending: Lending): Lease {
  const since = performance.now();
  let given = true;
  const leak = setTimeout(() => {
    const { name, holder } = lending;
    lending.emit({ kind: "leak", pool: name, heldMs: performance.now() - since, holder });
  }, lending.leakAfterMs);
  leak.unref();
  return {
    client,
    release(broken = false) {
      if (!given) return;
      given = false;
      clearTimeout(leak);
      client.release(broken);
    },
  };
}

/** bigint columns arrive as numbers; a value a double cannot hold exactly is an error, not a guess. */
function parseSafeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond 2^53 - 1`);
  return value;
}
