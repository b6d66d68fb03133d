import type { TenantTx } from "../db/transaction.ts";
import { insertJobs, writeJobs } from "./enqueue.ts";
import { type EnqueuedJob, type JobOrigin, jobRow, type NewJob, originText } from "./job.ts";

export { defineJob, type JobDefinition, type JobRun, type RunningJob } from "./definition.ts";
export {
  defaultQueue,
  type EnqueuedJob,
  type JobId,
  type JobOrigin,
  jobLimits,
  type NewJob,
} from "./job.ts";

/**
 * Enqueues jobs in the caller's transaction: they exist if and only if it commits. Costs no round
 * trip. A job whose unique key is taken is left out silently.
 *
 * @param jobs 0 to 10,000
 */
export function enqueueJobs(tx: TenantTx, origin: JobOrigin, jobs: readonly NewJob[]): void {
  if (jobs.length === 0) return;
  const text = originText(origin);
  writeJobs(
    tx,
    jobs.map((job) => jobRow(tx.tenantId, text, job)),
  );
}

/** Like {@link enqueueJobs}, and says what became of each job, in order. */
export function enqueueJobsReturning(
  tx: TenantTx,
  origin: JobOrigin,
  jobs: readonly NewJob[],
): Promise<EnqueuedJob[]> {
  const text = originText(origin);
  return insertJobs(
    tx,
    jobs.map((job) => jobRow(tx.tenantId, text, job)),
  );
}
