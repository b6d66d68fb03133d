import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { closedLoop, summarise } from "../harness.ts";
import { createSubject as createOurs, type JobsSubject } from "./jobs-subject.ts";

/*
 * Measures one job queue in a process of its own: `jobs-driver.ts NAME URL full|quick`. The figures
 * are the last line of its output, as JSON.
 */

/** What is measured, all in jobs per second but for the latencies. */
export interface JobsFigures {
  /** Ten callers, each enqueues one job at a time. */
  readonly enqueue10: number;
  /** Two hundred callers. */
  readonly enqueue200: number;
  /** A thousand jobs a call, two callers. */
  readonly bulk: number;
  /** Ten handlers at once that do nothing, settings as they come. */
  readonly process10: number;
  /** Fastest settings. */
  readonly tuned: number;
  /** From the acknowledged enqueueing to the start of the handler on an idle queue, milliseconds. */
  readonly pickupP50?: number;
  readonly pickupP99?: number;
  /** The same from the call that enqueues: its own commit is in it. */
  readonly callToStartP50?: number;
  readonly callToStartP99?: number;
}

async function fill(subject: JobsSubject, jobs: number): Promise<void> {
  for (let made = 0; made < jobs; made += 1_000) await subject.enqueueMany(1_000);
}

/** Fills the queue, then lets it be worked off. @returns jobs per second, without the first tenth */
async function drain(
  subject: JobsSubject,
  jobs: number,
  work: (onJob: () => void) => Promise<() => Promise<unknown>>,
): Promise<number> {
  await fill(subject, jobs);
  const first = Math.floor(jobs / 10);
  let done = 0;
  let since = 0;
  const { promise, resolve } = Promise.withResolvers<number>();
  const end = await work(() => {
    done++;
    if (done === first) since = performance.now();
    if (done === jobs) resolve(performance.now());
  });
  const elapsedMs = (await promise) - since;
  await end();
  return Math.round(((jobs - first) / elapsedMs) * 1_000);
}

/** Finds out how many jobs take about a second and a half, so that slow queues do not take all day. */
async function drainFor(
  subject: JobsSubject,
  seconds: number,
  work: (onJob: () => void) => Promise<() => Promise<unknown>>,
): Promise<number> {
  const probe = await drain(subject, 3_000, work);
  const jobs = Math.max(3_000, Math.min(400_000, Math.round((probe * seconds) / 1_000) * 1_000));
  return drain(subject, jobs, work);
}

async function pickup(subject: JobsSubject, samples: number) {
  let heard = () => {};
  const end = await subject.work(() => heard(), 10);
  await delay(200);
  const fromAnswer: number[] = [];
  const fromCall: number[] = [];
  for (let sample = 0; sample < samples; sample++) {
    const started = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const calledAt = performance.now();
    const answered = subject.enqueueOne().then(() => performance.now());
    await started;
    const startedAt = performance.now();
    fromCall.push(startedAt - calledAt);
    // A handler may start before its enqueuer hears that it is durable.
    fromAnswer.push(Math.max(0, startedAt - (await answered)));
    await delay(10);
  }
  await end();
  const pickup = summarise(fromAnswer, 1);
  const call = summarise(fromCall, 1);
  return {
    pickupP50: pickup.p50,
    pickupP99: pickup.p99,
    callToStartP50: call.p50,
    callToStartP99: call.p99,
  };
}

async function measure(subject: JobsSubject, isQuick: boolean): Promise<JobsFigures> {
  const ms = isQuick ? 400 : 4_000;
  const seconds = isQuick ? 0.5 : 5;
  await closedLoop(10, 300, () => subject.enqueueOne());
  const enqueue10 = (await closedLoop(10, ms, () => subject.enqueueOne())).perSecond;
  const enqueue200 = (await closedLoop(200, ms, () => subject.enqueueOne())).perSecond;
  const bulk = (await closedLoop(2, ms, () => subject.enqueueMany(1_000))).perSecond * 1_000;
  await empty(subject);
  const process10 = await drainFor(subject, seconds, (onJob) => subject.work(onJob, 10));
  const tuned = await drainFor(subject, seconds, (onJob) => subject.workTuned(onJob));
  const latencies = subject.hasPush ? await pickup(subject, isQuick ? 100 : 500) : {};
  return { enqueue10, enqueue200, bulk, process10, tuned, ...latencies };
}

/** Works off what the enqueuing left, by the fastest way the queue has. */
async function empty(subject: JobsSubject): Promise<void> {
  let done = 0;
  const end = await subject.workTuned(() => done++);
  for (let before = -1; before !== done; ) {
    before = done;
    await delay(300);
  }
  await end();
}

const [name = "", url = "", mode = ""] = process.argv.slice(2);
const peer = new URL(`../peers/jobs/${name}.js`, import.meta.url);
const { createSubject } = existsSync(peer)
  ? ((await import(peer.href)) as { createSubject: typeof createOurs })
  : { createSubject: createOurs };
const subject = await createSubject(url);
const figures = await measure(subject, mode === "quick");
await subject.stop();
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);
