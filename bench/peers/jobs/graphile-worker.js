import { Logger, makeWorkerUtils, run } from "graphile-worker";

const logger = new Logger(() => () => {});
const payload = { n: 1, who: "somebody" };

/** graphile-worker behind the interface of bench/load/jobs-driver.ts. */
export async function createSubject(url) {
  const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: 10, logger });
  await utils.migrate();
  const working = (onJob, options) =>
    run({
      logger,
      noHandleSignals: true,
      taskList: { noop: async () => onJob() },
      ...options,
    });
  return {
    enqueueOne: () => utils.addJob("noop", payload),
    enqueueMany: (count) =>
      utils.addJobs(Array.from({ length: count }, () => ({ identifier: "noop", payload }))),
    work: (onJob, concurrency) =>
      working(onJob, { connectionString: url, concurrency }).then((runner) => () => runner.stop()),
    workTuned: (onJob) =>
      working(onJob, {
        preset: {
          worker: {
            connectionString: url,
            maxPoolSize: 10,
            concurrentJobs: 24,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
      }).then((runner) => () => runner.stop()),
    hasPush: true,
    stop: () => utils.release(),
  };
}
