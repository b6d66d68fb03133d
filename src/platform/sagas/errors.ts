import { DbError, type DbErrorCode } from "../db/errors.ts";
import type { StepError } from "./saga.ts";

/** A step failed for good, after its attempts. */
export class StepFailedError extends Error {
  override readonly name = "StepFailedError";
  readonly code: string;
  readonly retryable = false;
  readonly step: string;

  constructor(step: string, error: StepError, cause?: unknown) {
    super(`step ${step}: ${error.message}`, { cause });
    this.code = error.code;
    this.step = step;
  }
}

/** One attempt of a step took too long: whether it took effect is unknown. */
export class StepTimeoutError extends Error {
  override readonly name = "StepTimeoutError";
  readonly code = "ERR_STEP_TIMEOUT";
  readonly retryable = true;
}

/** The run as a whole took too long. */
export class SagaTimeoutError extends Error {
  override readonly name = "SagaTimeoutError";
  readonly code = "ERR_SAGA_TIMEOUT";
  readonly retryable = false;
}

/**
 * This process must not go on with the run: another node took it over, the process stops, or the
 * database is away. Not a failure of the saga: it goes on elsewhere or later. Never catch it for good.
 */
export class SagaInterruptedError extends Error {
  override readonly name = "SagaInterruptedError";
  readonly code = "ERR_SAGA_INTERRUPTED";
  readonly retryable = true;
}

const transient: ReadonlySet<DbErrorCode> = new Set<DbErrorCode>([
  "ERR_DB_UNAVAILABLE",
  "ERR_DB_POOL_EXHAUSTED",
  "ERR_DB_SERIALIZATION",
  "ERR_DB_DEADLOCK",
  "ERR_DB_LOCK_TIMEOUT",
  "ERR_DB_COMMIT_UNKNOWN",
]);

/** Whether the platform is to blame: then the run goes on later, with nothing undone. */
export function isInterruption(error: unknown): boolean {
  if (error instanceof SagaInterruptedError) return true;
  if (error instanceof DbError) return transient.has(error.code);
  return (error as { code?: unknown } | null)?.code === "ERR_COALESCER_FULL";
}

/** An error as it is remembered; at most 1,000 characters. */
export function toStepError(error: unknown): StepError {
  const raw = error as { code?: unknown; message?: unknown } | null;
  const code = typeof raw?.code === "string" ? raw.code : "ERR_STEP_FAILED";
  const message = typeof raw?.message === "string" ? raw.message : String(error);
  // jsonb cannot hold U+0000.
  const plain = (text: string) => text.replaceAll("\0", "\ufffd");
  return { code: plain(code.slice(0, 100)), message: plain(message.slice(0, 1_000)) };
}
