import { createCoalescer } from "../coalescer/coalescer.ts";
import type { Db } from "../db/db.ts";
import { splitsOnDataErrors } from "../db/errors.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { LimitState } from "./algorithm.ts";
import { settleCall, storedKey } from "./settle.ts";
import type { LimitStore, StoreAnswer, StoreCall } from "./store.ts";

/** What the store works with. */
export interface PostgresLimitStoreConfig {
  readonly db: Db;
  /** The database with the table of limits; default `home`. */
  readonly database?: string;
}

/**
 * Counts in PostgreSQL, by its clock. Concurrent calls of a process share a transaction: it locks the
 * rows of all their keys, decides here, and writes them with COMMIT.
 *
 * Nobody waits for the disk: a crash of PostgreSQL forgets the tokens of its last moment, up to three
 * times `wal_writer_delay`, 0.6 s. A clean stop and a crash of this process forget nothing.
 */
export function createPostgresLimitStore(config: PostgresLimitStoreConfig): LimitStore {
  const { db, database = "home" } = config;
  const calls = createCoalescer<StoreCall, readonly StoreAnswer[]>({
    name: "limits",
    batchMax: 500,
    inFlightMax: 2,
    besideMin: 16,
    waitingMax: 10_000,
    isSplittable: splitsOnDataErrors,
    run: (_, batch) => settleBatch(db, database, batch),
  });
  return {
    async apply(given) {
      const [only] = given;
      if (only && given.length === 1) return [await calls.submit(database, only)];
      return Promise.all(given.map((call) => calls.submit(database, call)));
    },
  };
}

/** Longest wait for rows that another process works on, and for a statement, milliseconds. */
const lockTimeoutMs = 250;
const statementTimeoutMs = 2_000;
/** How often a batch is done again because another process made one of its rows at the same time. */
const attemptsMax = 5;

/** Another process made a row between our look and our write: look again. Never leaves this file. */
class RowAppeared extends Error {}

async function settleBatch(
  db: Db,
  database: string,
  batch: readonly StoreCall[],
): Promise<readonly (readonly StoreAnswer[])[]> {
  const options = { name: "limits", lockTimeoutMs, statementTimeoutMs };
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.platform(database, (tx) => settleIn(tx, batch), options);
    } catch (error) {
      if (!(error instanceof RowAppeared) || attempt === attemptsMax) throw error;
    }
  }
}

interface LimitRow {
  readonly key: string;
  readonly state: string;
}

async function settleIn(
  tx: Tx,
  batch: readonly StoreCall[],
): Promise<readonly (readonly StoreAnswer[])[]> {
  const keys = [...new Set(batch.flat().map(storedKey))];
  tx.write(sql("limits.commit_soon")`select set_config('synchronous_commit', 'off', true)`);
  const locked = lockRows(tx, keys);
  // Asked behind the locks: whoever had them before looked at the clock before.
  const { now: nowMs } = await tx.one<{ now: number }>(sql("limits.now")`
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`);
  const rows = await locked;
  const states = new Map(rows.map(({ key, state }) => [key, readState(state)]));
  const known = new Set(states.keys());
  const changed = new Map<string, number>();
  const answers = batch.map((call) =>
    settleCall(call, nowMs, {
      read: (ask) => states.get(storedKey(ask)),
      write(ask, state, keepMs) {
        const key = storedKey(ask);
        states.set(key, state);
        changed.set(key, nowMs + keepMs);
      },
    }),
  );
  const written = [...changed].map(([key, endsAtMs]) => {
    return { key, state: (states.get(key) ?? []).join(","), endsAtMs };
  });
  updateRows(
    tx,
    written.filter(({ key }) => known.has(key)),
  );
  await insertRows(
    tx,
    written.filter(({ key }) => !known.has(key)),
  );
  return answers;
}

function readState(text: string): LimitState {
  return text === "" ? [] : text.split(",").map(Number);
}

/** In one order, whoever does it: two batches never wait in a circle. */
function lockRows(tx: Tx, keys: readonly string[]): Promise<LimitRow[]> {
  const rows = tx.rows<LimitRow>(sql("limits.lock")`
    select key, state from rate_limits where key = any(${keys}::text[]) order by key for update`);
  rows.catch(() => {});
  return rows;
}

interface WrittenRow extends LimitRow {
  readonly endsAtMs: number;
}

function updateRows(tx: Tx, rows: readonly WrittenRow[]): void {
  if (rows.length === 0) return;
  tx.write(sql("limits.update")`
    update rate_limits as kept set state = given.state,
      ends_at = to_timestamp(given.ends_at_ms / 1000.0)
    from unnest(${rows.map(({ key }) => key)}::text[], ${rows.map(({ state }) => state)}::text[],
      ${rows.map(({ endsAtMs }) => endsAtMs)}::bigint[]) as given (key, state, ends_at_ms)
    where kept.key = given.key`);
}

/** Sorted, and behind all locks of rows: whoever waits here is waited for by nobody it waits for. */
async function insertRows(tx: Tx, rows: readonly WrittenRow[]): Promise<void> {
  if (rows.length === 0) return;
  const inserted = await tx.run(sql("limits.insert")`
    insert into rate_limits (key, state, ends_at)
    select given.key, given.state, to_timestamp(given.ends_at_ms / 1000.0)
    from unnest(${rows.map(({ key }) => key)}::text[], ${rows.map(({ state }) => state)}::text[],
      ${rows.map(({ endsAtMs }) => endsAtMs)}::bigint[]) as given (key, state, ends_at_ms)
    order by given.key
    on conflict (key) do nothing`);
  if (inserted < rows.length) throw new RowAppeared("another process made a row meanwhile");
}

/**
 * Forgets keys whose whole limit is there again.
 *
 * @returns how many
 */
export function deleteOldLimits(db: Db, database: string): Promise<number> {
  return db.platform(
    database,
    (tx) =>
      tx.run(sql("limits.delete_old")`
        delete from rate_limits where ends_at < now() - interval '1 minute'`),
    { name: "limits.delete_old" },
  );
}
