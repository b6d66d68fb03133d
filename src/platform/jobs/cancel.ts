import type { TenantId } from "../../kernel/ids.ts";
import { type Failure, fail, ok, type Result } from "../../kernel/result.ts";
import { sql } from "../db/sql.ts";
import type { TenantTx } from "../db/transaction.ts";
import type { JobId } from "./job.ts";

/** No waiting or running job of the tenant has this id. */
export interface JobNotFound extends Failure {
  readonly code: "jobs.not_found";
  readonly jobId: JobId;
}

/** `cancelled`: it will not run. `stopping`: it runs, and was asked to stop. */
export type Cancellation = "cancelled" | "stopping";

/**
 * Cancels a job that waits, or asks the worker that runs it to stop it.
 *
 * @returns failure when the job is over, or never was
 */
export async function cancelJob(
  tx: TenantTx,
  jobId: JobId,
): Promise<Result<Cancellation, JobNotFound>> {
  // A job may move on between two statements, from a place not yet searched to one already searched.
  for (let round = 0; round < 3; round++) {
    if (await removeWaiting(tx, jobId)) return ok("cancelled");
    if (await askToStop(tx, tx.tenantId, jobId)) return ok("stopping");
  }
  return fail({ code: "jobs.not_found", jobId });
}

async function removeWaiting(tx: TenantTx, jobId: JobId): Promise<boolean> {
  const removed = await tx.rows(sql("jobs.remove_waiting")`
    with ready as (
      delete from jobs_ready where tenant_id = ${tx.tenantId} and id = ${jobId}
      returning queue, unique_key
    ), scheduled as (
      delete from jobs_scheduled where tenant_id = ${tx.tenantId} and id = ${jobId}
      returning queue, unique_key
    ), gone as (
      select * from ready union all select * from scheduled
    ), released as (
      delete from job_uniques using gone
      where job_uniques.tenant_id = ${tx.tenantId} and job_uniques.queue = gone.queue
        and job_uniques.unique_key = gone.unique_key and job_uniques.job_id = ${jobId}
    ), progress as (
      delete from job_progress where tenant_id = ${tx.tenantId} and job_id = ${jobId}
    )
    select from gone`);
  return removed.length > 0;
}

async function askToStop(tx: TenantTx, tenantId: TenantId, jobId: JobId): Promise<boolean> {
  const asked = await tx.rows(sql("jobs.ask_to_stop")`
    insert into job_cancellations (tenant_id, job_id, worker_id)
    select running.tenant_id, job.id, running.worker_id
    from jobs_running as running cross join lateral unnest(running.jobs) as job
    where running.tenant_id = ${tenantId} and job.id = ${jobId}
      and not exists (
        select from jobs_settled as settled where settled.tenant_id = running.tenant_id
          and settled.batch_id = running.id and settled.job_id = job.id)
    on conflict (tenant_id, job_id) do update set worker_id = excluded.worker_id
    returning job_id`);
  return asked.length > 0;
}
