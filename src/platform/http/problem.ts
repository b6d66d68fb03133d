import { STATUS_CODES } from "node:http";
import type { Failure } from "../../kernel/result.ts";

/** An error answer. @see https://www.rfc-editor.org/rfc/rfc9457 */
export interface Problem {
  /** Stable name of the kind of problem, a URN that ends in `code`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** The same name, short: `orders.out_of_stock`. */
  readonly code: string;
  readonly detail?: string;
  /** The request it is about: `urn:uuid:…` of its request id. */
  readonly instance?: string;
  /** What is wrong with which part of the request. */
  readonly errors?: readonly ProblemPart[];
  readonly [extension: string]: unknown;
}

/** One thing wrong with a request. */
export interface ProblemPart {
  /** JSON pointer into the body, RFC 6901. */
  readonly pointer?: string;
  /** Name of the query, path or header parameter. */
  readonly parameter?: string;
  readonly detail: string;
}

/** The problems the HTTP layer itself answers with: status and title by code. */
export const platformProblems = {
  "request.malformed": [400, "The request cannot be understood"],
  "request.malformed_json": [400, "The body is not acceptable JSON"],
  "request.invalid": [400, "The request does not match the schema"],
  "request.bad_cursor": [400, "The cursor does not belong to this list"],
  "request.unknown_version": [400, "The API version is not known"],
  "request.idempotency_key_missing": [400, "An Idempotency-Key is required"],
  "request.idempotency_key_invalid": [400, "The Idempotency-Key is not acceptable"],
  "auth.required": [401, "A credential is required"],
  "auth.invalid_credential": [401, "The credential is not valid"],
  "auth.forbidden": [403, "The credential does not allow this"],
  "request.not_found": [404, "There is nothing here"],
  "request.method_not_allowed": [405, "The method is not allowed here"],
  "request.not_acceptable": [406, "No acceptable representation"],
  "request.timeout": [408, "The request took too long to arrive"],
  "request.precondition_failed": [412, "The version has changed"],
  "request.body_too_large": [413, "The body is too large"],
  "request.uri_too_long": [414, "The address is too long"],
  "request.unsupported_media_type": [415, "The media type is not supported"],
  "request.version_required": [428, "If-Match is required"],
  "request.rate_limited": [429, "Too many requests"],
  "request.headers_too_large": [431, "The headers are too large"],
  "server.internal": [500, "Something broke here"],
  "server.overloaded": [503, "The server is busy"],
  "server.unavailable": [503, "A dependency is not available"],
  "server.deadline": [503, "The request took too long"],
  "server.outcome_unknown": [503, "It is not known whether the request took effect"],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

/** Code of a problem the HTTP layer itself answers with. */
export type PlatformProblemCode = keyof typeof platformProblems;

/** What a problem says beside its code. */
export type ProblemDetails = Omit<Partial<Problem>, "type" | "title" | "status" | "code"> & {
  /** Seconds after which a retry may succeed, for 429 and 503. */
  readonly retryAfterSeconds?: number;
};

/** Thrown inside the HTTP layer to answer with a problem; the error handler is its only catcher. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;

  constructor(problem: Problem, headers: Readonly<Record<string, string>> = {}) {
    super(`${problem.code}: ${problem.detail ?? problem.title}`);
    this.problem = problem;
    this.headers = headers;
  }
}

/** Makes the error that answers with one of {@link platformProblems}. */
export function problemError(
  code: PlatformProblemCode,
  details: ProblemDetails = {},
  headers: Readonly<Record<string, string>> = {},
): ProblemError {
  const { retryAfterSeconds, ...members } = details;
  const [status, title] = platformProblems[code];
  const problem = { type: problemType(code), title, status, code, ...members };
  if (retryAfterSeconds === undefined) return new ProblemError(problem, headers);
  return new ProblemError(problem, { ...headers, "retry-after": String(retryAfterSeconds) });
}

/** What every problem's type begins with. */
export const problemTypePrefix = "urn:brandos:problem:";

/** The URN of a kind of problem. */
export function problemType(code: string): string {
  return problemTypePrefix + code;
}

/**
 * Turns a module's refusal into a problem; its other fields become extension members.
 *
 * @param status what the table of failure statuses says
 */
export function problemOf(failure: Failure, status: number): Problem {
  const { code, ...members } = failure;
  // The members of the standard are ours to set: a failure's own `status` must not pose as them.
  const {
    type: _type,
    status: _status,
    instance: _instance,
    ...rest
  } = members as Partial<Problem>;
  return { ...rest, type: problemType(code), title: titleOf(code, status), status, code };
}

const platformTitles: Readonly<Record<string, readonly [number, string]>> = platformProblems;

function titleOf(code: string, status: number): string {
  const known = platformTitles[code];
  if (known) return known[1];
  const words = code.slice(code.indexOf(".") + 1).replaceAll("_", " ");
  return words === ""
    ? (STATUS_CODES[status] ?? "Refused")
    : words[0]?.toUpperCase() + words.slice(1);
}
