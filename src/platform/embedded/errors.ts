/** Stable codes of what can go wrong with the embedded server. */
export type EmbeddedPostgresErrorCode =
  | "ERR_EMBEDDED_UNSUPPORTED_PLATFORM"
  | "ERR_EMBEDDED_BINARIES_MISSING"
  | "ERR_EMBEDDED_NO_ACCOUNT"
  | "ERR_EMBEDDED_FOLDER_UNREACHABLE"
  | "ERR_EMBEDDED_FOLDER_NOT_OURS"
  | "ERR_EMBEDDED_WRONG_VERSION"
  | "ERR_EMBEDDED_PASSWORD_LOST"
  | "ERR_EMBEDDED_ALREADY_RUNNING"
  | "ERR_EMBEDDED_START_FAILED"
  | "ERR_EMBEDDED_STOP_FAILED";

/** The embedded server could not be prepared, started or stopped; the message says what to do. */
export class EmbeddedPostgresError extends Error {
  override readonly name = "EmbeddedPostgresError";
  readonly code: EmbeddedPostgresErrorCode;
  /** Always false: a person has to change something first. */
  readonly retryable = false;

  constructor(code: EmbeddedPostgresErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
