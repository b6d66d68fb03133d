import type { Context } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import { writeJobs } from "./enqueue.ts";
import { jobRow, type NewJob, originText } from "./job.ts";
import { type InvalidSchedule, type MissedPolicy, parseCron, planDue } from "./schedule.ts";

/** A job to be enqueued again and again. */
export interface Schedule {
  /** Names it among the tenant's schedules. */
  readonly name: string;
  /** Five fields, or six with seconds first. */
  readonly cron: string;
  /** IANA time zone the expression is meant in: `Europe/Berlin`. */
  readonly timeZone: string;
  /** What to enqueue; the payload gets the due time as `dueAt`, an ISO 8601 text. */
  readonly job: Omit<NewJob, "runAt" | "uniqueKey" | "id">;
  /** Default `once`. */
  readonly missed?: MissedPolicy;
}

/** A schedule and when it falls due next. */
export interface ScheduleState extends Schedule {
  readonly nextDueAt: Date;
}

/**
 * Makes or changes a schedule. While expression and zone stay the same its next due time stays,
 * so that saying the same again at every start skips nothing.
 */
export async function putSchedule(
  tx: Tx,
  tenantId: TenantId,
  schedule: Schedule,
): Promise<Result<ScheduleState, InvalidSchedule>> {
  const times = parseCron(schedule.cron, schedule.timeZone);
  if (!times.ok) return times;
  const { now } = await tx.one<{ now: Date }>(sql("jobs.now")`select now() as now`);
  const nextDueAt = times.value.after(now);
  if (!nextDueAt) return fail({ code: "jobs.invalid_schedule", message: "it never falls due" });
  const row = jobRow(tenantId, "{}", schedule.job);
  const kept = await tx.one<{ next_due_at: Date }>(sql("jobs.put_schedule")`
    insert into job_schedules as mine (tenant_id, name, cron, time_zone, queue, kind, priority,
      attempts_max, payload, missed, next_due_at)
    values (${tenantId}, ${schedule.name}, ${schedule.cron}, ${schedule.timeZone}, ${row.queue},
      ${row.kind}, ${row.priority}, ${row.attemptsMax}, ${row.payload}::json,
      ${schedule.missed ?? "once"}, ${nextDueAt})
    on conflict (tenant_id, name) do update set
      cron = excluded.cron, time_zone = excluded.time_zone, queue = excluded.queue,
      kind = excluded.kind, priority = excluded.priority, attempts_max = excluded.attempts_max,
      payload = excluded.payload, missed = excluded.missed,
      next_due_at = case when (mine.cron, mine.time_zone) = (excluded.cron, excluded.time_zone)
        then mine.next_due_at else excluded.next_due_at end
    returning next_due_at`);
  return ok({ ...schedule, nextDueAt: kept.next_due_at });
}

/** @returns whether there was one */
export async function removeSchedule(tx: Tx, tenantId: TenantId, name: string): Promise<boolean> {
  const removed = await tx.run(sql("jobs.remove_schedule")`
    delete from job_schedules where tenant_id = ${tenantId} and name = ${name}`);
  return removed === 1;
}

interface ScheduleRow {
  readonly tenant_id: TenantId;
  readonly name: string;
  readonly cron: string;
  readonly time_zone: string;
  readonly queue: string;
  readonly kind: string;
  readonly priority: number;
  readonly attempts_max: number;
  readonly payload: JsonObject;
  readonly missed: MissedPolicy;
  readonly next_due_at: Date;
}

/** A tenant's schedules by name, up to 1,000. */
export async function listSchedules(tx: Tx, tenantId: TenantId): Promise<ScheduleState[]> {
  const rows = await tx.rows<ScheduleRow>(sql("jobs.list_schedules")`
    select * from job_schedules where tenant_id = ${tenantId} order by name limit 1000`);
  return rows.map((row) => ({
    name: row.name,
    cron: row.cron,
    timeZone: row.time_zone,
    missed: row.missed,
    nextDueAt: row.next_due_at,
    job: {
      kind: row.kind,
      payload: row.payload,
      queue: row.queue,
      priority: row.priority,
      attemptsMax: row.attempts_max,
    },
  }));
}

/** What firing came to. */
export interface Firing {
  readonly fired: readonly { readonly schedule: string; readonly jobs: number }[];
  /** Schedules that cannot be read any more, and why; tried again an hour later. */
  readonly broken: readonly { readonly schedule: string; readonly message: string }[];
  /** Until the next schedule falls due, milliseconds by the database's clock; absent: none. */
  readonly nextInMs: number | undefined;
}

const schedulesMax = 200;

/**
 * Enqueues the jobs of every schedule that is due, in one transaction with the note that they
 * were: each due time fires once, on however many nodes. Due is decided by the database's clock.
 */
export function fireSchedules(db: Db, database: string): Promise<Firing> {
  return db.platform(
    database,
    async (tx) => {
      const due = await tx.rows<ScheduleRow & { now: Date }>(sql("jobs.due_schedules")`
        select *, now() as now from job_schedules
        where next_due_at <= now() order by next_due_at limit ${schedulesMax}
        for update skip locked`);
      const fired: { schedule: string; jobs: number }[] = [];
      const broken: { schedule: string; message: string }[] = [];
      for (const row of due) {
        const outcome = await fire(tx, row, row.now);
        if (outcome.ok) fired.push({ schedule: row.name, jobs: outcome.value });
        else broken.push({ schedule: row.name, message: outcome.failure.message });
      }
      const next = await tx.maybe<{ in_ms: number }>(sql("jobs.next_schedule")`
        select (extract(epoch from next_due_at - now()) * 1000)::float8 as in_ms
        from job_schedules where next_due_at > now() order by next_due_at limit 1`);
      return { fired, broken, nextInMs: next?.in_ms };
    },
    { name: "jobs.fire_schedules" },
  );
}

const hourMs = 3_600_000;
const never = new Date("9999-12-31T00:00:00Z");

async function fire(tx: Tx, row: ScheduleRow, now: Date): Promise<Result<number, InvalidSchedule>> {
  const times = parseCron(row.cron, row.time_zone);
  if (!times.ok) {
    // It was valid when it was stored; a zone may vanish with an update of the zone data.
    advance(tx, row, new Date(now.getTime() + hourMs));
    return times;
  }
  const plan = planDue(times.value, row.missed, row.next_due_at, now);
  const jobs = plan.fire.map((dueAt) => ({ dueAt, id: newId<"job">() }));
  const ticks = await tx.rows<{ due_at: Date }>(sql("jobs.insert_ticks")`
    insert into job_ticks (tenant_id, schedule, due_at, job_id)
    select ${row.tenant_id}, ${row.name}, due_at, job_id
    from unnest(${jobs.map((job) => job.dueAt)}::timestamptz[],
      ${jobs.map((job) => job.id)}::uuid[]) as tick(due_at, job_id)
    on conflict do nothing
    returning due_at`);
  const fresh = new Set(ticks.map((tick) => tick.due_at.getTime()));
  const { queue, kind, priority, attempts_max: attemptsMax } = row;
  const rows = jobs
    .filter((job) => fresh.has(job.dueAt.getTime()))
    .map(({ dueAt, id }) => {
      const payload = { ...row.payload, dueAt: dueAt.toISOString() };
      const job: NewJob = { id, kind, queue, priority, attemptsMax, payload };
      return jobRow(row.tenant_id, originOf(row, dueAt), job);
    });
  writeJobs(tx, rows);
  advance(tx, row, plan.next ?? never);
  return ok(rows.length);
}

function advance(tx: Tx, row: ScheduleRow, nextDueAt: Date): void {
  tx.write(sql("jobs.advance_schedule")`
    update job_schedules set next_due_at = ${nextDueAt}
    where tenant_id = ${row.tenant_id} and name = ${row.name}`);
}

function originOf(row: ScheduleRow, dueAt: Date): string {
  const requestId: Context["requestId"] = `schedule:${row.name}:${dueAt.toISOString()}`;
  return originText({ requestId, actor: { kind: "system", id: "schedule" } });
}
