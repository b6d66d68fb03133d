import type { TenantId } from "../../kernel/ids.ts";
import type { Db, TenantTx } from "./db.ts";
import { sql } from "./sql.ts";

/** What one batch came to. */
export interface BackfilledBatch {
  /** Rows changed. */
  readonly rows: number;
  /** Where the next batch begins; undefined when there is nothing left. */
  readonly next: string | undefined;
}

/** A change of many rows that a migration would hold locks for too long to make. */
export interface Backfill {
  /** Stable name: `orders.fill_placed_on`. A finished one never runs again under it. */
  readonly name: string;
  /**
   * Changes up to `limit` rows of the tenant, beginning after `position` (undefined at first).
   * It may run again after a conflict, so it has no effect outside the database.
   */
  readonly batch: (
    tx: TenantTx,
    position: string | undefined,
    limit: number,
  ) => Promise<BackfilledBatch>;
}

/** How fast, and for whom. */
export interface BackfillRun {
  readonly tenants: Iterable<TenantId> | AsyncIterable<TenantId>;
  /** Rows in one transaction; default 1,000. */
  readonly batchSize?: number;
  /** Share of the time it works, above 0 and up to 1; default 0.5. The rest it leaves to others. */
  readonly dutyCycle?: number;
  /** Waits between batches; a parameter for tests. */
  readonly wait?: (ms: number) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onBatch?: (progress: BackfillProgress) => void;
}

/** How far a backfill has come with one tenant. */
export interface BackfillProgress {
  readonly tenantId: TenantId;
  /** Rows changed so far, by earlier runs as well. */
  readonly rows: number;
  readonly done: boolean;
}

/**
 * Runs a backfill in short transactions, tenant by tenant. Each batch remembers in its own
 * transaction how far it came: killed at any moment, the next run goes on there, and two runs at
 * once take turns.
 *
 * @returns rows changed by this run
 * @throws DbError; the reason of the signal
 */
export async function runBackfill(db: Db, backfill: Backfill, run: BackfillRun): Promise<number> {
  const { batchSize = 1_000, dutyCycle = 0.5, wait = pause } = run;
  let changed = 0;
  for await (const tenantId of run.tenants) {
    for (;;) {
      run.signal?.throwIfAborted();
      const startedAt = performance.now();
      const { rows, progress } = await runBatch(db, backfill, tenantId, batchSize);
      changed += rows;
      run.onBatch?.(progress);
      if (progress.done) break;
      const elapsedMs = performance.now() - startedAt;
      await wait(elapsedMs * (1 / dutyCycle - 1));
    }
  }
  return changed;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface StateRow {
  readonly position: string | null;
  readonly rows: number;
  readonly finished: boolean;
}

function runBatch(
  db: Db,
  { name, batch }: Backfill,
  tenantId: TenantId,
  limit: number,
): Promise<{ readonly rows: number; readonly progress: BackfillProgress }> {
  return db.commit(
    tenantId,
    async (tx) => {
      tx.write(sql("db.backfill_begin")`
        insert into backfills (tenant_id, name) values (${tenantId}, ${name}) on conflict do nothing`);
      // The lock makes runs take turns.
      const state = await tx.one<StateRow>(sql("db.backfill_state")`
        select position, rows, finished_at is not null as finished from backfills
        where tenant_id = ${tenantId} and name = ${name} for update`);
      if (state.finished) {
        return { rows: 0, progress: { tenantId, rows: state.rows, done: true } };
      }
      const { rows, next } = await batch(tx, state.position ?? undefined, limit);
      const done = next === undefined;
      tx.write(sql("db.backfill_advance")`
        update backfills set position = ${next ?? null}, rows = rows + ${rows},
          updated_at = clock_timestamp(),
          finished_at = case when ${done} then clock_timestamp() end
        where tenant_id = ${tenantId} and name = ${name}`);
      return { rows, progress: { tenantId, rows: state.rows + rows, done } };
    },
    { name: `backfill.${name}` },
  );
}
