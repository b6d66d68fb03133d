import type { TenantId } from "../../kernel/ids.ts";
import { type Statement, sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { JobId } from "./job.ts";

/** A job in the batch it was claimed with. */
export interface HeldJob {
  readonly tenantId: TenantId;
  readonly batchId: string;
  readonly id: JobId;
}

/**
 * How a job leaves its batch.
 *
 * - `completed`, `cancelled`: gone, or kept in jobs_done for `keepMs`
 * - `retried`: runs again after `delayMs`, with one attempt used
 * - `postponed`: runs again after `delayMs`, no attempt used
 * - `returned`: runs again at once, no attempt used
 * - `exhausted`, `refused`, `lost`: a dead letter
 */
export type Outcome =
  | "completed"
  | "cancelled"
  | "retried"
  | "postponed"
  | "returned"
  | "exhausted"
  | "refused"
  | "lost";

/** What is to be written about a job that leaves its batch. */
export interface Settlement extends HeldJob {
  readonly outcome: Outcome;
  /** Wait before the next run, milliseconds. */
  readonly delayMs?: number;
  /** How long to remember it in jobs_done, milliseconds; 0 or absent: not at all. */
  readonly keepMs?: number;
  readonly error?: string;
}

/** Longest error text kept with a job. */
export const errorLengthMax = 2_000;

/**
 * Takes jobs out of batches that go on running, where nothing else has to be written.
 *
 * @returns the ids this call settled; the others were somebody else's already
 */
export function settlePlainly(tx: Tx, jobs: readonly HeldJob[]): Promise<{ id: JobId }[]> {
  const batches = batchesOf(jobs);
  return tx.rows(sql("jobs.settle_plainly")`
    with batch as materialized (
      select running.tenant_id, running.id
      from unnest(
        ${batches.map((batch) => batch.tenantId)}::uuid[],
        ${batches.map((batch) => batch.id)}::uuid[]
      ) as wanted(tenant_id, id)
      join jobs_running as running
        on running.tenant_id = wanted.tenant_id and running.id = wanted.id
      for key share of running
    )
    insert into jobs_settled (tenant_id, batch_id, job_id)
    select job.tenant_id, job.batch_id, job.job_id
    from unnest(
      ${jobs.map((job) => job.tenantId)}::uuid[],
      ${jobs.map((job) => job.batchId)}::uuid[],
      ${jobs.map((job) => job.id)}::uuid[]
    ) as job(tenant_id, batch_id, job_id)
    join batch on batch.id = job.batch_id
    on conflict do nothing
    returning job_id as id`);
}

/**
 * Takes jobs out of their batches and writes what follows from their outcomes.
 *
 * The share lock on the batch is the other half of the fence: who removes a batch waits for it, and
 * who comes after the removal finds no batch.
 * @param jobs sorted by {@link bySettlement} where several transactions may settle the same jobs
 * @returns the ids this call settled; the others were somebody else's already
 */
export function settle(tx: Tx, jobs: readonly Settlement[]): Promise<{ id: JobId }[]> {
  return tx.rows(settleStatement(jobs));
}

/** One order for all who insert the same keys: no deadlock. */
export function bySettlement(a: HeldJob, b: HeldJob): number {
  if (a.tenantId !== b.tenantId) return a.tenantId < b.tenantId ? -1 : 1;
  if (a.batchId !== b.batchId) return a.batchId < b.batchId ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function batchesOf(jobs: readonly HeldJob[]): Batch[] {
  const tenants = new Map(jobs.map((job) => [job.batchId, job.tenantId]));
  return [...tenants].map(([id, tenantId]) => ({ id, tenantId }));
}

/**
 * Two jobs that were given the same id count as one: a conflict must not keep the outcomes of all
 * others from being written.
 */
function settleStatement(jobs: readonly Settlement[]): Statement {
  const batches = batchesOf(jobs);
  return sql("jobs.settle")`
    with batch as materialized (
      select running.tenant_id, running.id, running.queue, running.claimed_at, running.jobs
      from unnest(
        ${batches.map((batch) => batch.tenantId)}::uuid[],
        ${batches.map((batch) => batch.id)}::uuid[]
      ) as wanted(tenant_id, id)
      join jobs_running as running
        on running.tenant_id = wanted.tenant_id and running.id = wanted.id
      for key share of running
    ), outcome as materialized (
      select * from unnest(
        ${jobs.map((job) => job.tenantId)}::uuid[],
        ${jobs.map((job) => job.batchId)}::uuid[],
        ${jobs.map((job) => job.id)}::uuid[],
        ${`{${jobs.map((job) => job.outcome).join(",")}}`}::text[],
        ${jobs.map((job) => Math.ceil(job.delayMs ?? 0))}::bigint[],
        ${jobs.map((job) => job.keepMs ?? 0)}::bigint[],
        ${jobs.map((job) => job.error?.slice(0, errorLengthMax).replaceAll("\0", "") ?? null)}::text[]
      ) as outcome(tenant_id, batch_id, job_id, outcome, delay_ms, keep_ms, error)
    ), settled as (
      insert into jobs_settled (tenant_id, batch_id, job_id)
      select outcome.tenant_id, outcome.batch_id, outcome.job_id
      from outcome join batch on batch.id = outcome.batch_id
      on conflict do nothing
      returning job_id
    ), job as materialized (
      select batch.tenant_id, batch.queue, batch.claimed_at, job.*,
        outcome.outcome, outcome.delay_ms, outcome.keep_ms, outcome.error
      from batch cross join lateral unnest(batch.jobs) as job
      join settled on settled.job_id = job.id
      join outcome on outcome.job_id = job.id
    ), ready as (
      insert into jobs_ready (tenant_id, id, enqueued_at, priority, attempt, attempts_max, queue,
        kind, payload, origin, unique_key)
      select tenant_id, id, enqueued_at, priority, attempt - 1, attempts_max, queue,
        kind, payload, origin, unique_key
      from job where outcome = 'returned'
    ), scheduled as (
      insert into jobs_scheduled (tenant_id, id, enqueued_at, priority, attempt, attempts_max, queue,
        kind, payload, origin, unique_key, run_at, last_error)
      select tenant_id, id, enqueued_at, priority,
        case outcome when 'retried' then attempt else attempt - 1 end, attempts_max, queue,
        kind, payload, origin, unique_key,
        clock_timestamp() + delay_ms * interval '1 millisecond', error
      from job where outcome in ('retried', 'postponed')
      on conflict do nothing
    ), dead as (
      insert into jobs_dead (tenant_id, id, enqueued_at, priority, attempt, attempts_max, queue,
        kind, payload, origin, unique_key, reason, last_error)
      select tenant_id, id, enqueued_at, priority, attempt, attempts_max, queue,
        kind, payload, origin, unique_key, outcome, coalesce(error, outcome)
      from job where outcome in ('exhausted', 'refused', 'lost')
      on conflict do nothing
    ), done as (
      insert into jobs_done (tenant_id, id, enqueued_at, claimed_at, forget_at, attempt, queue,
        kind, payload, origin, outcome)
      select tenant_id, id, enqueued_at, claimed_at,
        clock_timestamp() + keep_ms * interval '1 millisecond', attempt, queue,
        kind, payload, origin, outcome
      from job where keep_ms > 0 and outcome in ('completed', 'cancelled')
      on conflict do nothing
    ), released as (
      delete from job_uniques using job
      where job.unique_key is not null and job.outcome not in ('returned', 'retried', 'postponed')
        and job_uniques.tenant_id = job.tenant_id and job_uniques.queue = job.queue
        and job_uniques.unique_key = job.unique_key and job_uniques.job_id = job.id
    ), progress as (
      delete from job_progress using job
      where job.outcome not in ('returned', 'retried', 'postponed')
        and job_progress.tenant_id = job.tenant_id and job_progress.job_id = job.id
    ), cancellations as (
      delete from job_cancellations using job
      where job_cancellations.tenant_id = job.tenant_id and job_cancellations.job_id = job.id
    )
    select job_id as id from settled`;
}

/** A row of jobs_running. */
export interface Batch {
  readonly tenantId: TenantId;
  readonly id: string;
}

/**
 * Removes batches all of whose jobs are over: for jobs that just completed, this is what completes
 * them, a hundred in one row.
 *
 * @returns the ids of the batches that were still there
 */
export function removeBatches(tx: Tx, batches: readonly Batch[]): Promise<{ id: string }[]> {
  return tx.rows(sql("jobs.remove_batches")`
    delete from jobs_running as running using unnest(
      ${batches.map((batch) => batch.tenantId)}::uuid[],
      ${batches.map((batch) => batch.id)}::uuid[]
    ) as batch(tenant_id, id)
    where running.tenant_id = batch.tenant_id and running.id = batch.id
    returning running.id`);
}

/** Removes what {@link settle} noted about jobs of batches that are removed with it. */
export function forgetSettled(tx: Tx, batches: readonly Batch[]): void {
  tx.write(sql("jobs.forget_settled")`
    delete from jobs_settled as settled using unnest(
      ${batches.map((batch) => batch.tenantId)}::uuid[],
      ${batches.map((batch) => batch.id)}::uuid[]
    ) as batch(tenant_id, id)
    where settled.tenant_id = batch.tenant_id and settled.batch_id = batch.id`);
}
