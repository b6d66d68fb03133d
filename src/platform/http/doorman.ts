import type { FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import { isId, type TenantId } from "../../kernel/ids.ts";
import type { Failure } from "../../kernel/result.ts";
import { type Authenticate, type Principal, permits } from "./principal.ts";
import { ProblemError, problemError, problemOf } from "./problem.ts";
import type { RateLimits } from "./rate-limit.ts";
import { guardBody } from "./request-guard.ts";
import { checkAccept, readBearer, readIdempotencyKey, readIfMatch } from "./request-headers.ts";
import type { Route } from "./route.ts";

/** What the doorman is given. */
export interface DoormanConfig {
  readonly authenticate: Authenticate;
  readonly failureStatuses: Readonly<Record<string, number>>;
  readonly rateLimits: RateLimits;
}

/** Stands before every operation: nothing of a body is read before it has said yes. */
export interface Doorman {
  /** The check of one operation: form, credential, permission, rate, headers. */
  admit(route: Route): onRequestAsyncHookHandler;
}

/** Makes a doorman. */
export function createDoorman(config: DoormanConfig): Doorman {
  return {
    admit(route) {
      const acceptsBody = takesBody(route);
      const check = headerCheck(route);
      return async (request, reply) => {
        guardBody(request.raw, acceptsBody);
        const refusal = await identify(config, route, request);
        const { principal } = request.call;
        // Guessing keys is counted as well; then it is refused.
        const counting = config.rateLimits.count(request, reply, { route, principal });
        // Most requests are counted without asking anybody: no turn of the event loop for them.
        if (counting instanceof Promise) await counting;
        if (refusal) throw refusal;
        if (principal) authorise(route, principal);
        check(request);
        if (route.isExport && principal) await config.rateLimits.enterExport(reply, principal);
      };
    },
  };
}

function takesBody(route: Route): boolean {
  if (route.rawBody || route.schemas.body) return true;
  return route.method !== "GET" && route.method !== "DELETE";
}

/** Finds out who asks. @returns why the credential is refused, if it is. @throws ProblemError */
async function identify(
  config: DoormanConfig,
  route: Route,
  request: FastifyRequest,
): Promise<ProblemError | undefined> {
  const { call } = request;
  if (route.access === "public") return undefined;
  const token = readBearer(request.headers);
  const onBehalfOf = readTenant(request);
  if (token === undefined) return unauthenticated("auth.required");
  const answer = config.authenticate(onBehalfOf ? { token, onBehalfOf } : { token });
  // Most credentials are answered from a cache: no turn of the event loop for them.
  const outcome = answer instanceof Promise ? await answer : answer;
  if (!outcome.ok) return refusalOf(config, outcome.failure);
  call.principal = outcome.value;
  return undefined;
}

function refusalOf(config: DoormanConfig, failure: Failure): ProblemError {
  if (failure.code === "auth.invalid_credential") return unauthenticated("auth.invalid_credential");
  return new ProblemError(problemOf(failure, config.failureStatuses[failure.code] ?? 403));
}

/** Who a route is for, from its access and permission. @throws ProblemError 403 */
function authorise(route: Route, principal: Principal): void {
  const { access, permission } = route;
  if (access === "operator") {
    if (principal.kind !== "operator")
      throw forbidden("this is for the operator of the deployment");
    return;
  }
  if (principal.tenantId === undefined) {
    throw forbidden("name the brand to act for in the header BrandOS-Tenant");
  }
  if (principal.kind === "publishable") {
    // A publishable key is in every shopper's browser: it opens what is open to shoppers.
    if (access !== "publishable") throw forbidden("this needs a secret key");
    return;
  }
  if (permission !== undefined && !permits(principal.permissions, permission)) {
    throw forbidden(`this needs the permission ${permission}`);
  }
}

function forbidden(detail: string): ProblemError {
  return problemError("auth.forbidden", { detail });
}

function unauthenticated(code: "auth.required" | "auth.invalid_credential"): ProblemError {
  const challenge = code === "auth.required" ? "Bearer" : 'Bearer error="invalid_token"';
  return problemError(code, {}, { "www-authenticate": challenge });
}

function readTenant(request: FastifyRequest): TenantId | undefined {
  const given = request.headers["brandos-tenant"];
  if (given === undefined) return undefined;
  if (isId(given)) return given as TenantId;
  throw problemError("request.malformed", {
    detail: "BrandOS-Tenant is not the id of a tenant",
    errors: [{ parameter: "BrandOS-Tenant", detail: "is not a UUID" }],
  });
}

/** Checks of the headers that do not need the body. */
function headerCheck(route: Route): (request: FastifyRequest) => void {
  const unsafe = route.method !== "GET";
  const honoured = unsafe && route.idempotency !== "none" && route.access !== "operator";
  const answersJson = route.schemas.response !== undefined;
  return (request) => {
    const { headers } = request;
    if (answersJson) checkAccept(headers, ["application/json"]);
    if (headers["if-match"] !== undefined) readIfMatch(headers);
    if (!honoured) return;
    const key = readIdempotencyKey(headers);
    if (key === undefined && route.idempotency === "required") {
      throw problemError("request.idempotency_key_missing", {
        detail: "send an Idempotency-Key; a UUID per attempted purchase is a good one",
        errors: [{ parameter: "Idempotency-Key", detail: "is required" }],
      });
    }
    request.call.idempotencyKey = key;
  };
}
