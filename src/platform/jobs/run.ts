import { fullJitter } from "../../kernel/backoff.ts";
import type { Context } from "../../kernel/context.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import type { TenantTx } from "../db/transaction.ts";
import type { ClaimedJob } from "./claim.ts";
import type { JobDefinition, JobRun } from "./definition.ts";
import {
  JobCancelledError,
  JobInterruptedError,
  JobLostError,
  JobRefusedError,
  JobSnoozeError,
} from "./errors.ts";
import { type Outcome, settle, settlePlainly } from "./settle.ts";

/** How a run ended. `stored`: its own transaction completed it; `gone`: it was no longer its own. */
export interface Verdict {
  readonly outcome: Outcome | "stored" | "gone";
  readonly delayMs?: number;
  readonly error?: unknown;
}

/** What a run needs from its worker. */
export interface RunDeps {
  readonly db: Db;
  readonly random: Random;
  /** How long completed jobs of the queue are remembered, milliseconds; 0: not. */
  readonly keepMs: number;
  /** Takes a progress report. */
  readonly report: (job: ClaimedJob, fraction: number, note: string | undefined) => void;
  /** A transaction of the handler is about to settle a job of this batch. */
  readonly onSettling: (batchId: string) => void;
}

/** A job being handled. */
export interface ActiveRun {
  readonly job: ClaimedJob;
  /** Milliseconds of `performance.now()`. */
  readonly startedAtMs: number;
  readonly deadlineMs: number;
  /** Why it was told to stop, and when. */
  readonly aborted: { readonly reason: Error; readonly atMs: number } | undefined;
  /** Whether it reported progress. */
  readonly hasProgress: boolean;
  /** Asks the handler to stop. */
  abort(reason: Error): void;
  /** Ends the run without waiting for its handler, whose later effects are refused. */
  end(verdict: Verdict): void;
}

/** Default bounds of a kind that states none. */
export const runDefaults = {
  timeoutMs: 300_000,
  backoff: { baseMs: 1_000, maxMs: 600_000 },
} as const;

/**
 * Starts the handler of a job.
 *
 * @param onOver told once how it ended, never before this returns
 */
export function startRun(
  deps: RunDeps,
  definition: JobDefinition,
  job: ClaimedJob,
  onOver: (verdict: Verdict) => void,
): ActiveRun {
  const startedAtMs = performance.now();
  const deadlineMs = startedAtMs + (definition.timeoutMs ?? runDefaults.timeoutMs);
  let controller: AbortController | undefined;
  let aborted: { readonly reason: Error; readonly atMs: number } | undefined;
  let isOver = false;
  let isStored = false;
  let hasProgress = false;

  const end = (verdict: Verdict): void => {
    if (isOver) return;
    isOver = true;
    onOver(verdict);
  };
  // Made on demand: most handlers are short and never look.
  const signal = (): AbortSignal => {
    controller ??= new AbortController();
    if (aborted) controller.abort(aborted.reason);
    return controller.signal;
  };
  const complete = async (tx: TenantTx): Promise<void> => {
    if (isOver) throw new JobLostError(job.id);
    deps.onSettling(job.batchId);
    const isPlain = !(job.hasUniqueKey || hasProgress || deps.keepMs > 0 || aborted);
    const settled = isPlain
      ? await settlePlainly(tx, [job])
      : await settle(tx, [{ ...held(job), outcome: "completed", keepMs: deps.keepMs }]);
    if (settled.length === 0) throw new JobLostError(job.id);
    tx.afterCommit(() => {
      isStored = true;
    });
  };
  const run: JobRun = {
    ctx: contextOf(job, deadlineMs, signal),
    job,
    get signal() {
      return signal();
    },
    progress(fraction, note) {
      if (isOver) return;
      hasProgress = true;
      deps.report(job, Math.min(1, Math.max(0, fraction)), note);
    },
    complete,
    transact: (work, options) =>
      deps.db.transact(
        job.tenantId,
        async (tx) => {
          const completing = complete(tx);
          completing.catch(() => {});
          const result = await work(tx);
          await completing;
          return result;
        },
        { name: job.kind, ...options },
      ),
  };
  invoke(definition, run).then(
    () => end({ outcome: isStored ? "stored" : "completed" }),
    (error) => {
      if (isStored) end({ outcome: "stored", error });
      else end(failure(job, definition, { error, random: deps.random, aborted: aborted?.reason }));
    },
  );

  return {
    job,
    startedAtMs,
    deadlineMs,
    get aborted() {
      return aborted;
    },
    get hasProgress() {
      return hasProgress;
    },
    abort(reason) {
      if (aborted || isOver) return;
      aborted = { reason, atMs: performance.now() };
      controller?.abort(reason);
    },
    end,
  };
}

/** A handler may throw before its first await. */
async function invoke(definition: JobDefinition, run: JobRun): Promise<void> {
  await definition.handle(run);
}

function held({ tenantId, batchId, id }: ClaimedJob) {
  return { tenantId, batchId, id };
}

function contextOf(job: ClaimedJob, deadlineMs: number, signal: () => AbortSignal): Context {
  const { tenantId, origin } = job;
  return {
    tenantId,
    actor: origin.actor,
    requestId: origin.requestId,
    ...(origin.traceparent === undefined ? {} : { traceparent: origin.traceparent }),
    deadlineMs,
    get signal() {
      return signal();
    },
  };
}

/** Why a run failed. */
export interface RunFailure {
  readonly error: unknown;
  readonly random: Random;
  /** What the handler was told to stop for, if it was. */
  readonly aborted?: Error | undefined;
}

/** Decides what becomes of a job whose handler threw. */
export function failure(
  job: Pick<ClaimedJob, "attempt" | "attemptsMax">,
  definition: Pick<JobDefinition, "backoff">,
  { error, random, aborted }: RunFailure,
): Verdict {
  if (error instanceof JobLostError) return { outcome: "gone", error };
  if (aborted instanceof JobCancelledError) return { outcome: "cancelled", error };
  if (aborted instanceof JobInterruptedError) return { outcome: "returned", error };
  if (error instanceof JobRefusedError) return { outcome: "refused", error };
  if (error instanceof JobSnoozeError) return { outcome: "postponed", delayMs: error.delayMs };
  if (job.attempt >= job.attemptsMax) return { outcome: "exhausted", error };
  const delayMs = fullJitter(definition.backoff ?? runDefaults.backoff, job.attempt - 1, random);
  return { outcome: "retried", delayMs, error };
}
