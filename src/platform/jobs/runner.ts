import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { onPoke } from "../wakeup/poke.ts";
import type { Wakeup } from "../wakeup/wakeup.ts";
import type { JobDefinition } from "./definition.ts";
import type { JobsEvent } from "./events.ts";
import { createHousekeeping } from "./housekeeping.ts";
import { cancellationsTopic, jobsTopic, laterTopic } from "./job.ts";
import { createLease } from "./lease.ts";
import { createProgressWriter } from "./progress.ts";
import type { QueueSettings } from "./queue.ts";
import { createSettler } from "./settler.ts";
import { createWorker } from "./worker.ts";

/** What runs the jobs of one database in one process. */
export interface Runner {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What a runner works with; see JobsConfig for the meaning of each. */
export interface RunnerConfig {
  readonly db: Db;
  readonly database: string;
  readonly definitionOf: (kind: string) => JobDefinition | undefined;
  readonly settingsOf: (queue: string) => QueueSettings | undefined;
  readonly wakeup: Wakeup | undefined;
  readonly node: string;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly stopLimitMs: number;
  readonly random: Random;
  readonly emit: ((event: JobsEvent) => void) | undefined;
}

const sweepEveryMs = 50;
const progressEveryMs = 500;

/** Puts a worker, its lease and housekeeping together. */
export function createRunner(config: RunnerConfig): Runner {
  const { db, database, emit, random } = config;
  const onError = (where: string) => (error: unknown) => emit?.({ kind: "error", where, error });
  const progress = createProgressWriter(db, database);
  const settler = createSettler({
    db,
    database,
    random,
    onLost: (jobs) => emit?.({ kind: "lost", jobs }),
    onError: onError("jobs.settle"),
  });
  const lease = createLease({
    db,
    database,
    node: config.node,
    leaseMs: config.leaseMs,
    onLost: () => worker.abandon(),
    onError: onError("jobs.lease"),
  });
  const worker = createWorker({ ...config, lease, settler, progress });
  const housekeeping = createHousekeeping({ ...config, reclaimEveryMs: config.leaseMs / 4 });
  const readCancellations = () => cancelRequested(db, database, lease.workerId, worker.cancel);
  const sweep = () => {
    lease.check();
    worker.sweep();
  };
  const timers: NodeJS.Timeout[] = [];
  const ends: (() => void)[] = [];
  let isStarted = false;

  const every = (ms: number, where: string, work: () => Promise<void>): void => {
    let isBusy = false;
    const tick = async (): Promise<void> => {
      if (isBusy) return;
      isBusy = true;
      await work().catch(onError(where));
      isBusy = false;
    };
    timers.push(setInterval(() => void tick(), ms));
  };

  return {
    async start() {
      if (isStarted) return;
      await lease.start();
      isStarted = true;
      const cancel = () => void readCancellations().catch(onError("jobs.cancellations"));
      const wakes = new Map([
        [jobsTopic, worker.wake],
        [laterTopic, housekeeping.wake],
        [cancellationsTopic, cancel],
      ] as const);
      const { wakeup } = config;
      if (wakeup) for (const [topic, wake] of wakes) ends.push(wakeup.listen(topic, wake));
      else ends.push(onPoke((topic) => wakes.get(topic as typeof jobsTopic)?.()));
      timers.push(setInterval(sweep, sweepEveryMs));
      every(progressEveryMs, "jobs.progress", progress.flush);
      every(config.pollMs, "jobs.cancellations", readCancellations);
      worker.start();
      housekeeping.start();
    },
    async stop() {
      if (!isStarted) return;
      isStarted = false;
      for (const end of ends.splice(0)) end();
      await Promise.all([worker.stop(config.stopLimitMs), housekeeping.stop()]);
      for (const timer of timers.splice(0)) clearInterval(timer);
      // Without the database the lease runs out by itself, and the jobs run again.
      await settler.close().catch(onError("jobs.settle"));
      await lease.stop().catch(onError("jobs.lease"));
    },
  };
}

async function cancelRequested(
  db: Db,
  database: string,
  workerId: string,
  cancel: (jobId: string) => boolean,
): Promise<void> {
  const rows = await db.platform(
    database,
    (tx) =>
      tx.rows<{ job_id: string }>(sql("jobs.cancellations")`
        select job_id from job_cancellations where worker_id = ${workerId}`),
    { name: "jobs.cancellations", readOnly: true },
  );
  for (const row of rows) cancel(row.job_id);
}
