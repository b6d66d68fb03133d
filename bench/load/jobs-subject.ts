import { systemContext } from "../../src/kernel/context.ts";
import { newId } from "../../src/kernel/ids.ts";
import { migrationLines } from "../../src/migration-lines.ts";
import { createDb } from "../../src/platform/db/db.ts";
import { migrate } from "../../src/platform/db/migrate.ts";
import { roleUrls } from "../../src/platform/db/roles.ts";
import { createJobs, defineJob, jobTopics } from "../../src/platform/jobs/jobs.ts";
import { createWakeup } from "../../src/platform/wakeup/wakeup.ts";

/** A job queue that can be measured. */
export interface JobsSubject {
  enqueueOne(): Promise<unknown>;
  enqueueMany(count: number): Promise<unknown>;
  /** Works with so many handlers at once, as it comes. @returns the function that ends it */
  work(onJob: () => void, concurrency: number): Promise<() => Promise<unknown>>;
  /** Works with its fastest settings. */
  workTuned(onJob: () => void): Promise<() => Promise<unknown>>;
  /** Whether a worker hears of new jobs without polling. */
  readonly hasPush: boolean;
  stop(): Promise<unknown>;
}

const own = ["platform/db", "platform/jobs"];
const payload = { n: 1, who: "somebody" };

/** The jobs of this project, on an empty database. */
export async function createSubject(ownerUrl: string): Promise<JobsSubject> {
  const lines = migrationLines.filter((line) => own.includes(line.name));
  await migrate({ ownerUrl, home: true, schemas: ["shared"], lines });
  const urls = roleUrls(ownerUrl);
  const db = createDb({
    urlsOf: () => urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  const wakeup = createWakeup({ url: urls.platform, topics: jobTopics });
  await wakeup.start();
  const ctx = systemContext(newId(), "bench");
  const job = { kind: "bench.noop", payload };
  const enqueuer = createJobs({ db, database: "home", definitions: [] });
  const working = async (onJob: () => void, concurrency: number) => {
    const jobs = createJobs({
      db,
      database: "home",
      wakeup,
      definitions: [defineJob({ kind: job.kind, handle: async () => onJob() })],
      others: { concurrency },
      onEvent(event) {
        if (event.kind === "error") process.stderr.write(`${event.where}: ${event.error}\n`);
      },
    });
    await jobs.start();
    return () => jobs.stop();
  };
  return {
    enqueueOne: () => enqueuer.enqueue(ctx, job),
    enqueueMany: (count) =>
      enqueuer.enqueueMany(
        ctx,
        Array.from({ length: count }, () => job),
      ),
    work: working,
    workTuned: (onJob) => working(onJob, 100),
    hasPush: true,
    async stop() {
      await wakeup.stop();
      await db.stop();
    },
  };
}
