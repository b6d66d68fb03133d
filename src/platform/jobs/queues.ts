import type { TenantId } from "../../kernel/ids.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";

/** Stops every worker of the database from claiming from a queue. What runs goes on. */
export async function pauseQueue(tx: Tx, queue: string): Promise<void> {
  await tx.run(sql("jobs.pause_queue")`
    insert into job_queues as queue (name, paused_at) values (${queue}, now())
    on conflict (name) do update set paused_at = coalesce(queue.paused_at, now())`);
}

/** Opens a paused queue again. */
export async function resumeQueue(tx: Tx, queue: string): Promise<void> {
  await tx.run(sql("jobs.resume_queue")`
    update job_queues set paused_at = null where name = ${queue}`);
}

/** Jobs one {@link purgeSome} removes at most. */
export const purgeMax = 5_000;

/**
 * Removes waiting and scheduled jobs of a queue, and their unique keys. What runs goes on.
 *
 * @param tenantId only this tenant's; undefined: everybody's (as platform role)
 * @returns how many; call again while it is {@link purgeMax}
 */
export function purgeSome(tx: Tx, queue: string, tenantId?: TenantId): Promise<number> {
  return tx
    .rows(sql("jobs.purge_queue")`
      with ready as (
        delete from jobs_ready where ctid = any (array(
          select ctid from jobs_ready
          where queue = ${queue} and tenant_id = coalesce(${tenantId ?? null}::uuid, tenant_id)
          limit ${purgeMax} for update skip locked))
        returning tenant_id, queue, unique_key, id
      ), scheduled as (
        delete from jobs_scheduled where ctid = any (array(
          select ctid from jobs_scheduled
          where queue = ${queue} and tenant_id = coalesce(${tenantId ?? null}::uuid, tenant_id)
          limit ${purgeMax} for update skip locked))
        returning tenant_id, queue, unique_key, id
      ), gone as (
        select * from ready union all select * from scheduled
      ), released as (
        delete from job_uniques using gone
        where job_uniques.tenant_id = gone.tenant_id and job_uniques.queue = gone.queue
          and job_uniques.unique_key = gone.unique_key and job_uniques.job_id = gone.id
      )
      select from gone`)
    .then((rows) => rows.length);
}
