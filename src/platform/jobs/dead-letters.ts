import { type Id, isId, type TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";
import type { Page } from "../../kernel/page.ts";
import { sql } from "../db/sql.ts";
import type { TenantTx } from "../db/transaction.ts";
import type { JobId } from "./job.ts";

/** A job that will not run again by itself. */
export interface DeadLetter {
  readonly id: JobId;
  readonly tenantId: TenantId;
  readonly queue: string;
  readonly kind: string;
  readonly payload: JsonObject;
  /** Runs it had. */
  readonly attempt: number;
  /** `exhausted`: no attempts left; `refused`: its handler said so; `lost`: it took its workers down. */
  readonly reason: "exhausted" | "refused" | "lost";
  readonly lastError: string;
  readonly enqueuedAt: Date;
  readonly diedAt: Date;
}

interface DeadRow {
  readonly id: JobId;
  readonly tenant_id: TenantId;
  readonly queue: string;
  readonly kind: string;
  readonly payload: JsonObject;
  readonly attempt: number;
  readonly reason: DeadLetter["reason"];
  readonly last_error: string;
  readonly enqueued_at: Date;
  readonly died_at: Date;
}

/** Newest first by id. @param before id of the last one of the page before */
export async function listDeadLetters(
  tx: TenantTx,
  limit: number,
  before?: string,
): Promise<Page<DeadLetter>> {
  const low =
    before !== undefined && isId(before) ? before : "ffffffff-ffff-ffff-ffff-ffffffffffff";
  const rows = await tx.rows<DeadRow>(sql("jobs.list_dead")`
    select id, tenant_id, queue, kind, payload, attempt, reason, last_error, enqueued_at, died_at
    from jobs_dead where tenant_id = ${tx.tenantId} and id < ${low}::uuid
    order by id desc limit ${limit + 1}`);
  const items = rows.slice(0, limit).map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    queue: row.queue,
    kind: row.kind,
    payload: row.payload,
    attempt: row.attempt,
    reason: row.reason,
    lastError: row.last_error,
    enqueuedAt: row.enqueued_at,
    diedAt: row.died_at,
  }));
  const last = items.at(-1);
  return rows.length > limit && last ? { items, nextCursor: last.id } : { items };
}

/**
 * Lets dead letters run again, with all their attempts. One whose unique key another job took
 * meanwhile stays dead.
 *
 * @returns the ids that wait again
 */
export async function replayDeadLetters(
  tx: TenantTx,
  ids: readonly Id<"job">[],
): Promise<readonly JobId[]> {
  const rows = await tx.rows<{ id: JobId }>(sql("jobs.replay_dead")`
    with letter as materialized (
      select * from jobs_dead
      where tenant_id = ${tx.tenantId} and id = any (${ids}::uuid[])
      order by id for update
    ), taken as (
      insert into job_uniques (tenant_id, queue, unique_key, job_id)
      select distinct on (queue, unique_key) tenant_id, queue, unique_key, id
      from letter where unique_key is not null order by queue, unique_key, id
      on conflict do nothing
      returning job_id
    ), revived as (
      delete from jobs_dead using letter
      where jobs_dead.tenant_id = letter.tenant_id and jobs_dead.id = letter.id
        and (letter.unique_key is null or letter.id in (select job_id from taken))
      returning jobs_dead.*
    ), ready as (
      insert into jobs_ready (tenant_id, id, enqueued_at, priority, attempts_max, queue, kind,
        payload, origin, unique_key)
      select tenant_id, id, enqueued_at, priority, attempts_max, queue, kind,
        payload, origin, unique_key
      from revived
    )
    select id from revived`);
  return rows.map((row) => row.id);
}

/** Throws dead letters away. @returns how many there were */
export function discardDeadLetters(tx: TenantTx, ids: readonly Id<"job">[]): Promise<number> {
  return tx.run(sql("jobs.discard_dead")`
    delete from jobs_dead
    where tenant_id = ${tx.tenantId} and id = any (${ids}::uuid[])`);
}
