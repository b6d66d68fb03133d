/** Why a policy did not let a call come to an end of its own. */
export type ResilienceErrorCode =
  /** It took longer than the policy allows. */
  | "ERR_CALL_TIMEOUT"
  /** The caller's deadline passed, before or during the call. */
  | "ERR_CALL_DEADLINE"
  /** The caller went away; the reason of its signal is the cause. */
  | "ERR_CALL_ABORTED"
  /** The breaker is open: recent calls failed. */
  | "ERR_BREAKER_OPEN"
  /** Too many calls are under way and waiting. */
  | "ERR_BULKHEAD_FULL"
  /** The queue is full, and its policy is to refuse. */
  | "ERR_QUEUE_FULL"
  /** The queue takes nothing any more. */
  | "ERR_QUEUE_CLOSED";

/** Thrown by policies; what the work itself throws passes through them unchanged. */
export class ResilienceError extends Error {
  override readonly name = "ResilienceError";
  readonly code: ResilienceErrorCode;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** Whether the work had begun, so that what was asked for may have been done. */
  readonly maybeDone: boolean;

  constructor(code: ResilienceErrorCode, message: string, details: ResilienceErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = code !== "ERR_CALL_ABORTED" && code !== "ERR_QUEUE_CLOSED";
    this.maybeDone = details.maybeDone ?? false;
  }
}

/** What is known about a {@link ResilienceError} beside its code. */
export interface ResilienceErrorDetails {
  readonly maybeDone?: boolean;
  readonly cause?: unknown;
}
