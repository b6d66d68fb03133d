import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Context, IdempotencyClaim } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Principal } from "./principal.ts";
import { readTraceparent } from "./request-headers.ts";
import type { StatementTally } from "./statement-scope.ts";

/** What the server knows of one request while it answers it. */
export interface RequestCall {
  readonly requestId: string;
  /** Moment of `performance.now()`. */
  readonly startedAt: number;
  /** When the answer is due, moment of `performance.now()`: the server's limit, or the caller's shorter one. */
  deadlineMs: number;
  readonly tally: StatementTally | undefined;
  principal: Principal | undefined;
  idempotencyKey: string | undefined;
  /** Bytes of the body, kept only while a key needs them for its fingerprint. */
  rawBody: Buffer | undefined;
  /** Made when somebody asks for the context's signal. */
  abort: AbortController | undefined;
}

declare module "fastify" {
  interface FastifyRequest {
    call: RequestCall;
  }
}

/** The tenant of those who have none; row-level security shows them nothing. */
export const noTenant = "00000000-0000-0000-0000-000000000000" as TenantId;

const anonymous = { kind: "system", id: "anonymous" } as const;

/** What a context is made from. */
export interface ContextSource {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** What an idempotency key belongs to: `POST /v1/orders`. */
  readonly operation: string;
}

/** Builds what commands are told about their caller; what few ask for is made when asked for. */
export function contextOf(source: ContextSource): Context {
  const { request, reply, operation } = source;
  const { call } = request;
  const { principal } = call;
  let traceparent: string | undefined;
  const base = {
    tenantId: principal?.tenantId ?? noTenant,
    actor: principal?.actor ?? anonymous,
    requestId: call.requestId,
    deadlineMs: call.deadlineMs,
    get traceparent(): string {
      traceparent ??= readTraceparent(request.headers);
      return traceparent;
    },
    get signal(): AbortSignal {
      call.abort ??= abortWhenGone(reply);
      return call.abort.signal;
    },
  };
  const claim = claimOf(request, operation);
  // Not by a spread, which would call the getters.
  return claim
    ? Object.defineProperty(base, "idempotency", { value: claim, enumerable: true })
    : base;
}

/**
 * Aborts when the connection closes before the answer is out. Fastify's `request.signal` listens to
 * the request instead, which closes as soon as a body has been read.
 */
function abortWhenGone(reply: FastifyReply): AbortController {
  const controller = new AbortController();
  const gone = () => {
    if (!reply.raw.writableFinished) controller.abort(new Error("the caller went away"));
  };
  if (reply.raw.destroyed) gone();
  else reply.raw.once("close", gone);
  return controller;
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
