import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import { present } from "../../kernel/assert.ts";
import { wasHonoured } from "../idempotency/unit-of-work.ts";
import { limited } from "./body.ts";
import type { Doorman } from "./doorman.ts";
import type { InFlight } from "./in-flight.ts";
import type { HttpLimits } from "./limits.ts";
import type { HttpLog } from "./log.ts";
import { type ProblemPart, platformProblems, problemError, problemOf } from "./problem.ts";
import { contextOf } from "./request-call.ts";
import { noneMatch, readIfMatch } from "./request-headers.ts";
import { sendProblem } from "./respond.ts";
import { serialisable } from "./response-schema.ts";
import type { Route, RouteReply, RouteRequest, RouteSchemas } from "./route.ts";
import type { StatementScope } from "./statement-scope.ts";
import {
  compilePart,
  type ParameterReader,
  type PartValidator,
  parameterReader,
  unclearParameters,
} from "./validation.ts";

/** What all endpoints of a server share. */
export interface EndpointConfig {
  readonly limits: HttpLimits;
  readonly failureStatuses: Readonly<Record<string, number>>;
  readonly doorman: Doorman;
  readonly scope: StatementScope | undefined;
  readonly log: HttpLog;
  readonly inFlight: InFlight;
}

/** Puts one operation on a server. */
export function addEndpoint(app: FastifyInstance, route: Route, config: EndpointConfig): void {
  const answer = createAnswer(route, config);
  const options: RouteOptions = {
    method: route.method,
    url: fastifyPath(route.path),
    bodyLimit: route.rawBody
      ? Number.MAX_SAFE_INTEGER
      : (route.bodyBytesMax ?? config.limits.bodyBytesMax),
    onRequest: config.doorman.admit(route),
    handler: (request, reply) => {
      const { tally } = request.call;
      if (!config.scope || !tally) return answer(request, reply);
      return config.scope.run(tally, () => answer(request, reply));
    },
  };
  if (route.schemas.response) {
    options.schema = { response: { "2xx": serialisable(route.schemas.response) } };
  }
  app.route(options);
}

/** `/v1/orders/{id}` as the router wants it; a colon is a character of its own there. */
export function fastifyPath(path: string): string {
  return path.replaceAll(":", "::").replace(/\{(\w+)\}/g, ":$1");
}

function createAnswer(route: Route, config: EndpointConfig) {
  const parse = createParser(route, config.limits);
  const operation = `${route.method} ${route.path}`;
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const parts = parse(request);
    const { call } = request;
    const ctx = contextOf({ request, reply, operation });
    const ifMatch = readIfMatch(request.headers);
    if (ifMatch === undefined && route.ifMatch === "required") {
      throw problemError("request.version_required", {
        detail: 'send the version you have seen as If-Match: "<version>"',
      });
    }
    const given: RouteRequest<RouteSchemas> = {
      ctx,
      ...parts,
      ip: request.ip,
      header: (name) => headerOf(request, name),
      ...(ifMatch === undefined ? {} : { ifMatch }),
      ...(call.principal ? { principal: call.principal } : {}),
    };
    const result = await route.handle(given);
    if (result.ok && ctx.idempotency && !wasHonoured(ctx.idempotency)) {
      config.log.warn({ operation }, "this operation ignored its Idempotency-Key");
    }
    // It took too long and was answered for.
    if (reply.sent) return reply;
    if (result.ok) {
      // A live view stays for hours: it is not work that must be done soon.
      const live = result.value.stream?.contentType.startsWith("text/event-stream") === true;
      if (live) config.inFlight.leave(request);
      return sendReply(request, reply, result.value);
    }
    const { failure } = result;
    const status = config.failureStatuses[failure.code] ?? platformStatus(failure.code);
    if (status !== undefined) {
      if (status === 503 || failure.code === "idempotency.in_flight")
        reply.header("retry-after", "1");
      return sendProblem(request, reply, problemOf(failure, status));
    }
    throw new Error(`${operation} refused with ${failure.code}, which has no HTTP status`);
  };
}

function platformStatus(code: string): number | undefined {
  return (platformProblems as Readonly<Record<string, readonly [number, string]>>)[code]?.[0];
}

type Parts = Pick<RouteRequest<RouteSchemas>, "params" | "query" | "body" | "rawBody">;

interface ParameterPart {
  readonly read: ParameterReader;
  readonly validator: PartValidator;
}

/** Reads and checks path, query and body; all faults of one part are told together. */
function createParser(route: Route, limits: HttpLimits): (request: FastifyRequest) => Parts {
  const { params, query, body } = route.schemas;
  const paramsPart = params && {
    read: parameterReader(params),
    validator: compilePart(params, "parameter"),
  };
  const queryPart = query && {
    read: parameterReader(query),
    validator: compilePart(query, "parameter"),
  };
  const bodyPart = body && compilePart(body, "body");
  const bytesMax = route.bodyBytesMax ?? limits.bodyBytesMax;
  return (request) => {
    const parts: { -readonly [Part in keyof Parts]: unknown } = {
      params: readParameters(paramsPart, request.params as Record<string, unknown>),
      query: readParameters(queryPart, request.query as Record<string, unknown>),
      body: undefined,
    };
    if (route.rawBody) {
      parts.rawBody = limited(
        (request.body as Readable | undefined) ?? Readable.from([]),
        bytesMax,
      );
    } else if (bodyPart) {
      refuseIf(bodyPart.check(request.body));
      parts.body = request.body;
    } else if (request.body !== undefined && !isEmptyObject(request.body)) {
      refuseIf([{ pointer: "", detail: "this operation takes no body" }]);
    }
    return parts as Parts;
  };
}

function readParameters(part: ParameterPart | undefined, raw: Record<string, unknown>): unknown {
  const unclear = unclearParameters(raw);
  refuseIf(unclear.map((parameter) => ({ parameter, detail: "has a NUL or a lone surrogate" })));
  if (!part) {
    refuseIf(Object.keys(raw).map((parameter) => ({ parameter, detail: "is not a known field" })));
    return undefined;
  }
  const values = part.read(raw);
  refuseIf(part.validator.check(values));
  return values;
}

function refuseIf(errors: readonly ProblemPart[]): void {
  if (errors.length === 0) return;
  const [first] = errors;
  const place = present(first, "a fault").pointer ?? first?.parameter ?? "";
  const detail = `${place || "the request"} ${first?.detail}`;
  throw problemError("request.invalid", { detail, errors: errors.slice(0, 20) });
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function sendReply(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: RouteReply,
): Promise<FastifyReply> {
  const { version, stream, body, headers } = answer;
  if (version !== undefined) {
    reply.header("etag", `"${version}"`).header("cache-control", "private, no-cache");
    const safe = request.method === "GET" || request.method === "HEAD";
    if (safe && noneMatch(request.headers["if-none-match"], version)) return reply.code(304).send();
  }
  if (headers) reply.headers(headers);
  if (stream) {
    const body = await begun(stream.body);
    if (reply.sent) return reply;
    reply.code(answer.status ?? 200).type(stream.contentType);
    // A Readable over an async iterable asks for the next chunk only when there is room.
    return reply.send(Readable.from(body, { objectMode: false }));
  }
  reply.code(answer.status ?? (body === undefined ? 204 : 200));
  return body === undefined ? reply.send() : reply.send(body);
}

type Chunk = string | Uint8Array;

/** A stream whose first chunk has come: what fails before it is still answered with a problem. */
async function begun(body: AsyncIterable<Chunk>): Promise<AsyncIterable<Chunk>> {
  const chunks = body[Symbol.asyncIterator]();
  const first = await chunks.next();
  return (async function* () {
    try {
      if (first.done) return;
      yield first.value;
      yield* { [Symbol.asyncIterator]: () => chunks };
    } finally {
      // Whoever stops reading before the second chunk stops the source as well.
      await chunks.return?.();
    }
  })();
}
