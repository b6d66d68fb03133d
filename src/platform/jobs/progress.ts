import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import type { ClaimedJob } from "./claim.ts";

/** Writes how far jobs are, together and not too often. */
export interface ProgressWriter {
  report(job: ClaimedJob, fraction: number, note: string | undefined): void;
  /** Writes the latest word of every job that reported since the last time. */
  flush(): Promise<void>;
  /** Drops an unwritten word: the job is over. */
  forget(jobId: string): void;
}

interface Report {
  readonly job: ClaimedJob;
  readonly fraction: number;
  readonly note: string | undefined;
}

const noteLengthMax = 500;

/** Makes a writer; somebody has to call `flush` now and then. */
export function createProgressWriter(db: Db, database: string): ProgressWriter {
  let reports = new Map<string, Report>();
  return {
    report(job, fraction, note) {
      reports.set(job.id, { job, fraction, note });
    },
    forget(jobId) {
      reports.delete(jobId);
    },
    async flush() {
      if (reports.size === 0) return;
      const taken = [...reports.values()].sort((a, b) => (a.job.id < b.job.id ? -1 : 1));
      reports = new Map();
      await db.platform(
        database,
        (tx) =>
          tx.run(sql("jobs.report_progress")`
            insert into job_progress (tenant_id, job_id, fraction, note)
            select * from unnest(
              ${taken.map(({ job }) => job.tenantId)}::uuid[],
              ${taken.map(({ job }) => job.id)}::uuid[],
              ${taken.map(({ fraction }) => fraction)}::real[],
              ${taken.map(({ note }) => note?.slice(0, noteLengthMax) ?? null)}::text[])
            on conflict (tenant_id, job_id) do update
            set fraction = excluded.fraction, note = excluded.note, reported_at = now()`),
        { name: "jobs.report_progress" },
      );
    },
  };
}
