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
  /** Told once how a run ended, never before `begin` returns. */
  readonly onOver: (run: ActiveRun, verdict: Verdict) => void;
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
  /** Starts the handler. Call it once; it does not throw. */
  begin(): void;
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
 * Prepares a run of a job.
 *
 * @param deps the same object for all runs of a queue
 */
export function createRun(deps: RunDeps, definition: JobDefinition, job: ClaimedJob): ActiveRun {
  return new Run(deps, definition, job);
}

/**
 * A class, and everything in it made on demand: a hundred thousand runs start in a second, most
 * look at nothing but their payload, and closures for each took as long as the rest of a run.
 */
class Run implements ActiveRun, JobRun {
  readonly job: ClaimedJob;
  readonly startedAtMs: number;
  readonly deadlineMs: number;
  aborted: { readonly reason: Error; readonly atMs: number } | undefined;
  hasProgress = false;
  readonly #deps: RunDeps;
  readonly #definition: JobDefinition;
  #controller: AbortController | undefined;
  #isOver = false;
  #isStored = false;

  constructor(deps: RunDeps, definition: JobDefinition, job: ClaimedJob) {
    this.#deps = deps;
    this.#definition = definition;
    this.job = job;
    this.startedAtMs = performance.now();
    this.deadlineMs = this.startedAtMs + (definition.timeoutMs ?? runDefaults.timeoutMs);
  }

  begin(): void {
    void this.#handle();
  }

  async #handle(): Promise<void> {
    try {
      await this.#definition.handle(this);
      this.end({ outcome: this.#isStored ? "stored" : "completed" });
    } catch (error) {
      this.#failed(error);
    }
  }

  abort(reason: Error): void {
    if (this.aborted || this.#isOver) return;
    this.aborted = { reason, atMs: performance.now() };
    this.#controller?.abort(reason);
  }

  end(verdict: Verdict): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deps.onOver(this, verdict);
  }

  // Accessors that return functions, so that a handler may take them out of the object.
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.aborted) this.#controller.abort(this.aborted.reason);
    return this.#controller.signal;
  }

  get ctx(): Context {
    return contextOf(this);
  }

  get progress(): JobRun["progress"] {
    return (fraction, note) => {
      if (this.#isOver) return;
      this.hasProgress = true;
      this.#deps.report(this.job, Math.min(1, Math.max(0, fraction)), note);
    };
  }

  get complete(): JobRun["complete"] {
    return (tx) => this.#complete(tx);
  }

  get transact(): JobRun["transact"] {
    return (work, options) => {
      const { tenantId, kind } = this.job;
      const completeAndWork = async (tx: TenantTx) => {
        const completing = this.#complete(tx);
        completing.catch(() => {});
        const result = await work(tx);
        await completing;
        return result;
      };
      return this.#deps.db.transact(tenantId, completeAndWork, { name: kind, ...options });
    };
  }

  async #complete(tx: TenantTx): Promise<void> {
    const { job } = this;
    const { keepMs, onSettling } = this.#deps;
    if (this.#isOver) throw new JobLostError(job.id);
    onSettling(job.batchId);
    const isPlain = !(job.hasUniqueKey || this.hasProgress || keepMs > 0 || this.aborted);
    const settled = isPlain
      ? await settlePlainly(tx, [job])
      : await settle(tx, [{ ...held(job), outcome: "completed", keepMs }]);
    if (settled.length === 0) throw new JobLostError(job.id);
    tx.afterCommit(() => {
      this.#isStored = true;
    });
  }

  #failed(error: unknown): void {
    const { random } = this.#deps;
    const aborted = this.aborted?.reason;
    if (this.#isStored) this.end({ outcome: "stored", error });
    else this.end(failure(this.job, this.#definition, { error, random, aborted }));
  }
}

function held({ tenantId, batchId, id }: ClaimedJob) {
  return { tenantId, batchId, id };
}

function contextOf(run: Run): Context {
  const { tenantId, origin } = run.job;
  return {
    tenantId,
    actor: origin.actor,
    requestId: origin.requestId,
    ...(origin.traceparent === undefined ? {} : { traceparent: origin.traceparent }),
    deadlineMs: run.deadlineMs,
    get signal() {
      return run.signal;
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
