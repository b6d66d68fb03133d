import type { JobId } from "./job.ts";

/** The job is no longer this run's: its lease was lost, or somebody cancelled it. Keep nothing. */
export class JobLostError extends Error {
  override readonly name = "JobLostError";
  readonly code = "ERR_JOB_LOST";
  readonly retryable = false;

  constructor(id: JobId) {
    super(`job ${id} is no longer held by this run; its work is refused`);
  }
}

/** Thrown by a handler: trying again is useless, make it a dead letter now. */
export class JobRefusedError extends Error {
  override readonly name = "JobRefusedError";
  readonly code = "ERR_JOB_REFUSED";
  readonly retryable = false;
}

/** Thrown by a handler: run again after a while; does not count as an attempt. */
export class JobSnoozeError extends Error {
  override readonly name = "JobSnoozeError";
  readonly code = "ERR_JOB_SNOOZED";
  readonly retryable = true;
  /** Shortest wait before the next run, milliseconds. */
  readonly delayMs: number;

  constructor(delayMs: number) {
    super(`run again in ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}

/** A run took longer than its kind allows. */
export class JobTimeoutError extends Error {
  override readonly name = "JobTimeoutError";
  readonly code = "ERR_JOB_TIMEOUT";
  readonly retryable = true;

  constructor(timeoutMs: number) {
    super(`the job ran longer than ${timeoutMs} ms`);
  }
}

/** Somebody asked for the job to stop. */
export class JobCancelledError extends Error {
  override readonly name = "JobCancelledError";
  readonly code = "ERR_JOB_CANCELLED";
  readonly retryable = false;

  constructor() {
    super("the job was cancelled");
  }
}

/** The process stops and the run was not over in time. */
export class JobInterruptedError extends Error {
  override readonly name = "JobInterruptedError";
  readonly code = "ERR_JOB_INTERRUPTED";
  readonly retryable = true;

  constructor() {
    super("the worker stops; the job is given back");
  }
}
