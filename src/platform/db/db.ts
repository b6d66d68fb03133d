import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import type { Failure, Result } from "../../kernel/result.ts";
import { createTimeout, openCall } from "../resilience/resilience.ts";
import { believedStatus } from "./commit-status.ts";
import { DbError, toDbError } from "./errors.ts";
import { createPool, type Pool, type PoolEvent, type PoolLimits, type PoolState } from "./pool.ts";
import { sql } from "./sql.ts";
import {
  type Isolation,
  type Opening,
  type OpenTransaction,
  openTransaction,
  type StatementReport,
  serverLife,
  type TenantTx,
  type Tx,
} from "./transaction.ts";

export type { Isolation, StatementReport, TenantTx, Tx } from "./transaction.ts";

/** Where a tenant's rows are: a database this process knows by name, and a schema in it. */
export interface Placement {
  /** Name of the database: `home`, `home/silo_acme`, `eu1`. */
  readonly database: string;
  /** Schema of the tenant's business tables. */
  readonly schema: string;
}

/** One database's addresses, a URL per role. */
export interface DatabaseUrls {
  /** NOBYPASSRLS role for business work. */
  readonly app: string;
  /** Role that sees the platform's tables of all tenants, and no business table. */
  readonly platform: string;
}

/** How a unit of work runs; every field has a default. */
export interface WorkOptions {
  /** Name in metrics, leak reports and messages: `orders.place`. */
  readonly name?: string;
  readonly isolation?: Isolation;
  /** For platform work that only looks: takes no transaction id, so it holds nobody back. */
  readonly readOnly?: boolean;
  /** Longest any one statement may run, milliseconds; default 10,000. */
  readonly statementTimeoutMs?: number;
  /**
   * Moment after which nobody waits, milliseconds of `performance.now()`: no statement runs longer, and
   * nothing is begun or tried again after it.
   */
  readonly deadlineMs?: number | undefined;
  /** Longest wait for any one lock, milliseconds; default 5,000. */
  readonly lockTimeoutMs?: number;
  /** Runs at most, the first included; default 5. */
  readonly attemptsMax?: number;
}

/** What to connect to, and who wants to know. */
export interface DbConfig {
  /** Finds a database's addresses by its name. @throws when unknown */
  readonly urlsOf: (database: string) => DatabaseUrls;
  /** Finds a tenant's placement; called once per unit of work, so it caches. */
  readonly placementOf: (tenantId: TenantId) => Promise<Placement>;
  readonly poolLimits?: Partial<PoolLimits>;
  /** Longest a COMMIT may take, milliseconds; default 15,000. */
  readonly commitTimeoutMs?: number;
  /** False behind a transaction pooler that cannot keep prepared statements. */
  readonly prepare?: boolean;
  readonly random?: Random;
  readonly onPoolEvent?: (event: PoolEvent) => void;
  readonly onStatement?: (report: StatementReport) => void;
  readonly onRetry?: (report: { name: string; attempt: number; error: DbError }) => void;
}

/** A transaction that visits several tenants of one database, one after the other. */
export interface WorkerTx extends Tx {
  /** Acts as this tenant from here on. @throws when the tenant lives in another database */
  enter(tenantId: TenantId): Promise<TenantTx>;
}

/** The databases of a deployment, seen as makers of transactions. */
export interface Db {
  /**
   * Runs `work` in one transaction for one tenant: commits when it returns an ok result, rolls back
   * when it returns a failure or throws. Serialization failures and deadlocks run it again, so it
   * must have no effect outside the database. @throws DbError
   */
  transact<Value, F extends Failure>(
    tenantId: TenantId,
    work: (tx: TenantTx) => Promise<Result<Value, F>>,
    options?: WorkOptions,
  ): Promise<Result<Value, F>>;
  /** Like {@link transact} for work that refuses item by item: commits unless it throws. */
  commit<Value>(
    tenantId: TenantId,
    work: (tx: TenantTx) => Promise<Value>,
    options?: WorkOptions,
  ): Promise<Value>;
  /** Reads in one read-only transaction of one tenant. */
  read<Value>(
    tenantId: TenantId,
    work: (tx: TenantTx) => Promise<Value>,
    options?: WorkOptions,
  ): Promise<Value>;
  /** Runs platform work (no tenant, platform tables only) in one transaction. */
  platform<Value>(
    database: string,
    work: (tx: Tx) => Promise<Value>,
    options?: WorkOptions,
  ): Promise<Value>;
  /** Runs work as the application role that visits several tenants in one transaction. */
  worker<Value>(
    database: string,
    work: (tx: WorkerTx) => Promise<Value>,
    options?: WorkOptions,
  ): Promise<Value>;
  placementOf(tenantId: TenantId): Promise<Placement>;
  /** State of every open pool. */
  pools(): readonly PoolState[];
  stop(): Promise<void>;
}

/** How a unit of work runs that does not say otherwise. */
export const workDefaults = {
  statementTimeoutMs: 10_000,
  lockTimeoutMs: 5_000,
  commitTimeoutMs: 15_000,
  attemptsMax: 5,
} as const;
/** How the server is asked what became of a commit whose answer was lost, milliseconds. */
export const commitStatusLimits = {
  questionTimeoutMs: 2_000,
  pauseMs: 50,
  totalMs: 10_000,
} as const;
const backoff: Backoff = { baseMs: 5, maxMs: 250 };

/** Opens the databases; connections are made on first use. */
export function createDb(config: DbConfig): Db {
  const pools = new Map<string, Pool>();
  const poolFor = (database: string, role: keyof DatabaseUrls, schema: string): Pool => {
    const key = `${database}/${role}/${schema}`;
    const known = pools.get(key);
    if (known) return known;
    const made = createPool({
      name: schema ? `${database}/${role}/${schema}` : `${database}/${role}`,
      url: config.urlsOf(database)[role],
      searchPath: searchPath(schema),
      ...(config.poolLimits ? { limits: config.poolLimits } : {}),
      ...(config.onPoolEvent ? { onEvent: config.onPoolEvent } : {}),
    });
    pools.set(key, made);
    return made;
  };
  const opening = (options: WorkOptions, extra: Partial<Opening>): Opening => ({
    isolation: options.isolation ?? "read committed",
    readOnly: false,
    statementTimeoutMs: options.statementTimeoutMs ?? workDefaults.statementTimeoutMs,
    lockTimeoutMs: options.lockTimeoutMs ?? workDefaults.lockTimeoutMs,
    commitTimeoutMs: config.commitTimeoutMs ?? workDefaults.commitTimeoutMs,
    prepare: config.prepare ?? true,
    ...(config.onStatement ? { onStatement: config.onStatement } : {}),
    ...extra,
  });
  const forTenant = async <Value>(
    tenantId: TenantId,
    options: WorkOptions,
    body: (tx: TenantTx) => Promise<Verdict<Value>>,
    readOnly = false,
  ): Promise<Value> => {
    const placement = await config.placementOf(tenantId);
    const pool = poolFor(placement.database, "app", placement.schema);
    const how = opening(options, { tenantId, readOnly });
    const run = (open: OpenTransaction) => body({ ...open.tx, tenantId });
    return attempt({ pool, opening: how, options, config }, run);
  };

  return {
    transact: (tenantId, work, options = {}) =>
      forTenant(tenantId, options, async (tx) => {
        const value = await work(tx);
        return { value, keep: value.ok };
      }),
    commit: (tenantId, work, options = {}) =>
      forTenant(tenantId, options, async (tx) => ({ value: await work(tx), keep: true })),
    read: (tenantId, work, options = {}) =>
      forTenant(tenantId, options, async (tx) => ({ value: await work(tx), keep: true }), true),
    platform(database, work, options = {}) {
      const pool = poolFor(database, "platform", "");
      const run = async (open: OpenTransaction) => ({ value: await work(open.tx), keep: true });
      const how = opening(options, { readOnly: options.readOnly ?? false });
      return attempt({ pool, opening: how, options, config }, run);
    },
    worker(database, work, options = {}) {
      const pool = poolFor(database, "app", "shared");
      const run = async (open: OpenTransaction) => {
        const enter = (tenantId: TenantId) => enterTenant(config, database, open, tenantId);
        return { value: await work({ ...open.tx, enter }), keep: true };
      };
      return attempt({ pool, opening: opening(options, {}), options, config }, run);
    },
    placementOf: config.placementOf,
    pools: () => [...pools.values()].map((pool) => pool.state()),
    async stop() {
      await Promise.all([...pools.values()].map((pool) => pool.stop()));
    },
  };
}

/** Unqualified names resolve in the tenant's schema first, then in the platform's. */
export function searchPath(schema: string): string {
  return schema ? `${schema},platform` : "platform,control";
}

async function enterTenant(
  config: DbConfig,
  database: string,
  open: OpenTransaction,
  tenantId: TenantId,
): Promise<TenantTx> {
  const placement = await config.placementOf(tenantId);
  if (placement.database === database) return open.enter(tenantId, searchPath(placement.schema));
  const message = `tenant ${tenantId} is in ${placement.database}, not in ${database}`;
  throw new DbError("ERR_DB_REFUSED", message, { retryable: false });
}

/** What a unit of work came to, and whether to keep it. */
interface Verdict<Value> {
  readonly value: Value;
  readonly keep: boolean;
}

interface Attempt {
  readonly pool: Pool;
  readonly opening: Opening;
  readonly options: WorkOptions;
  readonly config: DbConfig;
}

type Body<Value> = (open: OpenTransaction) => Promise<Verdict<Value>>;

/** Runs a unit of work until it is done, refused, or out of attempts. */
async function attempt<Value>(work: Attempt, body: Body<Value>): Promise<Value> {
  const { options, config } = work;
  const name = options.name ?? "unit of work";
  const attemptsMax = options.attemptsMax ?? workDefaults.attemptsMax;
  for (let tried = 1; ; tried++) {
    const outcome = await once(work, name, body);
    if (outcome.done) return outcome.value;
    const { error } = outcome;
    if (!outcome.again || tried >= attemptsMax) throw error;
    config.onRetry?.({ name, attempt: tried, error: error as DbError });
    const waitMs = fullJitter(backoff, tried - 1, config.random ?? Math.random);
    if (waitMs >= leftMs(options)) throw error;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

type Outcome<Value> =
  | { readonly done: true; readonly value: Value }
  | { readonly done: false; readonly error: unknown; readonly again: boolean };

async function once<Value>(
  work: Attempt,
  name: string,
  body: Body<Value>,
): Promise<Outcome<Value>> {
  if (leftMs(work.options) <= 0) throw deadlinePassed(name);
  const lease = await work.pool.acquire(name);
  const left = Math.ceil(leftMs(work.options));
  if (left <= 0) {
    lease.release();
    throw deadlinePassed(name);
  }
  const statementTimeoutMs = Math.min(work.opening.statementTimeoutMs, left);
  const open = openTransaction(lease, { ...work.opening, statementTimeoutMs });
  let verdict: Verdict<Value> | undefined;
  try {
    verdict = await body(open);
    if (verdict.keep) await open.commit();
    else await open.rollback();
  } catch (error) {
    const lost = isConnectionLost(error);
    if (!lost) await open.rollback().catch(() => {});
    lease.release(lost || lease.client.getTransactionStatus() !== "I");
    const writing = !work.opening.readOnly;
    if (verdict?.keep && lost && writing)
      return settleLostCommit(work.pool, open, verdict.value, error);
    return { done: false, error, again: isConflict(error) };
  }
  lease.release(lease.client.getTransactionStatus() !== "I");
  if (verdict.keep) for (const hook of open.hooks) hook();
  return { done: true, value: verdict.value };
}

function leftMs({ deadlineMs = Number.POSITIVE_INFINITY }: WorkOptions): number {
  return deadlineMs - performance.now();
}

function deadlinePassed(name: string): DbError {
  const message = `the caller's deadline passed before ${name} began`;
  return new DbError("ERR_DB_STATEMENT_TIMEOUT", message, { retryable: false });
}

/** A conflict with another transaction: a fresh run on a fresh snapshot may succeed. */
function isConflict(error: unknown): boolean {
  if (!(error instanceof DbError)) return false;
  return error.code === "ERR_DB_SERIALIZATION" || error.code === "ERR_DB_DEADLOCK";
}

function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof DbError)) return false;
  return error.code === "ERR_DB_COMMIT_UNKNOWN" || error.code === "ERR_DB_UNAVAILABLE";
}

/**
 * The connection broke while COMMIT was under way: the transaction may be durable or not, and
 * running it again blindly would double it. The server knows: its transaction id was fetched
 * together with BEGIN. After a crash the id may have been given again: then only "aborted" can be
 * believed, since the id of a durable transaction is never given again.
 */
async function settleLostCommit<Value>(
  pool: Pool,
  open: OpenTransaction,
  value: Value,
  cause: unknown,
): Promise<Outcome<Value>> {
  const xid = await open.transactionId();
  const sent = open.commitSent();
  const status = !sent
    ? "aborted"
    : xid === undefined
      ? "unknown"
      : await statusOf(pool, xid, await open.serverLife()).catch(() => "unknown");
  if (status === "committed") {
    for (const hook of open.hooks) hook();
    return { done: true, value };
  }
  if (status === "aborted") {
    const message = "the connection broke before the commit; nothing was kept";
    const error = new DbError("ERR_DB_UNAVAILABLE", message, { retryable: true, cause });
    return { done: false, error, again: true };
  }
  const message = "the connection broke during the commit; its outcome is unknown";
  const error = new DbError("ERR_DB_COMMIT_UNKNOWN", message, { retryable: false, cause });
  return { done: false, error, again: false };
}

/** Asks the server what became of a transaction, waiting while it still runs there. */
async function statusOf(pool: Pool, xid: string, life: string | undefined): Promise<string> {
  const deadline = performance.now() + commitStatusLimits.totalMs;
  for (;;) {
    const status = await askStatus(pool, xid, life).catch((error) => {
      if (performance.now() > deadline) throw error;
      return "in progress";
    });
    if (status !== "in progress") return status;
    if (performance.now() > deadline) return "unknown";
    await new Promise((resolve) => setTimeout(resolve, commitStatusLimits.pauseMs));
  }
}

/** A server that fell silent during the commit may be silent about its status, too. */
const statusTimeout = createTimeout({
  name: "db.commit_status",
  timeoutMs: commitStatusLimits.questionTimeoutMs,
});

async function askStatus(pool: Pool, xid: string, life: string | undefined): Promise<string> {
  const lease = await pool.acquire("db.commit_status");
  try {
    // After a crash an id that has not been given again is one that was lost: asked about it, the
    // server would answer with an error until somebody has it.
    const { text, values } = sql("db.commit_status")`
      select case when ${life ?? null}::text is null or ${life ?? null}::text = ${serverLife}
          or ${xid}::xid8 < pg_snapshot_xmax(pg_current_snapshot())
        then pg_xact_status(${xid}::xid8) else 'aborted' end as status,
        ${serverLife} as life`;
    const ask = () => lease.client.query(text, [...values]);
    const { rows } = await statusTimeout.run(ask, openCall());
    lease.release();
    return believedStatus(rows[0] ?? {}, life);
  } catch (error) {
    lease.release(true);
    throw toDbError(error, "db.commit_status");
  }
}
