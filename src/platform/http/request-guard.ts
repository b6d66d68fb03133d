import type { IncomingMessage } from "node:http";
import { type ProblemError, problemError } from "./problem.ts";

/**
 * Refuses what Node's parser lets through and intermediaries read in more than one way.
 *
 * @throws ProblemError 400
 */
export function guardRequest(request: IncomingMessage): void {
  if (countHosts(request.rawHeaders) > 1) throw malformed("more than one Host header");
  const target = request.url ?? "/";
  if (target.charCodeAt(0) !== slash) guardTarget(target, request);
  // Cheap test first: nearly every target has neither a dot segment nor an escape.
  if (target.includes("%") || target.includes("/.") || target.includes("\\")) guardPath(target);
  guardBody(request, request.method !== "GET" && request.method !== "HEAD");
}

/** Refuses a body where none belongs. @throws ProblemError 400 */
export function guardBody(request: IncomingMessage, acceptsBody: boolean): void {
  if (acceptsBody || !carriesBody(request)) return;
  throw malformed(`a ${request.method} request here has no body`, { connection: "close" });
}

const slash = 0x2f;

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === "host") count++;
  }
  return count;
}

/** Absolute-form is legal for any server, but only about itself: those are paths by now. */
function guardTarget(target: string, request: IncomingMessage): void {
  if (target === "*" && request.method === "OPTIONS") return;
  throw malformed("the target is not a path of this server");
}

/** The path of a target in absolute form that names this host; any other target as it is. RFC 9112, 3.2.2 */
export function ownPath(target: string, host: string | undefined): string {
  if (target.charCodeAt(0) === slash || !URL.canParse(target)) return target;
  const url = new URL(target);
  const mine = url.host === host && url.username === "" && url.password === "";
  // Cut out of the text: parsing has resolved dot segments that the guard must see.
  return mine && /^https?:$/.test(url.protocol)
    ? target.replace(/^https?:\/\/[^/?#]*/i, "") || "/"
    : target;
}

/** An encoded separator or a dot segment means one path to us and another one to a proxy. */
function guardPath(target: string): void {
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  if (/%2f|%5c|%00|\\/i.test(path)) throw malformed("the path has an encoded separator");
  const segments = path.replace(/%2e/gi, ".").split("/");
  if (segments.some((segment) => segment === ".." || segment === ".")) {
    throw malformed("the path has a dot segment");
  }
}

/** Whether a request says that a body follows. */
export function carriesBody(request: IncomingMessage): boolean {
  const { headers } = request;
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = headers["content-length"];
  return length !== undefined && length !== "0";
}

function malformed(detail: string, headers: Readonly<Record<string, string>> = {}): ProblemError {
  return problemError("request.malformed", { detail }, headers);
}
