import type { FastifyReply, FastifyRequest } from "fastify";
import { problemError } from "./problem.ts";
import { sendProblem } from "./respond.ts";

/** Requests being answered, oldest first. */
export interface InFlight {
  /** Adds a request; it leaves by itself. */
  enter(request: FastifyRequest, reply: FastifyReply): void;
  /** Takes one out early: its answer goes on, but nobody waits for it to end. */
  leave(request: FastifyRequest): void;
  readonly size: number;
  stop(): void;
}

/** How often requests that take too long are looked for, milliseconds: a timer each costs more. */
const sweepEveryMs = 250;

/**
 * Keeps the requests being answered, and answers 503 for those that take too long. Their work goes
 * on until it sees its signal; an answer that began to stream is left alone.
 */
export function createInFlight(handlerTimeoutMs: number): InFlight {
  const entered = new Map<FastifyRequest, FastifyReply>();
  const sweep = () => {
    const limit = performance.now() - handlerTimeoutMs;
    for (const [request, reply] of entered) {
      if (request.call.startedAt > limit) return;
      if (!reply.sent) refuse(request, reply);
    }
  };
  const sweeping = setInterval(sweep, sweepEveryMs);
  sweeping.unref();
  return {
    enter(request, reply) {
      entered.set(request, reply);
      // Comes after an answer, and also when the caller went away before it.
      reply.raw.once("close", () => entered.delete(request));
    },
    leave: (request) => void entered.delete(request),
    get size() {
      return entered.size;
    },
    stop: () => clearInterval(sweeping),
  };
}

function refuse(request: FastifyRequest, reply: FastifyReply): void {
  const { problem, headers } = problemError("server.deadline", { retryAfterSeconds: 1 });
  reply.headers(headers);
  sendProblem(request, reply, problem);
  request.call.abort?.abort(new Error("the request took too long"));
}
