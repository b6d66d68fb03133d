import type { Socket } from "node:net";
import { type PlatformProblemCode, platformProblems, problemType } from "./problem.ts";

const codes: Readonly<Record<string, PlatformProblemCode>> = {
  HPE_HEADER_OVERFLOW: "request.headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request.timeout",
};

/** Answers bytes that are not HTTP, then hangs up: there is no request to hang an answer on. */
export function answerParseError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = codes[error.code ?? ""] ?? "request.malformed";
  const [status, title] = platformProblems[code];
  const body = JSON.stringify({ type: problemType(code), title, status, code });
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
