import type { TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";
import { type Statement, sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { JobId, JobOrigin } from "./job.ts";
import type { LaneKey, OpenLane, Snapshot } from "./lanes.ts";

/** A job this worker holds. */
export interface ClaimedJob {
  readonly tenantId: TenantId;
  readonly id: JobId;
  /** Row of jobs_running it is in. */
  readonly batchId: string;
  readonly queue: string;
  readonly kind: string;
  readonly priority: number;
  readonly seq: number;
  /** 1 for the first run. */
  readonly attempt: number;
  readonly attemptsMax: number;
  readonly payload: JsonObject;
  readonly origin: JobOrigin;
  readonly hasUniqueKey: boolean;
}

/** How many jobs to take from a lane, and the batch they become. */
export interface LaneOrder extends OpenLane {
  readonly jobsMax: number;
  readonly batchId: string;
}

interface SnapshotRow {
  readonly xmin: string;
  readonly xmax: string;
}

/**
 * Pins the plans of the queue statements, and reads the snapshot.
 *
 * Queue tables are empty, huge and un-analysed by turns; whatever the statistics say, the answer is
 * always the index. Generic plans: these statements take 1 ms to plan and 0.1 ms to run.
 */
function pinPlans(): Statement {
  return sql("jobs.pin_plans")`
    select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
      set_config('enable_sort', 'off', true),
      set_config('plan_cache_mode', 'force_generic_plan', true),
      pg_snapshot_xmin(pg_current_snapshot())::text as xmin,
      pg_snapshot_xmax(pg_current_snapshot())::text as xmax`;
}

/** Makes the plans of this transaction's statements independent of statistics. */
export async function pinned(tx: Tx): Promise<Snapshot> {
  const { xmin, xmax } = await tx.one<SnapshotRow>(pinPlans());
  return { xmin: BigInt(xmin), xmax: BigInt(xmax) };
}

/**
 * Spares a claim the wait for the disk. Nobody is promised anything by it: if the server crashes at
 * once, the job waits again, and its run can complete nothing. Whatever is made durable behind the
 * claim makes the claim durable first, there is one log.
 *
 * @see https://www.postgresql.org/docs/current/wal-async-commit.html
 */
export function commitSoon(tx: Tx): void {
  tx.write(sql("jobs.commit_soon")`select set_config('synchronous_commit', 'off', true)`);
}

/**
 * Moves waiting jobs of some lanes into batches of this worker.
 *
 * @param orders at most one lane for a tenant and queue
 * @returns rows in no order
 */
export function claimJobs(
  tx: Tx,
  workerId: string,
  orders: readonly LaneOrder[],
): Promise<ClaimedRow[]> {
  return tx.rows<ClaimedRow>(sql("jobs.claim")`
    with lane as (
      select * from unnest(
        ${orders.map((order) => order.tenantId)}::uuid[],
        ${`{${orders.map((order) => order.queue).join(",")}}`}::text[],
        ${orders.map((order) => order.priority)}::int[],
        ${orders.map((order) => order.mark)}::bigint[],
        ${orders.map((order) => order.jobsMax)}::int[],
        ${orders.map((order) => order.batchId)}::uuid[]
      ) as lane(tenant_id, queue, priority, mark, jobs_max, batch_id)
      where not exists (
        select from job_queues where name = lane.queue and paused_at is not null)
    ), picked as materialized (
      select job.place from lane cross join lateral (
        select ready.ctid as place from jobs_ready as ready
        where ready.tenant_id = lane.tenant_id and ready.queue = lane.queue
          and ready.priority = lane.priority and ready.seq > lane.mark
        order by ready.seq limit lane.jobs_max
        for update skip locked
      ) as job
    ), taken as (
      delete from jobs_ready where ctid = any (array(select place from picked)) returning *
    ), running as (
      insert into jobs_running (tenant_id, queue, id, worker_id, jobs)
      select tenant_id, queue,
        (select batch_id from lane
         where lane.tenant_id = taken.tenant_id and lane.queue = taken.queue),
        ${workerId}::uuid,
        array_agg(row(id, enqueued_at, priority, attempt + 1, attempts_max, kind, payload, origin,
          unique_key)::claimed_job)
      from taken group by tenant_id, queue
    )
    select tenant_id, id, seq, queue, priority, kind, attempt + 1 as attempt, attempts_max, payload,
      origin, unique_key is not null as has_unique_key
    from taken`);
}

/** A row of {@link claimJobs}. */
export interface ClaimedRow {
  readonly tenant_id: TenantId;
  readonly id: JobId;
  readonly seq: number;
  readonly queue: string;
  readonly priority: number;
  readonly kind: string;
  readonly attempt: number;
  readonly attempts_max: number;
  readonly payload: JsonObject;
  readonly origin: JobOrigin;
  readonly has_unique_key: boolean;
}

/** The first waiting job of a lane. */
export type LaneHead = LaneKey & { readonly seq: number };

interface HeadRow {
  readonly tenant_id: TenantId;
  readonly queue: string;
  readonly priority: number;
  readonly seq: number;
}

/** Lanes one look finds at most; the next look goes on behind the last. */
export const lanesPerLookMax = 2_000;

/**
 * Finds the lanes that have jobs, each with its first one, by jumping from lane to lane through the
 * index (a loose index scan): costs a few microseconds a lane, however many jobs wait.
 *
 * @param marks lanes to read from a later position, sorted by key; between them everything is read
 * @param after read only lanes behind this one
 */
export async function findLanes(
  tx: Tx,
  marks: readonly OpenLane[],
  after: LaneKey = firstKey,
): Promise<LaneHead[]> {
  const behind = marks.filter((mark) => isBehind(mark, after));
  const gaps = [after, ...behind].map((low, index) => ({ low, high: behind[index] ?? lastKey }));
  const [between, marked] = await Promise.all([
    tx.rows<HeadRow>(lanesBetween(gaps)),
    behind.length > 0 ? tx.rows<HeadRow>(headsBehind(behind)) : [],
  ]);
  return [...between, ...marked].map((row) => ({
    tenantId: row.tenant_id,
    queue: row.queue,
    priority: row.priority,
    seq: row.seq,
  }));
}

const firstKey: LaneKey = {
  tenantId: "00000000-0000-0000-0000-000000000000" as TenantId,
  queue: "",
  priority: -32_768,
};
const lastKey: LaneKey = {
  tenantId: "ffffffff-ffff-ffff-ffff-ffffffffffff" as TenantId,
  queue: "",
  priority: 0,
};

function isBehind(a: LaneKey, b: LaneKey): boolean {
  if (a.tenantId !== b.tenantId) return a.tenantId > b.tenantId;
  if (a.queue !== b.queue) return a.queue > b.queue;
  return a.priority > b.priority;
}

interface Gap {
  readonly low: LaneKey;
  readonly high: LaneKey;
}

function quoted(texts: readonly string[]): string {
  return `{${texts.map((text) => text || '""').join(",")}}`;
}

function lanesBetween(gaps: readonly Gap[]): Statement {
  return sql("jobs.find_lanes")`
    with recursive lane as (
      select first.*, gap.high_tenant, gap.high_queue, gap.high_priority
      from unnest(
        ${gaps.map(({ low }) => low.tenantId)}::uuid[],
        ${quoted(gaps.map(({ low }) => low.queue))}::text[],
        ${gaps.map(({ low }) => low.priority)}::int[],
        ${gaps.map(({ high }) => high.tenantId)}::uuid[],
        ${quoted(gaps.map(({ high }) => high.queue))}::text[],
        ${gaps.map(({ high }) => high.priority)}::int[]
      ) as gap(low_tenant, low_queue, low_priority, high_tenant, high_queue, high_priority)
      cross join lateral (
        select tenant_id, queue, priority, seq from jobs_ready
        where (tenant_id, queue, priority) > (low_tenant, low_queue, low_priority)
          and (tenant_id, queue, priority) < (high_tenant, high_queue, high_priority)
        order by tenant_id, queue, priority, seq limit 1
      ) as first
      union all
      select next.*, lane.high_tenant, lane.high_queue, lane.high_priority
      from lane cross join lateral (
        select tenant_id, queue, priority, seq from jobs_ready as ready
        where (ready.tenant_id, ready.queue, ready.priority)
            > (lane.tenant_id, lane.queue, lane.priority)
          and (ready.tenant_id, ready.queue, ready.priority)
            < (lane.high_tenant, lane.high_queue, lane.high_priority)
        order by tenant_id, queue, priority, seq limit 1
      ) as next
    )
    select tenant_id, queue, priority, seq from lane limit ${lanesPerLookMax}`;
}

function headsBehind(marks: readonly OpenLane[]): Statement {
  return sql("jobs.find_marked_lanes")`
    select mark.tenant_id, mark.queue, mark.priority, head.seq
    from unnest(
      ${marks.map((mark) => mark.tenantId)}::uuid[],
      ${quoted(marks.map((mark) => mark.queue))}::text[],
      ${marks.map((mark) => mark.priority)}::int[],
      ${marks.map((mark) => mark.mark)}::bigint[]
    ) as mark(tenant_id, queue, priority, seq)
    cross join lateral (
      select ready.seq from jobs_ready as ready
      where ready.tenant_id = mark.tenant_id and ready.queue = mark.queue
        and ready.priority = mark.priority and ready.seq > mark.seq
      order by ready.seq limit 1
    ) as head`;
}
