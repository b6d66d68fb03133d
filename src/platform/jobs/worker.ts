import { newId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import type { Tx } from "../db/transaction.ts";
import {
  type ClaimedJob,
  type ClaimedRow,
  claimJobs,
  findLanes,
  type LaneHead,
  type LaneOrder,
  lanesPerLookMax,
  pinned,
} from "./claim.ts";
import type { JobDefinition } from "./definition.ts";
import { JobCancelledError, JobInterruptedError, JobLostError, JobTimeoutError } from "./errors.ts";
import type { JobsEvent } from "./events.ts";
import { createLaneBook, type LaneKey, type LookDepth } from "./lanes.ts";
import type { Lease } from "./lease.ts";
import { createQueue, type LaneShare, type QueueSettings, type WorkedQueue } from "./queue.ts";
import { type Allowance, addTokens, takeTokens } from "./rate.ts";
import { type ActiveRun, failure, startRun, type Verdict } from "./run.ts";
import { errorLengthMax } from "./settle.ts";
import type { Settler } from "./settler.ts";
import { createSleeper } from "./sleeper.ts";

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
  readonly report: (job: ClaimedJob, fraction: number, note: string | undefined) => void;
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

/** Time between looks for new tenants while there is work at hand, milliseconds. */
const lookEveryMs = 50;
/** How long a cancelled handler may ignore its signal, milliseconds. */
const cancelGraceMs = 10_000;
/** Wait before a job of an unknown kind is offered again, milliseconds: a newer process may know it. */
const unknownKindDelayMs = 5_000;

/** Makes a worker. */
export function createWorker(config: WorkerConfig): Worker {
  const { db, database, settler, emit } = config;
  const book = createLaneBook();
  const queues = new Map<string, WorkedQueue | undefined>();
  const sleeper = createSleeper();
  let isDirty = true;
  let isStopping = false;
  let loop: Promise<void> = Promise.resolve();
  let onIdle: (() => void) | undefined;
  /** Next moment a rate allows more, by queue, milliseconds of `performance.now()`. */
  const pausedUntil = new Map<string, number>();
  const looks = createLookPlan();

  const queueOf = (name: string): WorkedQueue | undefined => {
    if (queues.has(name)) return queues.get(name);
    const settings = config.settingsOf(name);
    const queue = settings && createQueue(name, settings);
    if (queues.size < 10_000) queues.set(name, queue);
    return queue;
  };
  const worked = () => [...queues.values()].filter((queue) => queue !== undefined);

  const finish = (queue: WorkedQueue, run: ActiveRun, verdict: Verdict): void => {
    const elapsedMs = performance.now() - run.startedAtMs;
    const { job } = run;
    if (queue.running.get(job.id) !== run) return;
    queue.ended(run, elapsedMs);
    writeVerdict(settler, queue.settings.keepDoneForMs, run, verdict);
    emit?.(finishedEvent(job, verdict, elapsedMs));
    fill(queue);
    if (queue.hunger() !== "none") sleeper.wake();
    if (isStopping && isIdle()) onIdle?.();
  };
  const fill = (queue: WorkedQueue): void => {
    if (isStopping) return;
    for (let job = queue.next(); job; job = queue.next()) begin(queue, job);
  };
  const begin = (queue: WorkedQueue, job: ClaimedJob): void => {
    const definition = config.definitionOf(job.kind);
    if (!definition) {
      const { tenantId, batchId, id } = job;
      const error = `no process that serves queue ${job.queue} knows the kind ${job.kind}`;
      const delayMs = unknownKindDelayMs;
      settler.settled({ tenantId, batchId, id, outcome: "postponed", delayMs, error });
      return;
    }
    const deps = {
      db,
      random: config.random,
      keepMs: queue.settings.keepDoneForMs,
      report: config.report,
      onSettling: settler.settling,
    };
    const run = startRun(deps, definition, job);
    queue.started(run);
    void run.over.then((verdict) => finish(queue, run, verdict));
  };
  const isIdle = () => worked().every((queue) => queue.running.size === 0);

  const look = async (depth: LookDepth): Promise<void> => {
    isDirty = false;
    const startedAt = performance.now();
    const heads = await db.platform(
      database,
      async (tx) => {
        const pin = pinned(tx);
        const found = findLanes(tx, book.marks(depth), looks.after());
        await pin;
        return found;
      },
      { name: "jobs.look" },
    );
    const isAll = looks.done(depth, heads, performance.now() - startedAt);
    const ours = heads.filter((head) => queueOf(head.queue));
    book.found(ours, isAll);
  };

  /** One claim. @returns whether it may pay to claim again at once */
  const round = async (): Promise<boolean> => {
    const hungry = worked().filter((queue) => queue.hunger() !== "none");
    const depth = looks.next(performance.now());
    const mayClaim = hungry.flatMap((queue) => ordersOf(queue));
    const isStarving = mayClaim.length === 0 && (hungry.length > 0 || queues.size === 0);
    if ((isStarving && isDirty) || depth !== undefined) {
      await look(depth ?? "near");
      return true;
    }
    if (mayClaim.length === 0 || !config.lease.isHeld) return false;
    await claim(mayClaim);
    return true;
  };
  const ordersOf = (queue: WorkedQueue): LaneShare[] => {
    if ((pausedUntil.get(queue.name) ?? 0) > performance.now()) return [];
    return [...queue.shareOut(book.open(queue.name))];
  };

  const claim = async (shares: readonly LaneShare[]): Promise<void> => {
    const startedAt = performance.now();
    const { workerId } = config.lease;
    const orders = shares.map(({ lane, jobsMax }) => ({ ...lane, jobsMax, batchId: newId() }));
    let claimed: Claimed;
    try {
      claimed = await db.platform(database, (tx) => claimRated(tx, workerId, orders, queueOf), {
        name: "jobs.claim",
      });
    } catch (error) {
      book.reset();
      throw error;
    }
    for (const [queue, { nextInMs }] of claimed.allowances) {
      if (nextInMs > 0) pausedUntil.set(queue, performance.now() + nextInMs);
    }
    const jobs = toJobs(claimed.rows, claimed.orders);
    for (const order of claimed.orders) {
      const taken = jobs.get(order.batchId) ?? [];
      const lastSeq = taken.reduce((last, job) => Math.max(last, job.seq), 0);
      book.claimed(order, { asked: order.jobsMax, taken: taken.length, lastSeq }, claimed.snapshot);
      // Lost while the claim was under way: nobody would renew the lease of these.
      if (taken.length === 0 || workerId !== config.lease.workerId) continue;
      settler.claimed(order.batchId, taken);
      queueOf(order.queue)?.buffer.add(taken);
    }
    if (isStopping) return giveBackWaiting();
    for (const queue of worked()) {
      fill(queue);
    }
    const elapsedMs = performance.now() - startedAt;
    if (emit) for (const event of claimedEvents(claimed.rows, elapsedMs)) emit(event);
  };

  const sleepMs = (): number => {
    const nowMs = performance.now();
    const nextTokenMs = Math.min(...pausedUntil.values()) - nowMs;
    for (const [queue, untilMs] of pausedUntil) if (untilMs <= nowMs) pausedUntil.delete(queue);
    return Math.max(1, Math.min(isDirty ? lookEveryMs : config.pollMs, nextTokenMs));
  };
  const work = async (): Promise<void> => {
    for (let failures = 0; !isStopping; ) {
      try {
        const again = await round();
        failures = 0;
        if (again) continue;
        const isWoken = await sleeper.sleep(sleepMs());
        if (!isWoken) isDirty = true;
      } catch (error) {
        emit?.({ kind: "error", where: "jobs.claim", error });
        await sleeper.sleep(Math.min(5_000, 50 * 2 ** failures++));
        isDirty = true;
      }
    }
  };
  const giveBackWaiting = (): void => {
    for (const queue of worked()) {
      for (const { tenantId, batchId, id } of queue.buffer.drain()) {
        settler.settled({ tenantId, batchId, id, outcome: "returned" });
      }
    }
  };
  const runs = () => worked().flatMap((queue) => [...queue.running.values()]);

  return {
    start() {
      isStopping = false;
      isDirty = true;
      loop = work();
    },
    wake() {
      isDirty = true;
      sleeper.wake();
    },
    cancel(jobId) {
      for (const queue of worked()) {
        const run = queue.running.get(jobId);
        if (run) {
          run.abort(new JobCancelledError());
          return true;
        }
        const waiting = queue.buffer.remove(jobId);
        if (!waiting) continue;
        const { tenantId, batchId, id } = waiting;
        const keepMs = queue.settings.keepDoneForMs;
        settler.settled({ tenantId, batchId, id, outcome: "cancelled", keepMs });
        return true;
      }
      return false;
    },
    abandon() {
      settler.forget();
      for (const queue of worked()) queue.buffer.drain();
      for (const run of runs()) endRun(run, new JobLostError(run.job.id), { outcome: "gone" });
    },
    sweep() {
      const nowMs = performance.now();
      for (const run of runs()) {
        if (nowMs >= run.deadlineMs) timeOut(config, run);
        else if (isIgnoringCancel(run, nowMs)) run.end({ outcome: "cancelled" });
      }
    },
    async stop(limitMs) {
      isStopping = true;
      sleeper.wake();
      giveBackWaiting();
      await loop;
      await within(limitMs, (resolve) => {
        onIdle = resolve;
        if (isIdle()) resolve();
      });
      for (const run of runs()) endRun(run, new JobInterruptedError(), { outcome: "returned" });
      // The verdicts arrive in the next turn.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
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

function writeVerdict(settler: Settler, keepMs: number, run: ActiveRun, verdict: Verdict): void {
  const { tenantId, batchId, id } = run.job;
  const { outcome, delayMs, error } = verdict;
  if (outcome === "stored" || outcome === "gone") return settler.over(run.job);
  const isPlain = !(run.job.hasUniqueKey || run.hasProgress || run.aborted || keepMs > 0);
  if (outcome === "completed" && isPlain) return settler.completed(run.job);
  const text = error === undefined ? {} : { error: describe(error) };
  settler.settled({ tenantId, batchId, id, outcome, keepMs, delayMs: delayMs ?? 0, ...text });
}

function describe(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text.slice(0, errorLengthMax);
}

interface Claimed {
  readonly rows: readonly ClaimedRow[];
  readonly orders: readonly LaneOrder[];
  readonly snapshot: { readonly xmin: bigint; readonly xmax: bigint };
  readonly allowances: ReadonlyMap<string, Allowance>;
}

/** Claims within the rates of the queues. */
async function claimRated(
  tx: Tx,
  workerId: string,
  orders: readonly LaneOrder[],
  queueOf: (name: string) => WorkedQueue | undefined,
): Promise<Claimed> {
  const pin = pinned(tx);
  const allowances = new Map<string, Allowance>();
  const rated = [...Map.groupBy(orders, (order) => order.queue)]
    .filter(([queue]) => queueOf(queue)?.settings.rate)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [queue, wishes] of rated) {
    const rate = queueOf(queue)?.settings.rate;
    const wanted = wishes.reduce((sum, wish) => sum + wish.jobsMax, 0);
    if (rate) allowances.set(queue, await takeTokens(tx, queue, rate, wanted));
  }
  const granted = orders.flatMap((order) => {
    const allowance = allowances.get(order.queue);
    return allowance ? [] : [order];
  });
  for (const [queue, wishes] of rated) {
    let left = allowances.get(queue)?.jobs ?? 0;
    for (const wish of wishes) {
      const jobsMax = Math.min(left, wish.jobsMax);
      left -= jobsMax;
      if (jobsMax > 0) granted.push({ ...wish, jobsMax });
    }
  }
  const rows = granted.length > 0 ? await claimJobs(tx, workerId, granted) : [];
  for (const [queue, allowance] of allowances) {
    const used = rows.filter((row) => row.queue === queue).length;
    if (used < allowance.jobs) addTokens(tx, queue, allowance.jobs - used);
  }
  return { rows, orders: granted, snapshot: await pin, allowances };
}

function toJobs(
  rows: readonly ClaimedRow[],
  orders: readonly LaneOrder[],
): Map<string, ClaimedJob[]> {
  const batchOf = new Map(
    orders.map((order) => [`${order.tenantId} ${order.queue}`, order.batchId]),
  );
  const jobs = new Map<string, ClaimedJob[]>(orders.map((order) => [order.batchId, []]));
  for (const row of rows) {
    const batchId = batchOf.get(`${row.tenant_id} ${row.queue}`) ?? "";
    jobs.get(batchId)?.push({
      tenantId: row.tenant_id,
      id: row.id,
      batchId,
      queue: row.queue,
      kind: row.kind,
      priority: row.priority,
      seq: row.seq,
      attempt: row.attempt,
      attemptsMax: row.attempts_max,
      payload: row.payload,
      origin: row.origin,
      hasUniqueKey: row.has_unique_key,
    });
  }
  return jobs;
}

function* claimedEvents(rows: readonly ClaimedRow[], elapsedMs: number): Generator<JobsEvent> {
  for (const [queue, jobs] of Map.groupBy(rows, (row) => row.queue)) {
    yield { kind: "claimed", queue, jobs: jobs.length, elapsedMs };
  }
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

/** Decides how deep the next look goes; each depth costs at most a twentieth of the time. */
interface LookPlan {
  /** @returns the depth that is due, deepest first, or undefined while none is */
  next(nowMs: number): LookDepth | undefined;
  /** Where a look that was cut short goes on. */
  after(): LaneKey | undefined;
  /** @returns whether the look saw all lanes */
  done(depth: LookDepth, heads: readonly LaneHead[], elapsedMs: number): boolean;
}

const depths: readonly (readonly [depth: LookDepth, everyMs: number])[] = [
  ["full", 3_000],
  ["safe", 200],
  ["near", lookEveryMs],
];

function createLookPlan(): LookPlan {
  const dueAtMs = new Map<LookDepth, number>();
  let cursor: LaneKey | undefined;
  return {
    next: (nowMs) => depths.find(([depth]) => nowMs >= (dueAtMs.get(depth) ?? 0))?.[0],
    after: () => cursor,
    done(depth, heads, elapsedMs) {
      const nowMs = performance.now();
      const from = depths.findIndex(([name]) => name === depth);
      for (const [name, everyMs] of depths.slice(from)) {
        dueAtMs.set(name, nowMs + Math.max(everyMs, elapsedMs * 20));
      }
      const isPart = cursor !== undefined || heads.length >= lanesPerLookMax;
      cursor = heads.length >= lanesPerLookMax ? heads.at(-1) : undefined;
      return !isPart;
    },
  };
}
