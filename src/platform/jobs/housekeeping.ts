import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { poke } from "../wakeup/poke.ts";
import type { JobsEvent } from "./events.ts";
import { jobsTopic } from "./job.ts";
import { beginningOfTime, promoteJobs, promoteMax } from "./promote.ts";
import { type ReclaimDeps, reclaimJobs } from "./reclaim.ts";
import { fireSchedules } from "./scheduler.ts";
import { createSleeper } from "./sleeper.ts";

/** What housekeeping works with. */
export interface HousekeepingConfig extends ReclaimDeps {
  readonly db: Db;
  readonly database: string;
  readonly random: Random;
  readonly pollMs: number;
  /** Time between looks for dead workers, milliseconds. */
  readonly reclaimEveryMs: number;
  readonly emit: ((event: JobsEvent) => void) | undefined;
}

/** Makes scheduled jobs due, fires schedules, takes over from dead workers, forgets old rows. */
export interface Housekeeping {
  start(): void;
  /** Something may have been scheduled. */
  wake(): void;
  stop(): Promise<void>;
}

/** Entries a promotion may walk again: those due this long before its mark, milliseconds. */
const promoteOverlapMs = 10_000;
const promoteFullEveryMs = 30_000;
const purgeEveryMs = 60_000;
/** Shortest time between two rounds, milliseconds: enqueuing wakes them hundreds of times a second. */
const restMs = 20;

/** Makes housekeeping; any number of processes may keep the same house. */
export function createHousekeeping(config: HousekeepingConfig): Housekeeping {
  const { db, database, emit } = config;
  const sleeper = createSleeper();
  let isStopping = true;
  let loop: Promise<void> = Promise.resolve();
  let mark = beginningOfTime;
  const dueAtMs = { promoteFully: 0, reclaim: 0, purge: 0 };

  const isDue = (what: keyof typeof dueAtMs, everyMs: number): boolean => {
    const nowMs = performance.now();
    if (nowMs < dueAtMs[what]) return false;
    dueAtMs[what] = nowMs + everyMs * (0.75 + config.random() / 2);
    return true;
  };
  const promote = async (): Promise<number> => {
    const isFull = isDue("promoteFully", promoteFullEveryMs);
    const from = isFull ? beginningOfTime : new Date(mark.getTime() - promoteOverlapMs);
    const promotion = await promoteJobs(db, database, from);
    if (promotion.moved > 0) {
      poke(jobsTopic);
      mark = promotion.mark;
    }
    return promotion.moved === promoteMax ? 0 : (promotion.nextInMs ?? config.pollMs);
  };
  const fire = async (): Promise<number> => {
    const { fired, broken, nextInMs } = await fireSchedules(db, database);
    if (fired.length > 0) poke(jobsTopic);
    for (const { schedule, jobs } of fired) emit?.({ kind: "scheduled", schedule, jobs });
    for (const { schedule, message } of broken) {
      emit?.({ kind: "error", where: `jobs.schedule ${schedule}`, error: new RangeError(message) });
    }
    return nextInMs ?? config.pollMs;
  };
  const attempt = async <Value>(where: string, work: () => Promise<Value>, otherwise: Value) => {
    try {
      return await work();
    } catch (error) {
      emit?.({ kind: "error", where, error });
      return otherwise;
    }
  };
  const reclaim = async (): Promise<void> => {
    const jobs = await reclaimJobs(config);
    if (jobs > 0) emit?.({ kind: "reclaimed", jobs });
  };
  const run = async (): Promise<void> => {
    while (!isStopping) {
      if (isDue("reclaim", config.reclaimEveryMs))
        await attempt("jobs.reclaim", reclaim, undefined);
      const { pollMs } = config;
      const dueInMs = await attempt("jobs.promote", promote, pollMs);
      const tickInMs = await attempt("jobs.fire_schedules", fire, pollMs);
      if (isDue("purge", purgeEveryMs)) {
        await attempt("jobs.purge", () => forgetOld(db, database), undefined);
      }
      await rest(restMs);
      await sleeper.sleep(Math.max(1, Math.min(pollMs, dueInMs, tickInMs) - restMs));
    }
  };
  const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  return {
    start() {
      if (!isStopping) return;
      isStopping = false;
      loop = run();
    },
    wake: sleeper.wake,
    async stop() {
      isStopping = true;
      sleeper.wake();
      await loop;
    },
  };
}

/** Rows one purge removes per table at most. */
const forgetMax = 10_000;

async function forgetOld(db: Db, database: string): Promise<void> {
  await db.platform(
    database,
    async (tx) => {
      tx.write(sql("jobs.forget_done")`
        delete from jobs_done where ctid = any (array(
          select ctid from jobs_done where forget_at < now() limit ${forgetMax}))`);
      tx.write(sql("jobs.forget_ticks")`
        delete from job_ticks where ctid = any (array(
          select ctid from job_ticks where fired_at < now() - interval '30 days'
          limit ${forgetMax}))`);
      // Words about jobs that ended at the same moment.
      tx.write(sql("jobs.forget_progress")`
        delete from job_progress where reported_at < now() - interval '1 day'`);
      tx.write(sql("jobs.forget_cancellations")`
        delete from job_cancellations where requested_at < now() - interval '1 day'`);
    },
    { name: "jobs.forget" },
  );
}
