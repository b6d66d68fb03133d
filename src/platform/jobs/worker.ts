import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import type { ClaimedJob } from "./claim.ts";
import { type Claimer, createClaimer } from "./claimer.ts";
import type { JobDefinition } from "./definition.ts";
import { JobCancelledError, JobInterruptedError, JobLostError, JobTimeoutError } from "./errors.ts";
import type { JobsEvent } from "./events.ts";
import type { Lease } from "./lease.ts";
import { lookEveryMs } from "./look-plan.ts";
import type { ProgressWriter } from "./progress.ts";
import { createQueue, type QueueSettings, type WorkedQueue } from "./queue.ts";
import { type ActiveRun, createRun, failure, type RunDeps, type Verdict } from "./run.ts";
import { errorLengthMax } from "./settle.ts";
import type { Settler } from "./settler.ts";
import { createSleeper, type Sleeper } from "./sleeper.ts";

/** What a worker works with. */
export interface WorkerConfig {
  readonly db: Db;
  readonly database: string;
  readonly random: Random;
  readonly definitionOf: (kind: string) => JobDefinition | undefined;
  /** Settings of a queue; undefined: this process does not work on it. */
  readonly settingsOf: (queue: string) => QueueSettings | undefined;
  /** Longest sleep when nobody wakes it, milliseconds. */
  readonly pollMs: number;
  readonly lease: Lease;
  readonly settler: Settler;
  readonly progress: ProgressWriter;
  readonly emit: ((event: JobsEvent) => void) | undefined;
}

/** Claims jobs and runs their handlers. */
export interface Worker {
  start(): void;
  /** Something may have been enqueued. */
  wake(): void;
  /** Asks a job this process holds to stop. @returns whether it holds it */
  cancel(jobId: string): boolean;
  /** The lease is gone: ends every run without writing anything. */
  abandon(): void;
  /** Ends runs that are past their time. */
  sweep(): void;
  /** Claims nothing more, gives back what has not started, waits for the rest, then ends it. */
  stop(limitMs: number): Promise<void>;
}

/** How long a cancelled handler may ignore its signal, milliseconds. */
const cancelGraceMs = 10_000;
/** Wait before a job of an unknown kind is offered again, milliseconds: a newer process may know it. */
const unknownKindDelayMs = 5_000;
/** How long jobs may follow one another without a turn of the event loop, milliseconds. */
const turnMaxMs = 5;
/** Queues remembered by name at most. */
const queuesMax = 10_000;

interface State {
  readonly config: WorkerConfig;
  readonly queues: Map<string, WorkedQueue | undefined>;
  readonly sleeper: Sleeper;
  readonly claimer: Claimer;
  /** What the runs of each queue need, made once. */
  readonly runDeps: Map<WorkedQueue, RunDeps>;
  /** Something may wait that no look has seen. */
  isDirty: boolean;
  isStopping: boolean;
  /** Since when jobs follow one another without the event loop, milliseconds of `performance.now()`. */
  turnSinceMs: number | undefined;
  onIdle: (() => void) | undefined;
}

/** Makes a worker. */
export function createWorker(config: WorkerConfig): Worker {
  const state = newState(config);
  let loop: Promise<void> = Promise.resolve();
  return {
    start() {
      state.isStopping = false;
      state.isDirty = true;
      loop = work(state);
    },
    wake() {
      state.isDirty = true;
      state.sleeper.wake();
    },
    cancel: (jobId) => worked(state).some((queue) => cancel(config.settler, queue, jobId)),
    abandon() {
      config.settler.forget();
      for (const queue of worked(state)) queue.buffer.drain();
      for (const run of runs(state)) {
        endRun(run, new JobLostError(run.job.id), { outcome: "gone" });
      }
    },
    sweep() {
      const nowMs = performance.now();
      for (const run of runs(state)) {
        if (nowMs >= run.deadlineMs) timeOut(config, run);
        else if (isIgnoringCancel(run, nowMs)) run.end({ outcome: "cancelled" });
      }
    },
    async stop(limitMs) {
      state.isStopping = true;
      state.sleeper.wake();
      giveBackWaiting(state);
      await loop;
      await within(limitMs, (resolve) => {
        state.onIdle = resolve;
        if (isIdle(state)) resolve();
      });
      for (const run of runs(state)) {
        endRun(run, new JobInterruptedError(), { outcome: "returned" });
      }
      // The verdicts arrive in the next turn.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function newState(config: WorkerConfig): State {
  const { db, database } = config;
  const queues = new Map<string, WorkedQueue | undefined>();
  const queueOf = (name: string): WorkedQueue | undefined => {
    if (queues.has(name)) return queues.get(name);
    const settings = config.settingsOf(name);
    const queue = settings && createQueue(name, settings);
    if (queues.size < queuesMax) queues.set(name, queue);
    return queue;
  };
  const known = () => [...queues.values()].filter((queue) => queue !== undefined);
  return {
    config,
    queues,
    sleeper: createSleeper(),
    claimer: createClaimer({ db, database, queueOf, worked: known }),
    runDeps: new Map(),
    isDirty: true,
    isStopping: false,
    turnSinceMs: undefined,
    onIdle: undefined,
  };
}

function worked(state: State): WorkedQueue[] {
  return [...state.queues.values()].filter((queue) => queue !== undefined);
}

function runs(state: State): ActiveRun[] {
  return worked(state).flatMap((queue) => queue.running);
}

function isIdle(state: State): boolean {
  return worked(state).every((queue) => queue.running.length === 0);
}

async function work(state: State): Promise<void> {
  const { config, sleeper } = state;
  for (let failures = 0; !state.isStopping; ) {
    try {
      if (await round(state)) continue;
      failures = 0;
      const isWoken = await sleeper.sleep(sleepMs(state));
      if (!isWoken) state.isDirty = true;
    } catch (error) {
      config.emit?.({ kind: "error", where: "jobs.claim", error });
      await sleeper.sleep(Math.min(5_000, 50 * 2 ** failures++));
      state.isDirty = true;
    }
  }
}

function sleepMs({ isDirty, claimer, config }: State): number {
  const limitMs = isDirty ? lookEveryMs.near : config.pollMs;
  return Math.max(1, Math.min(limitMs, claimer.nextTokenInMs()));
}

/** @returns whether it may pay to go on at once */
async function round(state: State): Promise<boolean> {
  const { config, claimer } = state;
  const { lease, settler, emit } = config;
  if (!lease.isHeld) return false;
  const startedAt = performance.now();
  const { workerId } = lease;
  const isHungry =
    state.queues.size === 0 || worked(state).some((queue) => queue.hunger() === "low");
  const mustLook = state.isDirty && isHungry;
  if (mustLook) state.isDirty = false;
  const batches = await claimer.round(workerId, mustLook);
  if (!batches) return false;
  // Lost while the claim was under way: nobody renews the lease of these, others take them over.
  if (workerId !== lease.workerId) return true;
  for (const batch of batches) {
    settler.claimed(batch.id, batch.jobs);
    batch.queue.buffer.add(batch.jobs);
    const elapsedMs = performance.now() - startedAt;
    emit?.({ kind: "claimed", queue: batch.queue.name, jobs: batch.jobs.length, elapsedMs });
  }
  if (state.isStopping) giveBackWaiting(state);
  else for (const queue of worked(state)) fill(state, queue);
  return batches.length > 0;
}

/** Starts as many jobs of a queue as have a slot, until the turn is over. */
function fill(state: State, queue: WorkedQueue): void {
  while (!(state.isStopping || isTurnOver(state))) {
    const job = queue.next();
    if (!job) return;
    state.turnSinceMs ??= beginTurn(state);
    begin(state, queue, job);
  }
}

function isTurnOver({ turnSinceMs }: State): boolean {
  return turnSinceMs !== undefined && performance.now() - turnSinceMs >= turnMaxMs;
}

/** Handlers that never wait would keep the event loop from everybody else: they go on behind it. */
function beginTurn(state: State): number {
  setImmediate(() => {
    state.turnSinceMs = undefined;
    for (const queue of worked(state)) fill(state, queue);
  });
  return performance.now();
}

function begin(state: State, queue: WorkedQueue, job: ClaimedJob): void {
  const { settler, definitionOf } = state.config;
  const definition = definitionOf(job.kind);
  if (definition) {
    const run = createRun(runDeps(state, queue), definition, job);
    queue.started(run);
    run.begin();
    return;
  }
  const { tenantId, batchId, id } = job;
  const error = `this process does not know the kind ${job.kind}`;
  const delayMs = unknownKindDelayMs;
  settler.settled({ tenantId, batchId, id, outcome: "postponed", delayMs, error });
}

function runDeps(state: State, queue: WorkedQueue): RunDeps {
  const known = state.runDeps.get(queue);
  if (known) return known;
  const { db, random, progress, settler } = state.config;
  const made: RunDeps = {
    db,
    random,
    report: progress.report,
    keepMs: queue.settings.keepDoneForMs,
    onSettling: settler.settling,
    onOver: (run, verdict) => finish(state, queue, run, verdict),
  };
  state.runDeps.set(queue, made);
  return made;
}

function finish(state: State, queue: WorkedQueue, run: ActiveRun, verdict: Verdict): void {
  const { settler, progress, emit } = state.config;
  const elapsedMs = performance.now() - run.startedAtMs;
  queue.ended(run, elapsedMs);
  if (run.hasProgress) progress.forget(run.job.id);
  writeVerdict(settler, queue.settings.keepDoneForMs, run, verdict);
  if (emit) emit(finishedEvent(run.job, verdict, elapsedMs));
  fill(state, queue);
  if (queue.hunger() !== "none") state.sleeper.wake();
  if (state.isStopping && isIdle(state)) state.onIdle?.();
}

function writeVerdict(settler: Settler, keepMs: number, run: ActiveRun, verdict: Verdict): void {
  const { tenantId, batchId, id } = run.job;
  const { outcome, delayMs, error } = verdict;
  const isPlain = !(run.job.hasUniqueKey || run.hasProgress || run.aborted || keepMs > 0);
  if (outcome === "stored" || outcome === "gone") {
    settler.over(run.job);
  } else if (outcome === "completed" && isPlain) {
    settler.completed(run.job);
  } else {
    const text = error === undefined ? {} : { error: describe(error) };
    settler.settled({ tenantId, batchId, id, outcome, keepMs, delayMs: delayMs ?? 0, ...text });
  }
}

function describe(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text.slice(0, errorLengthMax);
}

function finishedEvent(job: ClaimedJob, verdict: Verdict, elapsedMs: number): JobsEvent {
  return {
    kind: "finished",
    queue: job.queue,
    jobKind: job.kind,
    jobId: job.id,
    tenantId: job.tenantId,
    attempt: job.attempt,
    outcome: verdict.outcome,
    elapsedMs,
    ...(verdict.error === undefined ? {} : { error: verdict.error }),
  };
}

function cancel(settler: Settler, queue: WorkedQueue, jobId: string): boolean {
  const run = queue.running.find((active) => active.job.id === jobId);
  if (run) {
    run.abort(new JobCancelledError());
    return true;
  }
  const waiting = queue.buffer.remove(jobId);
  if (!waiting) return false;
  const { tenantId, batchId, id } = waiting;
  const keepMs = queue.settings.keepDoneForMs;
  settler.settled({ tenantId, batchId, id, outcome: "cancelled", keepMs });
  return true;
}

function giveBackWaiting(state: State): void {
  for (const queue of worked(state)) {
    for (const { tenantId, batchId, id } of queue.buffer.drain()) {
      state.config.settler.settled({ tenantId, batchId, id, outcome: "returned" });
    }
  }
}

async function within(limitMs: number, body: (resolve: () => void) => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
    body(resolve);
  });
  clearTimeout(timer);
}

function endRun(run: ActiveRun, reason: Error, verdict: Verdict): void {
  run.abort(reason);
  run.end(verdict);
}

function timeOut(config: WorkerConfig, run: ActiveRun): void {
  const definition = config.definitionOf(run.job.kind) ?? {};
  const error = new JobTimeoutError(Math.round(run.deadlineMs - run.startedAtMs));
  run.abort(error);
  const aborted = run.aborted?.reason;
  run.end(failure(run.job, definition, { error, random: config.random, aborted }));
}

function isIgnoringCancel(run: ActiveRun, nowMs: number): boolean {
  const { aborted } = run;
  return aborted?.reason instanceof JobCancelledError && nowMs - aborted.atMs >= cancelGraceMs;
}
