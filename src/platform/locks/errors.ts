/** Why a lock could not be had or kept. */
export type LockErrorCode =
  | "ERR_LOCK_TIMEOUT"
  | "ERR_LOCK_LOST"
  | "ERR_LOCK_UNAVAILABLE"
  | "ERR_LOCK_STALE"
  | "ERR_LOCKS_STOPPED";

/** Thrown by locks, and the reason of an aborted {@link Lock.signal}. */
export class LockError extends Error {
  override readonly name = "LockError";
  readonly code: LockErrorCode;
  /** Whether asking again later makes sense. */
  readonly retryable: boolean;

  constructor(code: LockErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = code === "ERR_LOCK_TIMEOUT" || code === "ERR_LOCK_UNAVAILABLE";
  }
}
