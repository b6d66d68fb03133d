import { PgBoss } from "pg-boss";

const queue = "bench";
const payload = { n: 1, who: "somebody" };

/** pg-boss behind the interface of bench/load/jobs-driver.ts. */
export async function createSubject(url) {
  const boss = new PgBoss({ connectionString: url, max: 10, supervise: false, schedule: false });
  boss.on("error", (error) => process.stderr.write(`pg-boss: ${error}\n`));
  await boss.start();
  await boss.createQueue(queue);
  // Its own workers poll twice a second at most; a loop of fetch and complete is its fastest.
  const loops = (onJob, count, batchSize) => {
    let isStopping = false;
    const loop = async () => {
      while (!isStopping) {
        const jobs = await boss.fetch(queue, { batchSize });
        if (jobs.length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          continue;
        }
        for (const _ of jobs) onJob();
        await boss.complete(queue, jobs.map((job) => job.id));
      }
    };
    const all = Promise.all(Array.from({ length: count }, loop));
    return async () => {
      isStopping = true;
      await all;
    };
  };
  return {
    enqueueOne: () => boss.send(queue, payload),
    enqueueMany: (count) =>
      boss.insert(queue, Array.from({ length: count }, () => ({ data: payload }))),
    work: async (onJob, concurrency) => loops(onJob, concurrency, 1),
    workTuned: async (onJob) => loops(onJob, 2, 500),
    hasPush: false,
    stop: () => boss.stop({ graceful: false }),
  };
}
