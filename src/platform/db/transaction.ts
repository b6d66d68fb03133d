import type { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import type pg from "pg";
import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { encodeArrays } from "./array-parameters.ts";
import { DbError, toDbError } from "./errors.ts";
import type { Lease } from "./pool.ts";
import { watchSilence } from "./silence.ts";
import { fragment, type Statement, sql } from "./sql.ts";

/** Isolation levels a unit of work may ask for. Money moves at `repeatable read` or stricter. */
export type Isolation = "read committed" | "repeatable read" | "serializable";

/** What one statement did, for observers. */
export interface StatementReport {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
  /** From sending to the last row, milliseconds; pipelined statements overlap. */
  readonly elapsedMs: number;
  readonly rowCount: number;
  readonly error?: DbError;
}

/**
 * An open transaction. With a tenant it acts as the application role, confined by row-level
 * security; without one it acts as the platform role on the platform's own tables.
 */
export interface Tx {
  /** Runs one statement and returns its rows. Calls made without awaiting share a round trip. @throws DbError */
  rows<Row>(statement: Statement): Promise<Row[]>;
  /** Runs one statement that returns at most one row. @throws DbError */
  maybe<Row>(statement: Statement): Promise<Row | undefined>;
  /** Runs one statement that must return exactly one row. @throws DbError */
  one<Row>(statement: Statement): Promise<Row>;
  /** Runs one statement and returns the number of rows it touched. @throws DbError */
  run(statement: Statement): Promise<number>;
  /**
   * Sends a write without waiting: it travels with what follows, at the latest with COMMIT.
   * If it fails the transaction fails: nothing of it is kept.
   */
  write(statement: Statement): void;
  /**
   * Calls `hook` once, when the transaction is about to commit or to go on to another tenant: the
   * place to `write` what was gathered until then. Never called when it rolls back.
   */
  beforeCommit(hook: () => void): void;
  /**
   * Calls the hooks of {@link beforeCommit} now and lets what was written so far leave: in a long
   * transaction the server works on one part while the next is prepared.
   */
  flush(): Promise<void>;
  /** Calls `hook` once the transaction is durable; never after a rollback, once whatever is retried. */
  afterCommit(hook: () => void): void;
}

/** A transaction of one tenant. */
export interface TenantTx extends Tx {
  readonly tenantId: TenantId;
}

/** How to open a transaction. */
export interface Opening {
  readonly isolation: Isolation;
  readonly readOnly: boolean;
  /** Longest any one statement may run, milliseconds. */
  readonly statementTimeoutMs: number;
  /** Longest wait for any one lock, milliseconds. */
  readonly lockTimeoutMs: number;
  /** Longest the whole COMMIT may take, milliseconds: a standby that is away must not hang us. */
  readonly commitTimeoutMs: number;
  readonly tenantId?: TenantId;
  /** Schemas to resolve names in, where the connection does not carry them already. */
  readonly searchPath?: string;
  readonly prepare: boolean;
  readonly onStatement?: (report: StatementReport) => void;
}

/** A transaction under way, as its driver sees it. */
export interface OpenTransaction {
  readonly tx: Tx;
  /** Makes it durable. @throws DbError; ERR_DB_COMMIT_UNKNOWN when the answer was lost */
  commit(): Promise<void>;
  rollback(): Promise<void>;
  /** Points the transaction at a tenant: its rows and no other's from here on. */
  enter(tenantId: TenantId, searchPath?: string): TenantTx;
  /** What to call once it is durable. */
  readonly hooks: readonly (() => void)[];
  /** The server's id of a writing transaction, once known: asks `pg_xact_status` after a lost commit. */
  transactionId(): Promise<string | undefined>;
  /** Which life of the server this transaction ran in, once known; see {@link serverLife}. */
  serverLife(): Promise<string | undefined>;
  /** Whether COMMIT is on its way: before that, a lost connection keeps nothing. */
  commitSent(): boolean;
}

const begins: Readonly<Record<Isolation, string>> = {
  "read committed": "begin isolation level read committed",
  "repeatable read": "begin isolation level repeatable read",
  serializable: "begin isolation level serializable",
};

/** Opens a transaction; BEGIN and the settings travel with the first statement. */
export function openTransaction(lease: Lease, opening: Opening): OpenTransaction {
  const { client } = lease;
  assert(client.getTransactionStatus() !== "T", "a pooled connection is outside any transaction");
  const pending = new Set<Promise<unknown>>();
  const hooks: (() => void)[] = [];
  const gathered: (() => void)[] = [];
  const flush = () => {
    for (const hook of gathered.splice(0)) hook();
  };
  const silence = watchSilence(client, opening.statementTimeoutMs);
  let failed: DbError | undefined;
  let commitSent = false;

  const send = (statement: Statement): Promise<pg.QueryResult> => {
    const startedAt = performance.now();
    const sent = submit(client, statement, opening.prepare).then(
      (result) => {
        const elapsedMs = performance.now() - startedAt;
        opening.onStatement?.({ ...statement, elapsedMs, rowCount: result.rowCount ?? 0 });
        return result;
      },
      (cause) => {
        const error = toDbError(cause, statement.name);
        // Statements behind a failed one are refused with 25P02: report the first, it is the reason.
        if (error.sqlState !== "25P02") failed ??= error;
        const elapsedMs = performance.now() - startedAt;
        opening.onStatement?.({ ...statement, elapsedMs, rowCount: 0, error });
        throw failed ?? error;
      },
    );
    pending.add(sent);
    silence.asked();
    const settled = () => {
      pending.delete(sent);
      silence.answered();
    };
    sent.then(settled, settled);
    return sent;
  };

  const first = start(client, opening, send);
  if (!(opening.readOnly || lives.has(client))) lives.set(client, askLife(client, send));
  const tx = createTx(send, { hooks, gathered, flush });

  return {
    tx,
    hooks,
    enter(tenantId, searchPath) {
      flush();
      send(enterTenant(tenantId, searchPath)).catch(() => {});
      return { ...tx, tenantId };
    },
    transactionId: () => first,
    serverLife: async () => lives.get(client),
    commitSent: () => commitSent,
    async commit() {
      flush();
      // Whoever loses the answer to COMMIT asks the server about this id. Work that read anything
      // knows it by now; work that only wrote waits one round trip for it.
      // The life comes in the same flight.
      await Promise.all([first, lives.get(client)]);
      if (failed) throw failed;
      commitSent = true;
      const commit = submit(client, { name: "", text: "commit", values: [] }, false);
      // Queued behind every pending write: one flight carries them all.
      const [result] = await Promise.all([
        within(commit, opening.commitTimeoutMs, failedCommit),
        ...pending,
      ]).catch((error) => {
        throw failed ?? toDbError(error, "commit");
      });
      if (failed) throw failed;
      assert(result.command === "COMMIT", "a transaction without a failed statement commits");
    },
    async rollback() {
      await Promise.allSettled(pending);
      await submit(client, { name: "", text: "rollback", values: [] }, false);
    },
  };
}

/**
 * Names a life of the server: it changes with every start, and with every recovery from a crash.
 * A transaction id that was lost in a crash is given again afterwards, to another transaction.
 */
export const serverLife = fragment`extract(epoch from pg_postmaster_start_time())::text || ' ' ||
  coalesce((select extract(epoch from stats_reset)::text from pg_stat_wal), '')`;

/**
 * The life each connection was opened in. Without a pooler in between none outlives it; behind one
 * it may be an earlier life than the transaction's, which makes more in doubt and nothing believed.
 */
const lives = new WeakMap<pg.PoolClient, Promise<string | undefined>>();

async function askLife(
  client: pg.PoolClient,
  send: (statement: Statement) => Promise<pg.QueryResult>,
): Promise<string | undefined> {
  const asked = send(sql("db.server_life")`select ${serverLife} as life`);
  return asked.then(
    ({ rows }) => String(rows[0]?.life),
    () => {
      lives.delete(client);
      return undefined;
    },
  );
}

function start(
  client: pg.PoolClient,
  opening: Opening,
  send: (statement: Statement) => Promise<pg.QueryResult>,
): Promise<string | undefined> {
  const begin = begins[opening.isolation] + (opening.readOnly ? " read only" : "");
  const begun = submit(client, { name: "", text: begin, values: [] }, false);
  begun.catch(() => {});
  const settings = send(opening.readOnly ? readSettings(opening) : writeSettings(opening));
  return settings.then(
    (result) => (opening.readOnly ? undefined : String(result.rows[0]?.xid)),
    () => undefined,
  );
}

/** After the timeout nobody knows whether the transaction is durable. */
function failedCommit(): DbError {
  const message = "the database did not confirm the commit in time; its outcome is unknown";
  return new DbError("ERR_DB_COMMIT_UNKNOWN", message, { retryable: false });
}

function writeSettings(opening: Opening): Statement {
  return sql("db.begin_write")`
    select pg_current_xact_id()::text as xid,
      set_config('app.tenant', ${opening.tenantId ?? ""}, true),
      set_config('statement_timeout', ${String(opening.statementTimeoutMs)}, true),
      set_config('lock_timeout', ${String(opening.lockTimeoutMs)}, true),
      set_config('search_path', coalesce(${opening.searchPath ?? null}, current_setting('search_path')), true)`;
}

function readSettings(opening: Opening): Statement {
  return sql("db.begin_read")`
    select set_config('app.tenant', ${opening.tenantId ?? ""}, true),
      set_config('statement_timeout', ${String(opening.statementTimeoutMs)}, true),
      set_config('search_path', coalesce(${opening.searchPath ?? null}, current_setting('search_path')), true)`;
}

function enterTenant(tenantId: TenantId, searchPath: string | undefined): Statement {
  return sql("db.enter_tenant")`
    select set_config('app.tenant', ${tenantId}, true),
      set_config('search_path', coalesce(${searchPath ?? null}, current_setting('search_path')), true)`;
}

interface Hooks {
  readonly hooks: (() => void)[];
  readonly gathered: (() => void)[];
  /** Calls and forgets what was gathered. */
  readonly flush: () => void;
}

function createTx(
  send: (statement: Statement) => Promise<pg.QueryResult>,
  { hooks, gathered, flush }: Hooks,
): Tx {
  return {
    rows: async <Row>(statement: Statement) => (await send(statement)).rows as Row[],
    async maybe<Row>(statement: Statement) {
      const { rows } = await send(statement);
      assert(rows.length <= 1, `${statement.name} returns at most one row`);
      return rows[0] as Row | undefined;
    },
    async one<Row>(statement: Statement) {
      const { rows } = await send(statement);
      assert(rows.length === 1, `${statement.name} returns exactly one row`);
      return rows[0] as Row;
    },
    run: async (statement) => (await send(statement)).rowCount ?? 0,
    write(statement) {
      send(statement).catch(() => {});
    },
    beforeCommit(hook) {
      gathered.push(hook);
    },
    async flush() {
      flush();
      await nextTurn();
    },
    afterCommit(hook) {
      hooks.push(hook);
    },
  };
}

/**
 * Statements sent in one turn leave in one system call: the driver writes each on its own, which cost
 * a tenth of node's time. They go out at the end of the turn, before anything can wait for them.
 */
function gatherWrites(client: pg.PoolClient): void {
  const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

function submit(
  client: pg.PoolClient,
  statement: Statement,
  prepare: boolean,
): Promise<pg.QueryResult> {
  gatherWrites(client);
  const values = encodeArrays(statement);
  if (!prepare || statement.name === "") return client.query(statement.text, values);
  return client.query({ name: statement.name, text: statement.text, values });
}

async function within<Value>(
  work: Promise<Value>,
  limitMs: number,
  onTimeout: () => Error,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onTimeout()), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
