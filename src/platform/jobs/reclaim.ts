import type { TenantId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { JobDefinition } from "./definition.ts";
import type { JobId } from "./job.ts";
import { failure } from "./run.ts";
import { type Batch, bySettlement, forgetSettled, removeBatches, settle } from "./settle.ts";

/** What taking over from dead workers needs. */
export interface ReclaimDeps {
  readonly db: Db;
  readonly database: string;
  readonly random: Random;
  /** How a kind is retried, where this process knows it. */
  readonly definitionOf: (kind: string) => Pick<JobDefinition, "backoff"> | undefined;
}

/** Most batches one call takes over. */
const batchesMax = 1_000;

/** First retry within a second; a job that kills its worker again and again waits longer. */
const lostBackoff = { backoff: { baseMs: 500, maxMs: 60_000 } };

/**
 * Takes the jobs of workers whose lease ran out, and lets them run again, each at a moment of its
 * own: a job that kills its worker does not meet the same neighbours twice. The lost run counts as
 * an attempt; without attempts left a job becomes a dead letter with the reason `lost`.
 *
 * @returns how many jobs it took over
 */
export async function reclaimJobs(deps: ReclaimDeps): Promise<number> {
  const { db, database } = deps;
  const orphans = await db.platform(database, findOrphans, { name: "jobs.find_orphans" });
  let jobs = 0;
  for (const batch of orphans) {
    jobs += await db.platform(database, (tx) => reclaimBatch(tx, deps, batch), {
      name: "jobs.reclaim",
      lockTimeoutMs: 2_000,
    });
  }
  return jobs;
}

async function findOrphans(tx: Tx): Promise<Batch[]> {
  await tx.run(sql("jobs.expire_leases")`
    delete from job_workers where id in (
      select id from job_workers where expires_at < clock_timestamp() for update skip locked)`);
  const rows = await tx.rows<{ tenant_id: TenantId; id: string }>(sql("jobs.find_orphans")`
    select tenant_id, id from jobs_running as running
    where not exists (select from job_workers as worker where worker.id = running.worker_id)
    order by claimed_at limit ${batchesMax}`);
  return rows.map((row) => ({ tenantId: row.tenant_id, id: row.id }));
}

interface OrphanRow {
  readonly id: JobId;
  readonly kind: string;
  readonly attempt: number;
  readonly attempts_max: number;
}

async function reclaimBatch(tx: Tx, deps: ReclaimDeps, batch: Batch): Promise<number> {
  // The lock first: after it no run can settle a job of this batch any more, and what the
  // statement behind it sees as unsettled stays so.
  const locked = await tx.rows(sql("jobs.lock_batch")`
    select from jobs_running where tenant_id = ${batch.tenantId} and id = ${batch.id}
    for update skip locked`);
  if (locked.length === 0) return 0;
  const rows = await tx.rows<OrphanRow>(sql("jobs.read_batch")`
    select job.id, job.kind, job.attempt, job.attempts_max
    from jobs_running as running cross join lateral unnest(running.jobs) as job
    where running.tenant_id = ${batch.tenantId} and running.id = ${batch.id}
      and not exists (
        select from jobs_settled as settled where settled.tenant_id = running.tenant_id
          and settled.batch_id = running.id and settled.job_id = job.id)`);
  const settlements = rows.map((row) => {
    const job = { attempt: row.attempt, attemptsMax: row.attempts_max };
    const definition = deps.definitionOf(row.kind);
    const error = "its worker died or lost its lease";
    const retry = definition?.backoff ? definition : lostBackoff;
    const verdict = failure(job, retry, { error, random: deps.random });
    const outcome = verdict.outcome === "exhausted" ? ("lost" as const) : ("retried" as const);
    const { tenantId, id: batchId } = batch;
    return { tenantId, batchId, id: row.id, outcome, delayMs: verdict.delayMs ?? 0, error };
  });
  if (settlements.length > 0) await settle(tx, settlements.sort(bySettlement));
  forgetSettled(tx, [batch]);
  await removeBatches(tx, [batch]);
  return settlements.length;
}
