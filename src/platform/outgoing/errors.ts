import { notSent } from "../resilience/classify.ts";

import { ResilienceError, type ResilienceErrorCode } from "../resilience/resilience.ts";

/** Why an outgoing call gave no answer. */
export type OutgoingErrorCode =
  /** No answer within the time allowed. */
  | "ERR_OUTGOING_TIMEOUT"
  /** The connection could not be made. */
  | "ERR_OUTGOING_CONNECT"
  /** The connection broke before the whole answer had arrived. */
  | "ERR_OUTGOING_BROKEN"
  /** The breaker is open: recent calls failed. */
  | "ERR_OUTGOING_OPEN"
  /** Too many calls are under way and waiting. */
  | "ERR_OUTGOING_BUSY"
  /** The address is not one that this client may reach. */
  | "ERR_OUTGOING_FORBIDDEN"
  /** The answer is larger than allowed. */
  | "ERR_OUTGOING_TOO_LARGE"
  /** The caller went away. */
  | "ERR_OUTGOING_ABORTED";

/** An outgoing call that gave no answer. An answer with any status is not an error. */
export class OutgoingError extends Error {
  override readonly name = "OutgoingError";
  readonly code: OutgoingErrorCode;
  /** Whether the peer may have received the request, and acted on it. */
  readonly maybeSent: boolean;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;

  constructor(
    code: OutgoingErrorCode,
    message: string,
    cause?: unknown,
    maybeSent: boolean = sentCodes.has(code),
  ) {
    super(message, { cause });
    this.code = code;
    this.maybeSent = maybeSent;
    this.retryable = code !== "ERR_OUTGOING_FORBIDDEN" && code !== "ERR_OUTGOING_TOO_LARGE";
  }
}

const sentCodes: ReadonlySet<OutgoingErrorCode> = new Set([
  "ERR_OUTGOING_TIMEOUT",
  "ERR_OUTGOING_BROKEN",
  "ERR_OUTGOING_TOO_LARGE",
  "ERR_OUTGOING_ABORTED",
]);

const timeoutCodes: ReadonlySet<string> = new Set([
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
]);

const policyCodes: Readonly<Partial<Record<ResilienceErrorCode, OutgoingErrorCode>>> = {
  ERR_CALL_TIMEOUT: "ERR_OUTGOING_TIMEOUT",
  ERR_CALL_DEADLINE: "ERR_OUTGOING_TIMEOUT",
  ERR_CALL_ABORTED: "ERR_OUTGOING_ABORTED",
  ERR_BREAKER_OPEN: "ERR_OUTGOING_OPEN",
  ERR_BULKHEAD_FULL: "ERR_OUTGOING_BUSY",
};

/** Tells apart what the policies around a call and the HTTP client threw. */
export function toOutgoingError(error: unknown): OutgoingError {
  if (error instanceof OutgoingError) return error;
  if (error instanceof ResilienceError) {
    const code = policyCodes[error.code] ?? "ERR_OUTGOING_BROKEN";
    return new OutgoingError(code, error.message, error, error.maybeDone);
  }
  const nested = (error as { cause?: unknown } | undefined)?.cause;
  if (nested instanceof OutgoingError) return nested;
  const code = codeOf(error);
  if (timeoutCodes.has(code)) {
    return new OutgoingError("ERR_OUTGOING_TIMEOUT", "no answer in time", error);
  }
  if (notSent.has(code)) {
    return new OutgoingError("ERR_OUTGOING_CONNECT", `cannot connect: ${code}`, error);
  }
  if (code === "UND_ERR_ABORTED" || (error as Error | undefined)?.name === "AbortError") {
    return new OutgoingError("ERR_OUTGOING_ABORTED", "the caller went away", error);
  }
  return new OutgoingError("ERR_OUTGOING_BROKEN", `the connection broke: ${code}`, error);
}

function codeOf(error: unknown): string {
  // Several addresses of one host were tried: they all failed to connect.
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "unknown";
}
