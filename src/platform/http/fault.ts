import { AssertionError } from "../../kernel/assert.ts";
import type { Problem } from "./problem.ts";
import {
  type PlatformProblemCode,
  type ProblemDetails,
  ProblemError,
  problemError,
} from "./problem.ts";

/** A fault as it is answered, and whether it is ours to look at. */
export interface AnsweredFault {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
  /** `bug` and `fault` are logged with their stack; `refusal` is the caller's own doing. */
  readonly severity: "refusal" | "busy" | "fault" | "bug";
}

type Rule = readonly [PlatformProblemCode, ProblemDetails?];

/** Fastify's codes, where the caller is at fault. */
const fastifyRules: Readonly<Record<string, Rule>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ["request.body_too_large"],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["request.unsupported_media_type"],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["request.malformed", { detail: "wrong Content-Length" }],
  FST_ERR_CTP_EMPTY_JSON_BODY: ["request.malformed_json", { detail: "the body is empty" }],
  FST_ERR_BAD_URL: ["request.malformed", { detail: "the address cannot be decoded" }],
  FST_ERR_ASYNC_CONSTRAINT: ["request.malformed"],
  FST_ERR_MAX_PARAM_LENGTH: ["request.uri_too_long"],
  FST_ERR_HANDLER_TIMEOUT: ["server.deadline", { retryAfterSeconds: 1 }],
};

/** Codes of our own operational errors. */
const operationalRules: Readonly<Record<string, Rule>> = {
  ERR_DB_POOL_EXHAUSTED: ["server.overloaded", { retryAfterSeconds: 1 }],
  ERR_DB_UNAVAILABLE: ["server.unavailable", { retryAfterSeconds: 1 }],
  ERR_DB_SERIALIZATION: ["server.overloaded", { retryAfterSeconds: 1 }],
  ERR_DB_DEADLOCK: ["server.overloaded", { retryAfterSeconds: 1 }],
  ERR_DB_LOCK_TIMEOUT: ["server.overloaded", { retryAfterSeconds: 1 }],
  ERR_DB_STATEMENT_TIMEOUT: ["server.deadline", { retryAfterSeconds: 1 }],
  ERR_DB_COMMIT_UNKNOWN: [
    "server.outcome_unknown",
    { detail: "repeat the request with the same Idempotency-Key", retryAfterSeconds: 1 },
  ],
  ERR_CALL_TIMEOUT: ["server.deadline", { retryAfterSeconds: 1 }],
  ERR_CALL_DEADLINE: ["server.deadline", { retryAfterSeconds: 1 }],
  ERR_BREAKER_OPEN: ["server.unavailable", { retryAfterSeconds: 1 }],
  ERR_BULKHEAD_FULL: ["server.overloaded", { retryAfterSeconds: 1 }],
  ERR_QUEUE_FULL: ["server.overloaded", { retryAfterSeconds: 1 }],
  ERR_COALESCER_FULL: ["server.overloaded", { retryAfterSeconds: 1 }],
  ERR_PLACEMENT_NOT_SERVED: ["server.unavailable", { retryAfterSeconds: 5 }],
};

/** Decides how a thrown error is answered; nothing internal gets out. */
export function answerFault(error: unknown): AnsweredFault {
  if (error instanceof ProblemError) {
    const severity = error.problem.status >= 500 ? "busy" : "refusal";
    return { problem: error.problem, headers: error.headers, severity };
  }
  const { code, statusCode, retryable } = error as ThrownError;
  const fromFastify = fastifyRules[code ?? ""];
  if (fromFastify) return answer(fromFastify, "refusal");
  const operational = operationalRules[code ?? ""];
  if (operational) return answer(operational, "busy");
  if (retryable === true) return answer(["server.unavailable", { retryAfterSeconds: 1 }], "busy");
  // Other 4xx come from Fastify and its plugins: reading the request failed.
  const clientError = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
  if (clientError && String(code).startsWith("FST_"))
    return answer(["request.malformed"], "refusal");
  return answer(["server.internal"], error instanceof AssertionError ? "bug" : "fault");
}

interface ThrownError {
  readonly code?: string;
  readonly statusCode?: number;
  readonly retryable?: boolean;
}

function answer([code, details]: Rule, severity: AnsweredFault["severity"]): AnsweredFault {
  const { problem, headers } = problemError(code, details);
  return { problem, headers, severity };
}
