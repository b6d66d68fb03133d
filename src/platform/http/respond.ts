import type { FastifyReply, FastifyRequest } from "fastify";
import type { Problem } from "./problem.ts";
import { readRequestId } from "./request-headers.ts";

/** Answers with a problem document. @see https://www.rfc-editor.org/rfc/rfc9457 */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
): FastifyReply {
  // The router refuses an address it cannot read before anything else has happened.
  const requestId = request.call?.requestId ?? readRequestId(request.headers);
  const body = JSON.stringify({ instance: `urn:brandos:request:${requestId}`, ...problem });
  // Set once more: a handler may have asked for something else before it refused.
  reply.header("cache-control", "no-store").removeHeader("etag");
  return reply
    .code(problem.status)
    .type("application/problem+json; charset=utf-8")
    .serializer(String)
    .send(body);
}
