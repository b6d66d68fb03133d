import pg from "pg";
import type { TenantId } from "../../kernel/ids.ts";
import { type DbError, toDbError } from "../db/errors.ts";
import type { Statement } from "../db/sql.ts";
import { createPolicy, type DependencyFigures } from "../resilience/resilience.ts";
import type { DirectoryEntry } from "./entry.ts";

/** How the directory is read. */
export interface DirectoryReaderConfig {
  /** Platform role in the home database; asked for on first use. */
  readonly url: () => string;
  readonly ttlMs: number;
  readonly entriesMax: number;
}

/** Reads the directory through a small pool of its own, outside any unit of work. */
export interface DirectoryReader {
  /** Cached; concurrent misses share one query. @throws DbError */
  entryOf(tenantId: TenantId): Promise<DirectoryEntry | undefined>;
  read(tenantId: TenantId): Promise<DirectoryEntry | undefined>;
  forget(tenantId?: TenantId): void;
  query<Row>(statement: Statement): Promise<Row[]>;
  databases(): Promise<string[]>;
  /** Tenant schemas by database, `shared` first. */
  schemas(): Promise<ReadonlyMap<string, readonly string[]>>;
  /** What happened to its questions. */
  figures(): DependencyFigures;
  stop(): Promise<void>;
}

interface Cached {
  readonly entry: Promise<DirectoryEntry | undefined>;
  /** Moment of `performance.now()`. */
  readonly until: number;
}

const connectionsMax = 2;

/** Opens a reader; no connection is made before the first question. */
export function createDirectoryReader(config: DirectoryReaderConfig): DirectoryReader {
  const cache = new Map<TenantId, Cached>();
  const ask = createAsker(config.url);

  const read = async (tenantId: TenantId): Promise<DirectoryEntry | undefined> => {
    const [row] = await ask.rows<DirectoryEntry>(
      `select tenant_id as "tenantId", style, database, schema, epoch, state
       from control.placements where tenant_id = $1`,
      [tenantId],
    );
    return row;
  };
  const entryOf = (tenantId: TenantId): Promise<DirectoryEntry | undefined> => {
    const known = cache.get(tenantId);
    if (known && known.until > performance.now()) return known.entry;
    const entry = read(tenantId);
    cache.delete(tenantId);
    cache.set(tenantId, { entry, until: performance.now() + config.ttlMs });
    if (cache.size > config.entriesMax) cache.delete(cache.keys().next().value as TenantId);
    entry.then(
      (found) => found ?? cache.delete(tenantId),
      () => cache.delete(tenantId),
    );
    return entry;
  };

  return {
    entryOf,
    read,
    forget: (tenantId) => (tenantId === undefined ? cache.clear() : void cache.delete(tenantId)),
    databases: async () =>
      (await ask.rows<{ name: string }>("select name from control.databases")).map((r) => r.name),
    async schemas() {
      const rows = await ask.rows<{ name: string; schemas: string[] }>(
        `select d.name, array_agg(distinct p.schema) filter (where p.schema <> 'shared') as schemas
         from control.databases d left join control.placements p on p.database = d.name
         group by d.name`,
      );
      return new Map(rows.map((row) => [row.name, ["shared", ...(row.schemas ?? []).toSorted()]]));
    },
    figures: ask.figures,
    query: (statement) => ask.rows(statement.text, statement.values),
    stop: () => ask.stop(),
  };
}

/** Bounds of the questions to the directory; a breaker, because every request begins with one. */
export const directoryLimits = {
  connectTimeoutMs: 2_000,
  queryTimeoutMs: 5_000,
  /** Questions that may wait for a connection. */
  queueMax: 1_000,
  breakerThreshold: 5,
  breakerOpenMs: 1_000,
} as const;

function createAsker(url: () => string) {
  const policy = createPolicy({
    name: "postgres/directory",
    // A connection and a query, one after the other.
    timeoutMs: directoryLimits.connectTimeoutMs + directoryLimits.queryTimeoutMs,
    breaker: {
      failuresInARow: directoryLimits.breakerThreshold,
      openMs: directoryLimits.breakerOpenMs / 4,
      openMaxMs: directoryLimits.breakerOpenMs,
      isFailure: (error) => toDbError(error).code === "ERR_DB_UNAVAILABLE",
    },
    bulkhead: { concurrencyMax: connectionsMax, queueMax: directoryLimits.queueMax },
  });
  let pool: pg.Pool | undefined;
  let stopped = false;
  const open = (): pg.Pool => {
    const made = new pg.Pool({
      connectionString: url(),
      max: connectionsMax,
      connectionTimeoutMillis: directoryLimits.connectTimeoutMs,
      query_timeout: directoryLimits.queryTimeoutMs,
      idleTimeoutMillis: 60_000,
      application_name: "brandos/directory",
      options: "-c search_path=control,platform",
    });
    // The next question reconnects; an unhandled error would end the process.
    made.on("error", () => {});
    return made;
  };
  return {
    figures: policy.figures,
    async rows<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
      if (stopped) throw new Error("the directory is stopped");
      pool ??= open();
      const opened = pool;
      try {
        return (await policy.run(() => opened.query(text, [...values]))).rows as Row[];
      } catch (error) {
        throw toDbError(error, "placement.directory") satisfies DbError;
      }
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      await pool?.end();
    },
  };
}
