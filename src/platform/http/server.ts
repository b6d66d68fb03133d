import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import compress from "@fastify/compress";
import cors from "@fastify/cors";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { assert } from "../../kernel/assert.ts";
import { createLimiter, createMemoryLimitStore, type Limiter } from "../limits/limits.ts";
import { acceptJson, acceptStreams } from "./body.ts";
import { createDoorman } from "./doorman.ts";
import { addEndpoint, type EndpointConfig } from "./endpoint.ts";
import { answerFault } from "./fault.ts";
import type { Health } from "./health.ts";
import { createInFlight, type InFlight } from "./in-flight.ts";
import { defaultHttpLimits, type HttpLimits } from "./limits.ts";
import type { LiveStreams } from "./live-streams.ts";
import { createThrottledLog, type HttpLog, silentLog } from "./log.ts";
import { type LoopDelay, watchLoopDelay } from "./loop-delay.ts";
import type { Metrics } from "./metrics.ts";
import { type OpenApiInfo, openApiOf } from "./openapi.ts";
import { addOperationsPages } from "./operations-pages.ts";
import { answerParseError } from "./parse-error.ts";
import type { Authenticate } from "./principal.ts";
import { platformProblems, problemError } from "./problem.ts";
import { createRateLimits } from "./rate-limit.ts";
import type { RequestCall } from "./request-call.ts";
import { guardRequest, ownPath } from "./request-guard.ts";
import { currentApiVersion, readRequestId, readTimeoutMs, readVersion } from "./request-headers.ts";
import { sendProblem } from "./respond.ts";
import type { Route } from "./route.ts";
import { addSites, type SitesConfig } from "./sites.ts";
import { newTally, repeatedStatements, type StatementScope } from "./statement-scope.ts";

/** What a server is made of. */
export interface HttpServerConfig {
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  /** Status of every failure of every route, the modules' tables put together. */
  readonly failureStatuses: Readonly<Record<string, number>>;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly info: OpenApiInfo;
  readonly limits?: Partial<HttpLimits>;
  /** Counts requests; whoever made it stops it. Default: one that counts in this process. */
  readonly limiter?: Limiter;
  /** Origins that browsers may call from; default: any (credentials are never cookies). */
  readonly corsOrigins?: "*" | readonly string[];
  /** Proxies in front whose X-Forwarded-For is believed, as CIDR ranges; default: none. */
  readonly trustedProxies?: readonly string[];
  /** Adds Server-Timing, and warns of statements that repeat within a request. */
  readonly development?: boolean;
  /** Counts statements per request; the same scope is given to `createDb`. */
  readonly scope?: StatementScope;
  readonly sites?: SitesConfig;
  /** Live streams to end when the server stops. */
  readonly streams?: LiveStreams;
  readonly log?: HttpLog;
}

/** A server, before and while it listens. */
export interface HttpServer {
  /** @param port 0 takes a free one */
  listen(at: {
    readonly port: number;
    readonly host?: string;
  }): Promise<{ readonly port: number; readonly url: string }>;
  /** The server underneath, for upgrades to WebSocket. */
  readonly raw: Server;
  /** Requests being answered. */
  inFlight(): number;
  /**
   * Stops in order: not ready, wait for balancers to see it, stop accepting, let requests finish.
   * May be called twice, and before `listen`.
   */
  close(drain?: Partial<DrainOptions>): Promise<void>;
}

/** How long the steps of a graceful stop take at most. */
export interface DrainOptions {
  /** Keep serving for so long after readiness says no, milliseconds; default 0. */
  readonly noticeMs: number;
  /** Cut off whoever is not done after so long, milliseconds; default 10,000. */
  readonly graceMs: number;
}

/** Makes a server from operations; it does not listen yet. */
export async function createHttpServer(config: HttpServerConfig): Promise<HttpServer> {
  const limits = { ...defaultHttpLimits, ...config.limits };
  const log = config.log ?? silentLog;
  checkRoutes(config);
  const app = openFastify(config, limits);
  const inFlight = createInFlight();
  const loop = watchLoopDelay();
  const state = { draining: false };
  addLifecycle(app, { config, limits, inFlight, loop, log, state });
  addFaults(app, config.routes, log);
  await app.register(cors, {
    origin:
      config.corsOrigins === undefined || config.corsOrigins === "*"
        ? "*"
        : [...config.corsOrigins],
    exposedHeaders: [
      "ETag",
      "Retry-After",
      "X-Request-Id",
      "BrandOS-Version",
      "RateLimit",
      "RateLimit-Policy",
    ],
    maxAge: 7_200,
  });
  await app.register(compress, {
    threshold: 2_048,
    globalDecompression: false,
    encodings: ["br", "gzip"],
  });
  addEndpoints(app, config, { limits, log, inFlight });
  const document = openApiOf(config.routes, config.failureStatuses, config.info);
  await addOperationsPages(app, { ...config, document });
  if (config.sites) await addSites(app, config.sites);
  config.metrics.watch("brandos_http_in_flight", "Requests being answered.", () => inFlight.size);
  config.metrics.watch(
    "brandos_event_loop_delay_ms",
    "Mean delay of the event loop.",
    () => loop.meanMs,
  );
  await app.ready();
  return serving(app, { inFlight, loop, config, state });
}

/** A mistake in the table of routes is found at start, not by a caller. */
function checkRoutes(config: HttpServerConfig): void {
  const operations = new Set<string>();
  for (const route of config.routes) {
    assert(!operations.has(route.operationId), `operation ${route.operationId} is unique`);
    operations.add(route.operationId);
    for (const code of route.failures ?? []) {
      const known = code in config.failureStatuses || code in platformProblems;
      assert(known, `${route.operationId}: failure ${code} has an HTTP status`);
    }
  }
}

function openFastify(config: HttpServerConfig, limits: HttpLimits): FastifyInstance {
  return fastify({
    logger: false,
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    forceCloseConnections: "idle",
    // A request that arrives while draining is answered and its connection closed, not refused.
    return503OnClosing: false,
    trustProxy: config.trustedProxies ? [...config.trustedProxies] : false,
    http: {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      // Node looks for slow senders only so often; by default twice a minute.
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
    },
    routerOptions: { maxParamLength: limits.parameterCharsMax, ignoreTrailingSlash: false },
    // A server has to take absolute targets about itself; the guard refuses those about others.
    rewriteUrl: (request) => ownPath(request.url ?? "/", request.headers.host),
    clientErrorHandler: answerParseError,
    frameworkErrors: (error, request, reply) => {
      void sendProblem(
        request as FastifyRequest,
        reply as FastifyReply,
        answerFault(error).problem,
      );
    },
  });
}

interface Lifecycle {
  readonly config: HttpServerConfig;
  readonly limits: HttpLimits;
  readonly inFlight: InFlight;
  readonly loop: LoopDelay;
  readonly log: HttpLog;
  readonly state: { draining: boolean };
}

/** What happens around every request, in the order it happens. */
function addLifecycle(app: FastifyInstance, lifecycle: Lifecycle): void {
  const { config, limits, state } = lifecycle;
  app.decorateRequest("call");
  const counts = config.scope !== undefined;
  app.addHook("onRequest", (request, reply, done) => {
    request.call = newCall(request, counts, limits.handlerTimeoutMs);
    reply.header("x-request-id", request.call.requestId);
    reply.header("brandos-version", currentApiVersion);
    reply.header("x-content-type-options", "nosniff");
    reply.header("referrer-policy", "no-referrer");
    // Pages set a policy of their own; what is no page must not become one.
    reply.header("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    reply.header("cache-control", "no-store");
    if (state.draining) reply.header("connection", "close");
    try {
      guardRequest(request.raw);
      readVersion(request.headers);
      shortenDeadline(request);
      admit(request, reply, lifecycle);
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  });
  if (config.development) {
    app.addHook("onSend", (request, reply, _payload, done) => {
      reply.header("server-timing", serverTiming(request));
      done();
    });
  }
  app.addHook("onResponse", (request, reply, done) => {
    finish(request, reply, lifecycle);
    done();
  });
}

/** The caller may wait for less than the server would, never for more. */
function shortenDeadline({ call, headers }: FastifyRequest): void {
  const timeoutMs = readTimeoutMs(headers) ?? Number.POSITIVE_INFINITY;
  call.deadlineMs = Math.min(call.deadlineMs, call.startedAt + timeoutMs);
}

function newCall(request: FastifyRequest, counts: boolean, handlerTimeoutMs: number): RequestCall {
  const startedAt = performance.now();
  return {
    requestId: readRequestId(request.headers),
    startedAt,
    deadlineMs: startedAt + handlerTimeoutMs,
    tally: counts ? newTally() : undefined,
    principal: undefined,
    idempotencyKey: undefined,
    rawBody: undefined,
    abort: undefined,
  };
}

/** Refuses what could only be answered too late. Probes and figures are answered however busy it is. */
function admit(request: FastifyRequest, reply: FastifyReply, lifecycle: Lifecycle): void {
  if (request.routeOptions.config.exempt === true) return;
  const { limits, inFlight, loop } = lifecycle;
  const late = limits.loopDelayMaxMs > 0 && loop.meanMs > limits.loopDelayMaxMs;
  if (late || inFlight.size >= limits.inFlightMax) {
    throw problemError("server.overloaded", { retryAfterSeconds: 1 });
  }
  inFlight.enter(request, reply);
}

function finish(request: FastifyRequest, reply: FastifyReply, { config, log }: Lifecycle): void {
  const { startedAt, tally, requestId } = request.call;
  const route = request.routeOptions.url ?? "none";
  const seconds = (performance.now() - startedAt) / 1000;
  config.metrics.request(route, request.method, reply.statusCode, seconds);
  if (!config.development || !tally) return;
  for (const [statement, count] of repeatedStatements(tally)) {
    const fields = { requestId, route, statement, count };
    log.warn(fields, "a statement repeats within one request: make it set-based");
  }
}

function serverTiming(request: FastifyRequest): string {
  const { startedAt, tally } = request.call;
  const total = `total;dur=${(performance.now() - startedAt).toFixed(1)}`;
  if (!tally) return total;
  return `db;dur=${tally.elapsedMs.toFixed(1)};desc="${tally.statements} statements", ${total}`;
}

/** Everything that is not a success becomes a problem document here. */
function addFaults(app: FastifyInstance, routes: readonly Route[], log: HttpLog): void {
  const tellBusy = createThrottledLog(log);
  app.setErrorHandler((error, request, reply) => {
    const { problem, headers, severity } = answerFault(error);
    const { requestId } = request.call;
    const route = request.routeOptions.url;
    const fields = { requestId, method: request.method, route, err: error };
    if (severity === "fault" || severity === "bug") log.error(fields, "a request broke");
    else if (severity === "busy") tellBusy(problem.code, fields);
    reply.headers(headers);
    return sendProblem(request, reply, problem);
  });
  const methodsOf = createMethodIndex(routes);
  app.setNotFoundHandler((request) => {
    const path = request.raw.url?.split("?")[0] ?? "/";
    const allowed = methodsOf(path);
    if (allowed.length === 0) throw problemError("request.not_found");
    const allow = allowed.join(", ");
    throw problemError(
      "request.method_not_allowed",
      { detail: `allowed here: ${allow}` },
      { allow },
    );
  });
}

/** Which methods a path answers to; asked only when none matched. */
function createMethodIndex(routes: readonly Route[]): (path: string) => readonly string[] {
  const index = routes.map((route) => {
    const pattern = route.path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, "[^/]+");
    return { method: route.method, pattern: new RegExp(`^${pattern}$`) };
  });
  return (path) => {
    const found = index.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
    if (found.length === 0) return [];
    const methods = new Set<string>([...found, "OPTIONS"]);
    if (methods.has("GET")) methods.add("HEAD");
    return [...methods].toSorted();
  };
}

function addEndpoints(
  app: FastifyInstance,
  config: HttpServerConfig,
  { limits, log, inFlight }: Pick<Lifecycle, "limits" | "log" | "inFlight">,
): void {
  const { authenticate, failureStatuses, scope } = config;
  const limiter = config.limiter ?? createLimiter({ store: createMemoryLimitStore() });
  const rateLimits = createRateLimits(limiter, limits, config.metrics);
  const doorman = createDoorman({ authenticate, failureStatuses, rateLimits });
  const shared: EndpointConfig = { limits, failureStatuses, doorman, scope, log, inFlight };
  app.register(async (json) => {
    acceptJson(json);
    for (const route of config.routes) if (!route.rawBody) addEndpoint(json, route, shared);
  });
  app.register(async (streams) => {
    acceptStreams(streams);
    for (const route of config.routes) if (route.rawBody) addEndpoint(streams, route, shared);
  });
}

interface Serving {
  readonly inFlight: InFlight;
  readonly loop: LoopDelay;
  readonly config: HttpServerConfig;
  readonly state: { draining: boolean };
}

const idleSweepMs = 20;

function serving(app: FastifyInstance, { inFlight, loop, config, state }: Serving): HttpServer {
  let closing: Promise<void> | undefined;
  const close = async ({ noticeMs = 0, graceMs = 10_000 }: Partial<DrainOptions>) => {
    config.health.markDraining();
    state.draining = true;
    if (noticeMs > 0) await new Promise((resolve) => setTimeout(resolve, noticeMs));
    // Listeners come back at once, to a node that stays.
    config.streams?.closeAll();
    const cut = setTimeout(() => app.server.closeAllConnections(), graceMs);
    // A connection that falls idle while we wait is closed, not kept alive.
    const sweep = setInterval(() => app.server.closeIdleConnections(), idleSweepMs);
    await app.close();
    clearInterval(sweep);
    clearTimeout(cut);
    loop.stop();
  };
  return {
    raw: app.server,
    inFlight: () => inFlight.size,
    async listen({ port, host = "127.0.0.1" }) {
      await app.listen({ port, host });
      const address = app.server.address() as AddressInfo;
      const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
      return { port: address.port, url: `http://${name}:${address.port}` };
    },
    close(drain = {}) {
      closing ??= close(drain);
      return closing;
    },
  };
}
