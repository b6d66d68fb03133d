import { after, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { createDb, type Db } from "../db/db.ts";
import { createWakeup, type Wakeup } from "../wakeup/wakeup.ts";
import { createJobs, type Jobs, type JobsConfig, jobTopics } from "./jobs.ts";

/** A database with jobs in it, for one test file. */
export interface JobsFixture {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly wakeup: Wakeup;
  /** A tenant and a queue nobody else uses, and a way to make jobs objects for them. */
  setup(t: TestContext): JobsSetup;
}

/** What a test works with. */
export interface JobsSetup {
  readonly ctx: ReturnType<typeof systemContext>;
  readonly queue: string;
  /** Makes one process's jobs, which serve only this test's queue; stopped with the test. */
  jobs(config?: Partial<JobsConfig>): Jobs;
}

/** Makes a fixture; it is dropped behind the last test of the file. */
export async function createJobsFixture(): Promise<JobsFixture> {
  const database = await createTestDatabase();
  const db = openDb(database);
  const wakeup = createWakeup({ url: database.urls.platform, topics: jobTopics });
  await wakeup.start();
  after(async () => {
    await wakeup.stop();
    await db.stop();
    await database.drop();
  });
  let queues = 0;
  return {
    database,
    db,
    wakeup,
    setup(t) {
      const ctx = systemContext(newId(), `request-${newId()}`);
      const queue = `q${++queues}`;
      return {
        ctx,
        queue,
        jobs(config = {}) {
          const settings = { concurrency: 10, ...config.queues?.[queue] };
          const jobs = createJobs({
            db,
            database: "home",
            wakeup,
            definitions: [],
            pollMs: 200,
            ...config,
            others: false,
            queues: { [queue]: settings },
          });
          t.after(() => jobs.stop());
          return jobs;
        },
      };
    },
  };
}

/** Opens the databases as a process would. */
export function openDb(database: TestDatabase): Db {
  return createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
}

/** Waits until a condition holds. @throws Error after 10 s */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`it never came true: ${condition}`);
    await delay(5);
  }
}
