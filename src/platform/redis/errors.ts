/** Why Redis did not do what it was told. */
export type RedisErrorCode =
  /** The server is away, or did not answer in time: what was sent may have been done. */
  | "ERR_REDIS_UNAVAILABLE"
  /** The server answered with an error. */
  | "ERR_REDIS_REFUSED";

/** Thrown for commands without a good answer. */
export class RedisError extends Error {
  override readonly name = "RedisError";
  readonly code: RedisErrorCode;
  /** Whether asking again later makes sense. */
  readonly retryable: boolean;

  constructor(code: RedisErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = code === "ERR_REDIS_UNAVAILABLE";
  }
}

/** Answers of a server that cannot serve now, but will. */
const passing = /^(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|BUSY|OOM)\b/;

/** Tells apart what a client threw. @param server its name, for the message */
export function toRedisError(error: unknown, server: string): RedisError {
  if (error instanceof RedisError) return error;
  const { name, message } = error as Error;
  const answered = name === "ReplyError" && !passing.test(message);
  if (answered) return new RedisError("ERR_REDIS_REFUSED", `${server}: ${message}`, error);
  return new RedisError("ERR_REDIS_UNAVAILABLE", `${server} is away: ${message}`, error);
}
