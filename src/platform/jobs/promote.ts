import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { pinned } from "./claim.ts";

/** Jobs one promotion moves at most. */
export const promoteMax = 2_000;

/** What a promotion came to. */
export interface Promotion {
  readonly moved: number;
  /** Until the next scheduled job is due, milliseconds by the database's clock; absent: none. */
  readonly nextInMs: number | undefined;
  /** Low-water mark for the next call. */
  readonly mark: Date;
}

interface PromotionRow {
  readonly moved: number;
  readonly last_run_at: Date | null;
  readonly next_in_ms: number | null;
}

/** Nothing is scheduled before it. */
export const beginningOfTime = new Date(0);

/**
 * Moves scheduled jobs that are due to the waiting ones.
 *
 * @param mark reads only jobs due after this moment: the index entries of jobs promoted before stay
 *   as long as an old snapshot does, and are not walked again
 */
export function promoteJobs(db: Db, database: string, mark: Date): Promise<Promotion> {
  return db.platform(
    database,
    async (tx) => {
      const pin = pinned(tx);
      const rows = tx.one<PromotionRow>(sql("jobs.promote")`
        with due as materialized (
          select ctid as place from jobs_scheduled
          where run_at >= ${mark} and run_at <= statement_timestamp()
          order by run_at limit ${promoteMax}
          for update skip locked
        ), moved as (
          delete from jobs_scheduled where ctid = any (array(select place from due)) returning *
        ), ready as (
          insert into jobs_ready (tenant_id, id, enqueued_at, priority, attempt, attempts_max,
            queue, kind, payload, origin, unique_key)
          select tenant_id, id, enqueued_at, priority, attempt, attempts_max,
            queue, kind, payload, origin, unique_key
          from moved
        )
        select count(*)::int as moved, max(run_at) as last_run_at,
          (select (extract(epoch from next.run_at - statement_timestamp()) * 1000)::float8
           from (select run_at from jobs_scheduled
                 where run_at > statement_timestamp() order by run_at limit 1) as next) as next_in_ms
        from moved`);
      const [, row] = await Promise.all([pin, rows]);
      const nextInMs = row.next_in_ms ?? undefined;
      return { moved: row.moved, nextInMs, mark: row.last_run_at ?? mark };
    },
    { name: "jobs.promote" },
  );
}
