import { setTimeout as pause } from "node:timers/promises";
import { bulkhead, isBulkheadRejectedError } from "cockatiel";
import { Agent, type Dispatcher } from "undici";
import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { Random } from "../../kernel/random.ts";
import { assertPublicUrl, publicLookup, type ResolveHost } from "./addresses.ts";
import { type BreakerReport, createBreakers, isBreakerOpen } from "./breakers.ts";
import { createRetryBudget } from "./budget.ts";
import { OutgoingError, toOutgoingError } from "./errors.ts";

export { isPublicAddress, type ResolveHost } from "./addresses.ts";
export type { BreakerReport } from "./breakers.ts";
export { OutgoingError, type OutgoingErrorCode } from "./errors.ts";

/** Stated limits of a client; each has a default. */
export interface OutgoingLimits {
  /** Longest one attempt may take, from the call to the last byte, milliseconds. */
  readonly timeoutMs: number;
  /** Longest a connection may take to be made, milliseconds. */
  readonly connectTimeoutMs: number;
  /** Calls under way at once. */
  readonly concurrencyMax: number;
  /** Calls that may wait for their turn; the next one is refused. */
  readonly queueMax: number;
  /** Attempts of one call at most, the first included; only calls that are safe to repeat get more than one. */
  readonly attemptsMax: number;
  readonly backoff: Backoff;
  /** Retries as a share of calls. */
  readonly retryRatio: number;
  /** Failures in a row of one origin that open its breaker. */
  readonly breakerThreshold: number;
  /** How long an open breaker refuses at once before it lets one call try, milliseconds. */
  readonly breakerOpenMs: number;
  /** Largest answer, bytes. */
  readonly responseBytesMax: number;
}

/** The limits of a client that names none. */
export const outgoingDefaults: OutgoingLimits = {
  timeoutMs: 5_000,
  connectTimeoutMs: 1_000,
  concurrencyMax: 64,
  queueMax: 256,
  attemptsMax: 3,
  backoff: { baseMs: 50, maxMs: 1_000 },
  retryRatio: 0.1,
  breakerThreshold: 5,
  breakerOpenMs: 1_000,
  responseBytesMax: 1024 * 1024,
};

/** How to make a client. */
export interface OutgoingConfig {
  /** Label in reports: `payments.simulator`. */
  readonly name: string;
  /**
   * `public` refuses every address that is not on the public Internet: for addresses that a user may
   * set. `any` is for addresses from the operator's own configuration.
   */
  readonly reach: "public" | "any";
  readonly limits?: Partial<OutgoingLimits>;
  readonly random?: Random;
  /** Replaces the system's resolver. */
  readonly resolveHost?: ResolveHost;
  readonly onCall?: (report: CallReport) => void;
  readonly onBreaker?: (report: BreakerReport) => void;
}

/** One attempt of one call, for observers. Neither path nor headers: they may carry secrets. */
export interface CallReport {
  readonly name: string;
  readonly origin: string;
  readonly method: string;
  readonly attempt: number;
  readonly elapsedMs: number;
  readonly status?: number;
  readonly error?: OutgoingError;
}

/** A call to make. */
export interface OutgoingRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Whether the call may be sent again after a failure; default: true for GET only. */
  readonly isRepeatable?: boolean;
  /** Shorter than the client's limit, milliseconds. */
  readonly timeoutMs?: number;
  /** Moment after which nobody waits, milliseconds of `performance.now()`. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An answer, whatever its status. Redirects are answers: they are not followed. */
export interface OutgoingResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

/** Makes calls that leave the process. */
export interface OutgoingClient {
  /** @throws OutgoingError when there is no answer */
  request(request: OutgoingRequest): Promise<OutgoingResponse>;
  /** State of the breaker of an origin. */
  breakerOf(origin: string): "closed" | "open" | "half_open";
  /** Ends every call under way and closes the connections; may be called twice. */
  stop(): Promise<void>;
}

/**
 * Makes a client: timeout, connection limit, bounded queue, retries within a budget, a breaker per
 * origin, bounded answers.
 */
export function createOutgoing(config: OutgoingConfig): OutgoingClient {
  const limits = { ...outgoingDefaults, ...config.limits };
  const agent = new Agent({
    connections: limits.concurrencyMax,
    pipelining: 1,
    connect: {
      timeout: limits.connectTimeoutMs,
      ...(config.reach === "public" ? { lookup: publicLookup(config.resolveHost) } : {}),
    },
  });
  const lanes = bulkhead(limits.concurrencyMax, limits.queueMax);
  const budget = createRetryBudget(limits.retryRatio, 10);
  const breakers = createBreakers(config.name, limits, config.onBreaker);
  const random = config.random ?? Math.random;
  const kit: Kit = { config, limits, agent };

  const once = async (call: Call, attempt: number): Promise<OutgoingResponse> => {
    const startedAt = performance.now();
    const { origin } = call.url;
    const report = { name: config.name, origin, method: call.request.method, attempt };
    try {
      const answer = await lanes.execute(() =>
        breakers.of(origin).execute(() => exchange(kit, call)),
      );
      const elapsedMs = performance.now() - startedAt;
      config.onCall?.({ ...report, elapsedMs, status: answer.status });
      return answer;
    } catch (cause) {
      const error = refusalOf(cause, config.name);
      config.onCall?.({ ...report, elapsedMs: performance.now() - startedAt, error });
      throw error;
    }
  };

  return {
    async request(request) {
      const url = new URL(request.url);
      if (config.reach === "public") assertPublicUrl(url);
      const call: Call = { request, url };
      const isRepeatable = request.isRepeatable ?? request.method === "GET";
      const attemptsMax = isRepeatable ? limits.attemptsMax : 1;
      budget.deposit();
      let last: Outcome | undefined;
      for (let attempt = 1; ; attempt++) {
        const outcome = await once(call, attempt).catch(asOutgoingError);
        // A repetition that found no time left knows less than the attempt before it.
        if (last && isOutOfTime(outcome, call)) return settle(last);
        last = outcome;
        if (!isWorthRetrying(outcome) || attempt >= attemptsMax) return settle(outcome);
        const waitMs = Math.max(
          retryAfterMs(outcome),
          fullJitter(limits.backoff, attempt - 1, random),
        );
        if (waitMs > remainingMs(call) || waitMs > limits.timeoutMs) return settle(outcome);
        if (!budget.withdraw()) return settle(outcome);
        const listen = request.signal ? { signal: request.signal } : {};
        await pause(waitMs, undefined, listen).catch((error) => {
          throw toOutgoingError(error, false);
        });
      }
    },
    breakerOf: (origin) => breakers.stateOf(origin),
    stop: () => agent.destroy(),
  };
}

interface Kit {
  readonly config: OutgoingConfig;
  readonly limits: OutgoingLimits;
  readonly agent: Agent;
}

interface Call {
  readonly request: OutgoingRequest;
  readonly url: URL;
}

type Outcome = OutgoingResponse | OutgoingError;

function isOutOfTime(outcome: Outcome, call: Call): boolean {
  const isAborted = outcome instanceof OutgoingError && outcome.code === "ERR_OUTGOING_ABORTED";
  return isAborted && call.request.signal?.aborted !== true && remainingMs(call) <= 0;
}

/** One request and its whole answer. */
async function exchange({ limits, agent }: Kit, call: Call): Promise<OutgoingResponse> {
  const { request, url } = call;
  const allowedMs = Math.min(request.timeoutMs ?? limits.timeoutMs, remainingMs(call));
  if (allowedMs <= 0) throw new OutgoingError("ERR_OUTGOING_ABORTED", "the deadline has passed");
  const expiry = AbortSignal.timeout(Math.ceil(allowedMs));
  const signal = request.signal ? AbortSignal.any([expiry, request.signal]) : expiry;
  try {
    const answer = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: request.method,
      signal,
      // The signal above bounds the whole exchange; these would only blur which limit was hit.
      headersTimeout: 0,
      bodyTimeout: 0,
      ...(request.headers ? { headers: { ...request.headers } } : {}),
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const body = await readBody(answer.body, limits.responseBytesMax);
    return { status: answer.statusCode, headers: answer.headers, body };
  } catch (error) {
    throw toOutgoingError(error, expiry.aborted && request.signal?.aborted !== true);
  }
}

async function readBody(body: Dispatcher.ResponseData["body"], bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) {
      body.destroy();
      throw new OutgoingError("ERR_OUTGOING_TOO_LARGE", `the answer exceeds ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refusalOf(cause: unknown, name: string): OutgoingError {
  if (isBulkheadRejectedError(cause)) {
    return new OutgoingError("ERR_OUTGOING_BUSY", `${name}: too many calls wait`, cause);
  }
  if (isBreakerOpen(cause)) {
    return new OutgoingError("ERR_OUTGOING_OPEN", `${name}: the circuit breaker is open`, cause);
  }
  return toOutgoingError(cause, false);
}

function asOutgoingError(error: unknown): OutgoingError {
  if (error instanceof OutgoingError) return error;
  throw error;
}

function settle(outcome: Outcome): OutgoingResponse {
  if (outcome instanceof OutgoingError) throw outcome;
  return outcome;
}

/** Failures that pass, and answers that ask to come back later. */
function isWorthRetrying(outcome: Outcome): boolean {
  if (!(outcome instanceof OutgoingError)) {
    return [429, 502, 503, 504].includes(outcome.status);
  }
  return (
    outcome.code === "ERR_OUTGOING_CONNECT" ||
    outcome.code === "ERR_OUTGOING_BROKEN" ||
    outcome.code === "ERR_OUTGOING_TIMEOUT"
  );
}

function retryAfterMs(outcome: Outcome): number {
  if (outcome instanceof OutgoingError) return 0;
  const seconds = Number(outcome.headers["retry-after"]);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
}

function remainingMs({ request }: Call): number {
  return (request.deadlineMs ?? Number.POSITIVE_INFINITY) - performance.now();
}
