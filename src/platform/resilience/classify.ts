import { ResilienceError } from "./errors.ts";

/**
 * What an error says about trying again.
 * `transient`: it was not done, or doing it twice is harmless; it may succeed soon.
 * `timeout`: nobody knows whether it was done; repeated only if the call is repeatable.
 * `permanent`: the same call would fail the same way; never repeated.
 * `aborted`: the caller went away; says nothing about the dependency.
 */
export type ErrorClass = "transient" | "timeout" | "permanent" | "aborted";

/** Tells errors apart. */
export type Classify = (error: unknown) => ErrorClass;

/** Codes of failures to connect: not a byte has left. */
export const notSent: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Connections that broke or fell silent: what was sent may have been done. */
const maybeSent: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/**
 * Tells the errors of policies, of Node's sockets and `fetch`, and typed errors with `retryable` and
 * `maybeDone` apart. An error it does not know is permanent: to repeat it would be a guess.
 */
export function classifyError(error: unknown): ErrorClass {
  if (error instanceof ResilienceError) return classOf(error);
  if (typeof error !== "object" || error === null) return "permanent";
  const known = error as KnownError;
  if (known.name === "AbortError") return "aborted";
  if (known.name === "TimeoutError") return "timeout";
  if (typeof known.code === "string") {
    if (notSent.has(known.code)) return "transient";
    if (maybeSent.has(known.code)) return "timeout";
  }
  if (known.retryable === true) return known.maybeDone === true ? "timeout" : "transient";
  if (known.retryable === false) return "permanent";
  // Several addresses of one host were tried; `fetch` hides the reason in the cause.
  const [first] = known.errors ?? [];
  const reason = first ?? known.cause;
  return reason === undefined ? "permanent" : classifyError(reason);
}

interface KnownError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly retryable?: unknown;
  readonly maybeDone?: unknown;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

function classOf({ code }: ResilienceError): ErrorClass {
  if (code === "ERR_CALL_ABORTED") return "aborted";
  // A refusal is there to spare the dependency: to ask again at once would undo it.
  return code === "ERR_CALL_TIMEOUT" || code === "ERR_CALL_DEADLINE" ? "timeout" : "permanent";
}
