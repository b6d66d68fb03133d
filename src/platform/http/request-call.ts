import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Context, IdempotencyClaim } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Principal } from "./principal.ts";
import type { StatementTally } from "./statement-scope.ts";

/** What the server knows of one request while it answers it. */
export interface RequestCall {
  readonly requestId: string;
  readonly traceparent: string;
  /** Moment of `performance.now()`. */
  readonly startedAt: number;
  readonly tally: StatementTally | undefined;
  principal: Principal | undefined;
  /** Whom the rate limit counts. */
  limitKey: string;
  idempotencyKey: string | undefined;
  /** Bytes of the body, kept only while a key needs them for its fingerprint. */
  rawBody: Buffer | undefined;
  /** Whether load shedding counts it as in flight. */
  admitted: boolean;
}

declare module "fastify" {
  interface FastifyRequest {
    call: RequestCall;
  }
}

/** The tenant of those who have none; row-level security shows them nothing. */
export const noTenant = "00000000-0000-0000-0000-000000000000" as TenantId;

const anonymous = { kind: "system", id: "anonymous" } as const;

/**
 * Builds what commands are told about their caller.
 *
 * @param operation what an idempotency key belongs to: `POST /v1/orders`
 * @param handlerTimeoutMs how long the answer may take
 */
export function contextOf(
  request: FastifyRequest,
  operation: string,
  handlerTimeoutMs: number,
): Context {
  const { call } = request;
  const { principal } = call;
  const base = {
    tenantId: principal?.tenantId ?? noTenant,
    actor: principal?.actor ?? anonymous,
    requestId: call.requestId,
    traceparent: call.traceparent,
    deadlineMs: call.startedAt + handlerTimeoutMs,
    get signal(): AbortSignal {
      return request.signal;
    },
  };
  const claim = claimOf(request, operation);
  // A spread would call the getter and make a controller for every request.
  return claim
    ? Object.defineProperty(base, "idempotency", { value: claim, enumerable: true })
    : base;
}

function claimOf(request: FastifyRequest, operation: string): IdempotencyClaim | undefined {
  const { idempotencyKey: key, principal, rawBody } = request.call;
  if (key === undefined || principal === undefined) return undefined;
  const hash = createHash("sha256")
    .update(request.raw.url ?? "")
    .update("\0");
  if (rawBody) hash.update(rawBody);
  else hash.update(request.headers["content-length"] ?? "");
  return { key, principal: principal.actor.id, route: operation, fingerprint: hash.digest("hex") };
}
