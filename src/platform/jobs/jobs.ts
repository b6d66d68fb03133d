import os from "node:os";
import { assert } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import type { Random } from "../../kernel/random.ts";
import { ok, type Result } from "../../kernel/result.ts";
import { createCoalescer } from "../coalescer/coalescer.ts";
import type { Db } from "../db/db.ts";
import { DbError } from "../db/errors.ts";
import type { TenantTx } from "../db/transaction.ts";
import { poke } from "../wakeup/poke.ts";
import type { Wakeup } from "../wakeup/wakeup.ts";
import { type Cancellation, cancelJob, type JobNotFound } from "./cancel.ts";
import {
  type DeadLetter,
  discardDeadLetters,
  listDeadLetters,
  replayDeadLetters,
} from "./dead-letters.ts";
import type { JobDefinition } from "./definition.ts";
import { insertJobs, writeJobs } from "./enqueue.ts";
import type { JobsEvent } from "./events.ts";
import {
  findJob,
  type JobState,
  type JobView,
  listJobs,
  type QueueStats,
  queueStats,
} from "./inspect.ts";
import {
  cancellationsTopic,
  type EnqueuedJob,
  type JobId,
  type JobOrigin,
  type JobRow,
  jobLimits,
  jobRow,
  jobsTopic,
  laterTopic,
  type NewJob,
  originText,
} from "./job.ts";
import type { QueueSettings } from "./queue.ts";
import { pauseQueue, purgeMax, purgeSome, resumeQueue } from "./queues.ts";
import { createRunner } from "./runner.ts";
import type { InvalidSchedule } from "./schedule.ts";
import {
  listSchedules,
  putSchedule,
  removeSchedule,
  type Schedule,
  type ScheduleState,
} from "./scheduler.ts";

export type { Cancellation, JobNotFound } from "./cancel.ts";
export type { DeadLetter } from "./dead-letters.ts";
export { defineJob, type JobDefinition, type JobRun, type RunningJob } from "./definition.ts";
export {
  JobCancelledError,
  JobLostError,
  JobRefusedError,
  JobSnoozeError,
  JobTimeoutError,
} from "./errors.ts";
export type { JobsEvent } from "./events.ts";
export type { JobState, JobView, QueueStats } from "./inspect.ts";
export {
  defaultQueue,
  type EnqueuedJob,
  type JobId,
  type JobOrigin,
  jobLimits,
  jobTopics,
  type NewJob,
} from "./job.ts";
export type { QueueRate, QueueSettings } from "./queue.ts";
export type { InvalidSchedule, MissedPolicy } from "./schedule.ts";
export type { Schedule, ScheduleState } from "./scheduler.ts";

/**
 * Enqueues jobs in the caller's transaction: they exist if and only if it commits. Costs no round
 * trip. A job whose unique key is taken is left out silently.
 *
 * @param jobs 0 to 10,000
 */
export function enqueueJobs(tx: TenantTx, origin: JobOrigin, jobs: readonly NewJob[]): void {
  if (jobs.length > 0) writeJobs(tx, rowsOf(tx.tenantId, origin, jobs));
}

/** Like {@link enqueueJobs}, and says what became of each job, in order. */
export function enqueueJobsReturning(
  tx: TenantTx,
  origin: JobOrigin,
  jobs: readonly NewJob[],
): Promise<EnqueuedJob[]> {
  return insertJobs(tx, rowsOf(tx.tenantId, origin, jobs));
}

function rowsOf(tenantId: TenantId, origin: JobOrigin, jobs: readonly NewJob[]): JobRow[] {
  const text = originText(origin);
  return jobs.map((job) => jobRow(tenantId, job.origin ? originText(job.origin) : text, job));
}

/** What {@link createJobs} works with; what has a default may be left out. */
export interface JobsConfig {
  readonly db: Db;
  /** Database whose jobs this is about; its tenants' jobs are in its schema `platform`. */
  readonly database: string;
  /** How each kind is handled. */
  readonly definitions: readonly JobDefinition[];
  /** Queues this process works on, by name; default: every queue, with the settings of `others`. */
  readonly queues?: Readonly<Record<string, QueueSettings>>;
  /** Settings of queues not named in `queues`; `false`: leave them to other processes. */
  readonly others?: QueueSettings | false;
  /**
   * Carries {@link jobTopics}; started and stopped by its owner. Without it a job waits for the next
   * poll.
   */
  readonly wakeup?: Wakeup;
  /** Label of this process for people. */
  readonly node?: string;
  /** After so long without a heartbeat its jobs are taken over, milliseconds; default 10,000. */
  readonly leaseMs?: number;
  /** Longest time between looks when nobody pokes, milliseconds; default 1,000. */
  readonly pollMs?: number;
  /** How long `stop` waits for handlers, milliseconds; default 3,000. Then their jobs are given back. */
  readonly stopLimitMs?: number;
  readonly random?: Random;
  readonly onEvent?: (event: JobsEvent) => void;
}

/** The jobs of one database. */
export interface Jobs {
  /**
   * Enqueues one job; resolves once it is durable. Concurrent calls share a transaction.
   *
   * @throws CoalescerFullError when 20,000 callers wait; DbError
   */
  enqueue(ctx: JobContext, job: NewJob): Promise<EnqueuedJob>;
  /** Enqueues up to 10,000 jobs at once, in order. @throws DbError */
  enqueueMany(ctx: JobContext, jobs: readonly NewJob[]): Promise<readonly EnqueuedJob[]>;
  /** Finds a job of the tenant, in whatever state. */
  find(ctx: JobContext, id: JobId): Promise<JobView | undefined>;
  /** The tenant's jobs of one state, up to 100. */
  list(ctx: JobContext, state: JobState, limit: number): Promise<Page<JobView>>;
  cancel(ctx: JobContext, id: JobId): Promise<Result<Cancellation, JobNotFound>>;
  readonly deadLetters: {
    /** @param before cursor of the page before */
    list(ctx: JobContext, limit: number, before?: string): Promise<Page<DeadLetter>>;
    /** @returns the ids that wait again */
    replay(ctx: JobContext, ids: readonly JobId[]): Promise<readonly JobId[]>;
    /** @returns how many were there */
    discard(ctx: JobContext, ids: readonly JobId[]): Promise<number>;
  };
  readonly schedules: {
    put(ctx: JobContext, schedule: Schedule): Promise<Result<ScheduleState, InvalidSchedule>>;
    remove(ctx: JobContext, name: string): Promise<boolean>;
    list(ctx: JobContext): Promise<readonly ScheduleState[]>;
  };
  /** Switches of the database's queues, for operators. */
  readonly queues: {
    pause(queue: string): Promise<void>;
    resume(queue: string): Promise<void>;
    /** Removes what waits in a queue. @returns how many jobs */
    purge(queue: string, tenantId?: TenantId): Promise<number>;
    /** Depth and age of every queue: metrics, and the signal to scale by. */
    stats(): Promise<readonly QueueStats[]>;
  };
  /** Starts to work on the queues. A process that only enqueues does not. */
  start(): Promise<void>;
  /** Claims nothing more, waits for running handlers, gives the rest back. May be called twice. */
  stop(): Promise<void>;
}

/** For whom, and on whose behalf. */
export type JobContext = Pick<Context, "tenantId"> & JobOrigin;

/** Makes the jobs of one database. */
export function createJobs(config: JobsConfig): Jobs {
  const { db, database } = config;
  const definitions = new Map(
    config.definitions.map((definition) => [definition.kind, definition]),
  );
  assert(definitions.size === config.definitions.length, "each kind of job has one definition");
  const coalescer = createCoalescer<JobRow, EnqueuedJob>({
    name: "jobs.enqueue",
    batchMax: 1_000,
    inFlightMax: 2,
    waitingMax: 20_000,
    run: (_, rows) => insert(rows),
    isSplittable: (error) => error instanceof DbError && error.code === "ERR_DB_CONSTRAINT",
  });
  const insert = (rows: readonly JobRow[]): Promise<EnqueuedJob[]> =>
    db.platform(database, (tx) => insertJobs(tx, rows), { name: "jobs.enqueue" });
  const runner = createRunner({
    db,
    database,
    definitionOf: (kind) => definitions.get(kind),
    settingsOf: (queue) =>
      config.queues?.[queue] ?? (config.others === false ? undefined : (config.others ?? {})),
    wakeup: config.wakeup,
    node: config.node ?? `${os.hostname()}:${process.pid}`,
    leaseMs: config.leaseMs ?? 10_000,
    pollMs: config.pollMs ?? 1_000,
    stopLimitMs: config.stopLimitMs ?? 3_000,
    random: config.random ?? Math.random,
    emit: config.onEvent,
  });

  return {
    async enqueue(ctx, job) {
      return coalescer.submit(database, jobRow(ctx.tenantId, originText(ctx), job));
    },
    async enqueueMany(ctx, jobs) {
      assert(jobs.length <= jobLimits.batchMax, "jobs are enqueued at most 10,000 at once");
      return jobs.length > 0 ? insert(rowsOf(ctx.tenantId, ctx, jobs)) : [];
    },
    ...tenantCommands(db),
    queues: queueCommands(db, database),
    start: runner.start,
    stop: runner.stop,
  };
}

function tenantCommands(
  db: Db,
): Pick<Jobs, "find" | "list" | "cancel" | "deadLetters" | "schedules"> {
  const read = <Value>(ctx: JobContext, name: string, work: (tx: TenantTx) => Promise<Value>) =>
    db.read(ctx.tenantId, work, { name });
  const commit = <Value>(ctx: JobContext, name: string, work: (tx: TenantTx) => Promise<Value>) =>
    db.commit(ctx.tenantId, work, { name });
  return {
    find: (ctx, id) => read(ctx, "jobs.find", (tx) => findJob(tx, id)),
    list: (ctx, state, limit) => read(ctx, "jobs.list", (tx) => listJobs(tx, state, limit)),
    async cancel(ctx, id) {
      const outcome = await commit(ctx, "jobs.cancel", (tx) => cancelJob(tx, id));
      if (outcome.ok && outcome.value === "stopping") poke(cancellationsTopic);
      return outcome;
    },
    deadLetters: {
      list: (ctx, limit, before) =>
        read(ctx, "jobs.list_dead", (tx) => listDeadLetters(tx, limit, before)),
      async replay(ctx, ids) {
        const revived = await commit(ctx, "jobs.replay_dead", (tx) => replayDeadLetters(tx, ids));
        poke(jobsTopic);
        return revived;
      },
      discard: (ctx, ids) => commit(ctx, "jobs.discard_dead", (tx) => discardDeadLetters(tx, ids)),
    },
    schedules: {
      async put(ctx, schedule) {
        const outcome = await db.transact(
          ctx.tenantId,
          (tx) => putSchedule(tx, ctx.tenantId, schedule),
          { name: "jobs.put_schedule" },
        );
        if (outcome.ok) poke(laterTopic);
        return outcome.ok ? ok(outcome.value) : outcome;
      },
      remove: (ctx, name) =>
        commit(ctx, "jobs.remove_schedule", (tx) => removeSchedule(tx, ctx.tenantId, name)),
      list: (ctx) => read(ctx, "jobs.list_schedules", (tx) => listSchedules(tx, ctx.tenantId)),
    },
  };
}

function queueCommands(db: Db, database: string): Jobs["queues"] {
  return {
    pause: (queue) => db.platform(database, (tx) => pauseQueue(tx, queue), { name: "jobs.pause" }),
    async resume(queue) {
      await db.platform(database, (tx) => resumeQueue(tx, queue), { name: "jobs.resume" });
      poke(jobsTopic);
    },
    async purge(queue, tenantId) {
      let removed = 0;
      for (;;) {
        const some = await db.platform(database, (tx) => purgeSome(tx, queue, tenantId), {
          name: "jobs.purge",
        });
        removed += some;
        if (some < purgeMax) return removed;
      }
    },
    stats: () => db.platform(database, queueStats, { name: "jobs.stats", readOnly: true }),
  };
}
