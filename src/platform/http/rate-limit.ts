import "@fastify/rate-limit";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { problemError } from "./problem.ts";

/** Counts a request against its caller. Rejects with a ProblemError request.rate_limited. */
export type RateLimiter = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

/** One limit. */
export interface RateLimitPolicy {
  /** Name in the headers: `credential`, `address`. */
  readonly name: string;
  /** Requests a minute; 0 is no limit. */
  readonly perMinute: number;
}

const windowMs = 60_000;

/**
 * Makes a limiter of fixed one-minute windows, counted in this process by `request.call.limitKey`.
 *
 * Answers carry `RateLimit` and `RateLimit-Policy`.
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
export function createRateLimiter(
  app: FastifyInstance,
  { name, perMinute }: RateLimitPolicy,
): RateLimiter | undefined {
  if (perMinute === 0) return undefined;
  const take = app.createRateLimit({
    max: perMinute,
    timeWindow: windowMs,
    keyGenerator: (request) => request.call.limitKey,
  });
  const policy = `"${name}";q=${perMinute};w=${windowMs / 1000}`;
  return async (request, reply) => {
    const taken = await take(request);
    if (taken.isAllowed) return;
    const { remaining, ttlInSeconds, isExceeded } = taken;
    reply.header("ratelimit-policy", policy);
    reply.header("ratelimit", `"${name}";r=${remaining};t=${ttlInSeconds}`);
    if (!isExceeded) return;
    throw problemError("request.rate_limited", {
      detail: `the limit of ${perMinute} requests a minute is used up`,
      retryAfterSeconds: Math.max(1, ttlInSeconds),
    });
  };
}
