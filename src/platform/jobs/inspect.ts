import type { TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";
import type { Page } from "../../kernel/page.ts";
import { sql } from "../db/sql.ts";
import type { TenantTx, Tx } from "../db/transaction.ts";
import { pinned } from "./claim.ts";
import type { JobId, JobOrigin } from "./job.ts";

/** Where a job is. */
export type JobState = "ready" | "scheduled" | "running" | "dead" | "done";

/** A job as people see it. */
export interface JobView {
  readonly id: JobId;
  readonly tenantId: TenantId;
  readonly state: JobState;
  readonly queue: string;
  readonly kind: string;
  readonly payload: JsonObject;
  readonly origin: JobOrigin;
  /** Runs begun. */
  readonly attempt: number;
  readonly enqueuedAt: Date;
  /** When it is due (scheduled), was claimed (running), died (dead) or finished (done). */
  readonly at: Date | undefined;
  /** Last error, or the outcome of a finished job. */
  readonly detail: string | undefined;
  /** 0 to 1, if it said so. */
  readonly progress: number | undefined;
  readonly note: string | undefined;
}

interface ViewRow {
  readonly id: JobId;
  readonly tenant_id: TenantId;
  readonly state: JobState;
  readonly queue: string;
  readonly kind: string;
  readonly payload: JsonObject;
  readonly origin: JobOrigin;
  readonly attempt: number;
  readonly enqueued_at: Date;
  readonly at: Date | null;
  readonly detail: string | null;
  readonly fraction: number | null;
  readonly note: string | null;
}

/** Finds a job of the tenant in whatever state; finished ones only where their queue keeps them. */
export async function findJob(tx: TenantTx, id: JobId): Promise<JobView | undefined> {
  const rows = await tx.rows<ViewRow>(sql("jobs.find")`
    select job.*, progress.fraction, progress.note
    from (
      select id, tenant_id, 'running' as state, queue, kind, payload, origin, attempt, enqueued_at,
        claimed_at as at, null as detail
      from (select running.tenant_id, running.queue, running.claimed_at, running.id as batch_id,
              job.* from jobs_running as running cross join lateral unnest(running.jobs) as job
            where running.tenant_id = ${tx.tenantId} and job.id = ${id}) as running
      where not exists (
        select from jobs_settled as settled where settled.tenant_id = running.tenant_id
          and settled.batch_id = running.batch_id and settled.job_id = running.id)
      union all
      select id, tenant_id, 'scheduled', queue, kind, payload, origin, attempt, enqueued_at,
        run_at, last_error
      from jobs_scheduled where tenant_id = ${tx.tenantId} and id = ${id}
      union all
      select id, tenant_id, 'dead', queue, kind, payload, origin, attempt, enqueued_at,
        died_at, last_error
      from jobs_dead where tenant_id = ${tx.tenantId} and id = ${id}
      union all
      select id, tenant_id, 'done', queue, kind, payload, origin, attempt, enqueued_at,
        finished_at, outcome
      from jobs_done where tenant_id = ${tx.tenantId} and id = ${id}
      union all
      select id, tenant_id, 'ready', queue, kind, payload, origin, attempt, enqueued_at, null, null
      from jobs_ready where tenant_id = ${tx.tenantId} and id = ${id}
    ) as job
    left join job_progress as progress
      on progress.tenant_id = job.tenant_id and progress.job_id = job.id
    limit 1`);
  return rows[0] && toView(rows[0]);
}

/** Most jobs a list has. */
export const listMax = 100;

/** A tenant's jobs of one state, newest first where the table can tell, up to `limit`. */
export async function listJobs(
  tx: TenantTx,
  state: JobState,
  limit: number,
): Promise<Page<JobView>> {
  const rows = await tx.rows<ViewRow>(listStatement(tx.tenantId, state, Math.min(limit, listMax)));
  return { items: rows.map(toView) };
}

function listStatement(tenantId: TenantId, state: JobState, limit: number) {
  switch (state) {
    case "ready":
      return sql("jobs.list_ready")`
        select id, tenant_id, 'ready' as state, queue, kind, payload, origin, attempt, enqueued_at,
          null as at, null as detail, null as fraction, null as note
        from jobs_ready where tenant_id = ${tenantId}
        order by tenant_id, queue, priority, seq limit ${limit}`;
    case "scheduled":
      return sql("jobs.list_scheduled")`
        select id, tenant_id, 'scheduled' as state, queue, kind, payload, origin, attempt,
          enqueued_at, run_at as at, last_error as detail, null as fraction, null as note
        from jobs_scheduled where tenant_id = ${tenantId} order by id desc limit ${limit}`;
    case "running":
      return sql("jobs.list_running")`
        select job.id, running.tenant_id, 'running' as state, running.queue, job.kind, job.payload,
          job.origin, job.attempt, job.enqueued_at, running.claimed_at as at, null as detail,
          progress.fraction, progress.note
        from jobs_running as running cross join lateral unnest(running.jobs) as job
        left join job_progress as progress
          on progress.tenant_id = running.tenant_id and progress.job_id = job.id
        where running.tenant_id = ${tenantId} and not exists (
          select from jobs_settled as settled where settled.tenant_id = running.tenant_id
            and settled.batch_id = running.id and settled.job_id = job.id)
        limit ${limit}`;
    case "dead":
      return sql("jobs.list_dead_views")`
        select id, tenant_id, 'dead' as state, queue, kind, payload, origin, attempt, enqueued_at,
          died_at as at, last_error as detail, null as fraction, null as note
        from jobs_dead where tenant_id = ${tenantId} order by id desc limit ${limit}`;
    case "done":
      return sql("jobs.list_done")`
        select id, tenant_id, 'done' as state, queue, kind, payload, origin, attempt, enqueued_at,
          finished_at as at, outcome as detail, null as fraction, null as note
        from jobs_done where tenant_id = ${tenantId} order by id desc limit ${limit}`;
  }
}

function toView(row: ViewRow): JobView {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    state: row.state,
    queue: row.queue,
    kind: row.kind,
    payload: row.payload,
    origin: row.origin,
    attempt: row.attempt,
    enqueuedAt: row.enqueued_at,
    at: row.at ?? undefined,
    detail: row.detail ?? undefined,
    progress: row.fraction ?? undefined,
    note: row.note ?? undefined,
  };
}

/** How full a queue is: metrics, and the signal to scale by. */
export interface QueueStats {
  readonly queue: string;
  readonly isPaused: boolean;
  /** Jobs that wait and are due; counted up to {@link countMax}. */
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly dead: number;
  /** How long the oldest due job has waited since it was enqueued, seconds; 0 when none waits. */
  readonly oldestSeconds: number;
}

/** Counting stops here, per state: a scrape must not cost what the backlog costs. */
export const countMax = 100_000;

interface StatsRow {
  readonly queue: string;
  readonly is_paused: boolean;
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly dead: number;
  readonly oldest_seconds: number;
}

/** Stats of every queue that has jobs or a switch, by name. As platform role: of all tenants. */
export async function queueStats(tx: Tx): Promise<QueueStats[]> {
  await pinned(tx);
  const rows = await tx.rows<StatsRow>(sql("jobs.stats")`
    with recursive lane as (
      (select tenant_id, queue, priority, enqueued_at from jobs_ready
       order by tenant_id, queue, priority, seq limit 1)
      union all
      select next.* from lane cross join lateral (
        select tenant_id, queue, priority, enqueued_at from jobs_ready as ready
        where (ready.tenant_id, ready.queue, ready.priority)
          > (lane.tenant_id, lane.queue, lane.priority)
        order by tenant_id, queue, priority, seq limit 1) as next
    ), oldest as (
      select queue, extract(epoch from now() - min(enqueued_at))::float8 as seconds
      from lane group by queue
    ), counted as (
      select queue, count(*) as ready, 0 as scheduled, 0 as running, 0 as dead
      from (select queue from jobs_ready limit ${countMax}) as ready group by queue
      union all
      select queue, 0, count(*), 0, 0
      from (select queue from jobs_scheduled limit ${countMax}) as scheduled group by queue
      union all
      select queue, 0, 0, sum(cardinality(jobs)), 0 from jobs_running group by queue
      union all
      select queue, 0, 0, 0, count(*)
      from (select queue from jobs_dead limit ${countMax}) as dead group by queue
      union all
      select name, 0, 0, 0, 0 from job_queues
    )
    select counted.queue, coalesce(bool_or(switch.paused_at is not null), false) as is_paused,
      sum(ready)::int as ready, sum(scheduled)::int as scheduled, sum(running)::int as running,
      sum(dead)::int as dead, greatest(coalesce(max(oldest.seconds), 0), 0) as oldest_seconds
    from counted
    left join oldest on oldest.queue = counted.queue
    left join job_queues as switch on switch.name = counted.queue
    group by counted.queue order by counted.queue`);
  return rows.map((row) => ({
    queue: row.queue,
    isPaused: row.is_paused,
    ready: row.ready,
    scheduled: row.scheduled,
    running: row.running,
    dead: row.dead,
    oldestSeconds: row.oldest_seconds,
  }));
}
