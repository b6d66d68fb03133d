import { Queue, Worker } from "bullmq";

const name = "bench";
const payload = { n: 1, who: "somebody" };
const options = { removeOnComplete: true, removeOnFail: true };

/** BullMQ behind the interface of bench/load/jobs-driver.ts. */
export async function createSubject(url) {
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const queue = new Queue(name, { connection });
  await queue.waitUntilReady();
  const working = async (onJob, concurrency) => {
    const worker = new Worker(name, async () => onJob(), {
      connection,
      concurrency,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    await worker.waitUntilReady();
    return () => worker.close(true);
  };
  return {
    enqueueOne: () => queue.add("noop", payload, options),
    enqueueMany: (count) =>
      queue.addBulk(Array.from({ length: count }, () => ({ name: "noop", data: payload, opts: options }))),
    work: (onJob, concurrency) => working(onJob, concurrency),
    workTuned: (onJob) => working(onJob, 100),
    hasPush: true,
    stop: () => queue.close(),
  };
}
