import { assert } from "../../kernel/assert.ts";
import type { Backoff } from "../../kernel/backoff.ts";
import type { Context } from "../../kernel/context.ts";
import type { JsonObject } from "../../kernel/json.ts";
import type { Failure, Result } from "../../kernel/result.ts";
import type { WorkOptions } from "../db/db.ts";
import type { TenantTx } from "../db/transaction.ts";
import { isJobName, type JobId } from "./job.ts";

/** A job as its handler sees it. */
export interface RunningJob<Payload extends JsonObject = JsonObject> {
  readonly id: JobId;
  readonly kind: string;
  readonly queue: string;
  readonly payload: Payload;
  /** 1 for the first run. A run whose worker died counts. */
  readonly attempt: number;
  readonly attemptsMax: number;
}

/** One run of a job. */
export interface JobRun<Payload extends JsonObject = JsonObject> {
  /** On whose behalf: the tenant, the actor and request id that enqueued it. */
  readonly ctx: Context;
  readonly job: RunningJob<Payload>;
  /** Aborts on timeout, on cancellation, when the lease is lost and when the process stops. */
  readonly signal: AbortSignal;
  /**
   * Says how far the job is; written within a second, the latest word wins.
   *
   * @param fraction 0 to 1
   * @param note one line for people
   */
  progress(fraction: number, note?: string): void;
  /**
   * Runs a unit of work and completes the job in the same commit: its effects happen exactly once.
   * A refusal rolls back both; what the handler then returns or throws decides.
   *
   * @throws JobLostError when the job is no longer this run's: nothing is kept
   */
  transact<Value, F extends Failure>(
    work: (tx: TenantTx) => Promise<Result<Value, F>>,
    options?: WorkOptions,
  ): Promise<Result<Value, F>>;
  /**
   * Completes the job in a transaction of the handler's own; for commands that take a `tx`.
   *
   * @throws JobLostError when the job is no longer this run's: let the transaction fail
   */
  complete(tx: TenantTx): Promise<void>;
}

/** How jobs of one kind are handled. */
export interface JobDefinition<Payload extends JsonObject = JsonObject> {
  readonly kind: string;
  /** Longest a run may take, milliseconds; default 300,000. Then its signal aborts, and it fails. */
  readonly timeoutMs?: number;
  /** Wait between attempts, full jitter; default 1 s doubling to 10 minutes. */
  readonly backoff?: Backoff;
  /**
   * Does the work. Returning completes the job; throwing fails this attempt. It may run more than
   * once (its worker may die): make effects idempotent, or commit them with `transact`.
   */
  readonly handle: (run: JobRun<Payload>) => Promise<void>;
}

/** Declares how a kind of job is handled. */
export function defineJob<Payload extends JsonObject>(
  definition: JobDefinition<Payload>,
): JobDefinition {
  assert(isJobName(definition.kind), "a job's kind is a short lower-case name");
  assert((definition.timeoutMs ?? 1) > 0, "a job's timeout is positive");
  // The payload is whatever was enqueued under this kind; the definition states its shape.
  return definition as unknown as JobDefinition;
}
