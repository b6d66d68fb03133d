/** Why a cache could not answer or keep something. */
export type CacheErrorCode =
  | "ERR_CACHE_BEHIND"
  | "ERR_CACHE_FULL"
  | "ERR_CACHE_LOAD_TIMEOUT"
  | "ERR_CACHE_WRITES_FULL"
  | "ERR_CACHE_WRITES_STOPPED";

/** Thrown by caches. What `load` throws reaches the caller as it is. */
export class CacheError extends Error {
  override readonly name = "CacheError";
  readonly code: CacheErrorCode;
  /** Whether asking again later makes sense. */
  readonly retryable: boolean;

  constructor(code: CacheErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = code !== "ERR_CACHE_WRITES_STOPPED";
  }
}
