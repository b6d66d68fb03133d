import type { FastifyReply, FastifyRequest } from "fastify";
import { createExpiries, type Expiry, systemTimers } from "../resilience/resilience.ts";
import { problemError } from "./problem.ts";
import { sendProblem } from "./respond.ts";

/** Requests being answered, oldest first. */
export interface InFlight {
  /** Adds a request; it leaves by itself. */
  enter(request: FastifyRequest, reply: FastifyReply): void;
  /** Takes one out early: its answer goes on, but nobody waits for it to end. */
  leave(request: FastifyRequest): void;
  readonly size: number;
}

/**
 * Keeps the requests being answered, and answers 503 for those whose deadline passes. Their work goes
 * on until it sees its signal; an answer that began to stream is left alone. All share one timer.
 */
export function createInFlight(): InFlight {
  const entered = new Map<FastifyRequest, Expiry>();
  const expiries = createExpiries(systemTimers);
  const leave = (request: FastifyRequest): void => {
    entered.get(request)?.remove();
    entered.delete(request);
  };
  return {
    enter(request, reply) {
      const due = () => {
        if (!reply.sent) refuse(request, reply);
      };
      entered.set(request, expiries.add(request.call.deadlineMs, due));
      // Comes after an answer, and also when the caller went away before it.
      reply.raw.once("close", () => leave(request));
    },
    leave,
    get size() {
      return entered.size;
    },
  };
}

function refuse(request: FastifyRequest, reply: FastifyReply): void {
  const { problem, headers } = problemError("server.deadline", { retryAfterSeconds: 1 });
  reply.headers(headers);
  sendProblem(request, reply, problem);
  request.call.abort?.abort(new Error("the request took too long"));
}
