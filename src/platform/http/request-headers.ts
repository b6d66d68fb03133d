import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { newId } from "../../kernel/ids.ts";
import { problemError } from "./problem.ts";

/** Dates of the API's versions, oldest first; the last one is served when none is asked for. */
export const apiVersions: readonly string[] = ["2026-11-01"];

/** The version served. */
export const currentApiVersion = apiVersions.at(-1) ?? "";

/** Reads `BrandOS-Version`. @throws ProblemError request.unknown_version */
export function readVersion(headers: IncomingHttpHeaders): string {
  const asked = headers["brandos-version"];
  if (asked === undefined) return currentApiVersion;
  if (typeof asked === "string" && apiVersions.includes(asked)) return asked;
  const detail = `known versions: ${apiVersions.join(", ")}`;
  throw problemError("request.unknown_version", { detail });
}

/** Longest interval a caller may name, milliseconds: a day, whatever the server's own limit is. */
const timeoutMaxMs = 86_400_000;

/**
 * Reads `BrandOS-Timeout-Ms`: how long the caller waits. An interval, because clocks differ.
 *
 * @returns milliseconds; undefined without the header
 * @throws ProblemError 400 when it is not a whole number from 1
 */
export function readTimeoutMs(headers: IncomingHttpHeaders): number | undefined {
  const given = headers["brandos-timeout-ms"];
  if (given === undefined) return undefined;
  const ms = typeof given === "string" && /^\d{1,8}$/.test(given) ? Number(given) : 0;
  if (ms >= 1 && ms <= timeoutMaxMs) return ms;
  throw problemError("request.malformed", {
    detail: `BrandOS-Timeout-Ms takes whole milliseconds, 1 to ${timeoutMaxMs}`,
    errors: [{ parameter: "BrandOS-Timeout-Ms", detail: "is not acceptable" }],
  });
}

/** The caller's request id if it is a plain token, else a new one. */
export function readRequestId(headers: IncomingHttpHeaders): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : newId();
}

/**
 * The trace context to hand on: the caller's trace with a span of our own, or a new trace.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function readTraceparent(headers: IncomingHttpHeaders): string {
  const given = headers.traceparent;
  const span = randomUUID().replaceAll("-", "");
  if (typeof given === "string") {
    const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(given);
    const valid = match && !/^0+$/.test(match[1] ?? "") && !/^0+$/.test(match[2] ?? "");
    if (valid) return `00-${match[1]}-${span.slice(0, 16)}-${match[3]}`;
  }
  return `00-${span}-${randomUUID().slice(19).replaceAll("-", "")}-00`;
}

/** The token of `Authorization: Bearer …`. @returns undefined when there is none */
export function readBearer(headers: IncomingHttpHeaders): string | undefined {
  const given = headers.authorization;
  if (given === undefined) return undefined;
  return /^bearer +([\w.~+/=-]{1,512})$/i.exec(given)?.[1] ?? "";
}

/**
 * Reads `If-Match: "<version>"`.
 *
 * @returns undefined without the header, or for `*`
 * @throws ProblemError 400 when it is not one entity tag, 412 when it cannot be one of ours
 */
export function readIfMatch(headers: IncomingHttpHeaders): number | undefined {
  const given = headers["if-match"];
  if (given === undefined || given === "*") return undefined;
  const tag = /^(?:W\/)?"([^"]*)"$/.exec(given)?.[1];
  if (tag === undefined) {
    throw problemError("request.malformed", {
      detail: "If-Match takes one entity tag",
      errors: [{ parameter: "If-Match", detail: 'is not of the form "<version>"' }],
    });
  }
  // A weak tag never matches strongly (RFC 9110, 13.1.1), and ours are numbers.
  if (given.startsWith("W/") || !/^\d{1,15}$/.test(tag)) {
    throw problemError("request.precondition_failed", { detail: "no version has this tag" });
  }
  return Number(tag);
}

/** Whether `If-None-Match` names this version: then 304. Weak comparison, RFC 9110, 13.1.2. */
export function noneMatch(header: string | undefined, version: number): boolean {
  if (header === undefined) return false;
  return header
    .split(",")
    .some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === `"${version}"`);
}

/**
 * Reads `Idempotency-Key`, as a structured-field string or bare.
 *
 * @throws ProblemError 400 when it is not 1 to 255 printable ASCII characters
 */
export function readIdempotencyKey(headers: IncomingHttpHeaders): string | undefined {
  const given = headers["idempotency-key"];
  if (given === undefined) return undefined;
  const text = String(given);
  const key = /^".*"$/.test(text) ? text.slice(1, -1).replace(/\\(["\\])/g, "$1") : text;
  if (/^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(key)) return key;
  throw problemError("request.idempotency_key_invalid", {
    detail: "an Idempotency-Key has 1 to 255 printable ASCII characters; a UUID is a good one",
    errors: [{ parameter: "Idempotency-Key", detail: "is not acceptable" }],
  });
}

/** Refuses a caller that takes nothing we can give. @throws ProblemError 406 */
export function checkAccept(headers: IncomingHttpHeaders, mediaTypes: readonly string[]): void {
  const { accept } = headers;
  if (accept === undefined || accept.includes("*/*") || accept.includes("application/json")) return;
  const ranges = accept.split(",").map((range) => range.split(";")[0]?.trim().toLowerCase() ?? "");
  const given = [...mediaTypes, "application/problem+json"];
  const suits = ranges.some(
    (range) => given.includes(range) || given.some((type) => range === `${type.split("/")[0]}/*`),
  );
  if (!suits) {
    throw problemError("request.not_acceptable", { detail: `given: ${mediaTypes.join(", ")}` });
  }
}
