import { Agent, type Dispatcher } from "undici";
import type { Backoff } from "../../kernel/backoff.ts";
import type { Random } from "../../kernel/random.ts";
import {
  type Call,
  compose,
  createBulkhead,
  createHedge,
  createRetry,
  createTally,
  createTimeout,
  type DependencyFigures,
  doorOf,
  type HedgeLimits,
  type OnResilienceEvent,
  openCall,
  type Work,
} from "../resilience/resilience.ts";
import { assertPublicUrl, publicLookup, type ResolveHost } from "./addresses.ts";
import { type BreakerReport, createBreakers } from "./breakers.ts";
import { classifyAnswer, classifyOutgoing, retryAfterMs } from "./classify.ts";
import { OutgoingError, toOutgoingError } from "./errors.ts";

export { isPublicAddress, type ResolveHost } from "./addresses.ts";
export type { BreakerReport } from "./breakers.ts";
export { OutgoingError, type OutgoingErrorCode } from "./errors.ts";

/** How long the caller waits, milliseconds: the deadline as it travels. */
export const timeoutHeader = "brandos-timeout-ms";

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
  /** The same after it failed again and again. */
  readonly breakerOpenMaxMs: number;
  /** Second attempts beside slow ones, of calls that are safe to repeat; default: none. */
  readonly hedge?: Partial<HedgeLimits>;
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
  breakerOpenMaxMs: 2_000,
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
  /** Whether peers are told how long anybody waits: `BrandOS-Timeout-Ms`; default false. */
  readonly tellsTimeout?: boolean;
  readonly random?: Random;
  /** Replaces the system's resolver. */
  readonly resolveHost?: ResolveHost;
  readonly onCall?: (report: CallReport) => void;
  readonly onBreaker?: (report: BreakerReport) => void;
  readonly onEvent?: OnResilienceEvent;
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
  /** What happened to its calls so far. */
  figures(): DependencyFigures;
  /** State of the breaker of an origin. */
  breakerOf(origin: string): "closed" | "open" | "half_open";
  /** Ends every call under way and closes the connections; may be called twice. */
  stop(): Promise<void>;
}

/**
 * Makes a client: timeout, connection limit, bounded queue, retries within a budget, a breaker per
 * origin, bounded answers. From the outside the layers are retry, hedge, breaker and queue, timeout.
 */
export function createOutgoing(config: OutgoingConfig): OutgoingClient {
  const limits = { ...outgoingDefaults, ...config.limits };
  const { name, random = Math.random } = config;
  const agent = openAgent(config, limits);
  const tally = createTally(name);
  const onEvent: OnResilienceEvent = (event) => {
    tally.onEvent(event);
    config.onEvent?.(event);
  };
  const ambient = { name, random, onEvent };
  const breakers = createBreakers(name, limits, onEvent, config.onBreaker);
  const time = createTimeout({ timeoutMs: limits.timeoutMs, ...ambient });
  const lanes = createBulkhead({ ...limits, ...ambient });
  const retry = createRetry({
    ...ambient,
    attemptsMax: limits.attemptsMax,
    backoff: limits.backoff,
    pauseMaxMs: limits.timeoutMs,
    ratio: limits.retryRatio,
    classify: classifyOutgoing,
    classifyAnswer,
    retryAfterMs,
  });
  const again = limits.hedge ? compose(retry, createHedge({ ...limits.hedge, ...ambient })) : retry;
  const once = (request: OutgoingRequest, url: URL): Work<OutgoingResponse> => {
    const breaker = breakers.of(url.origin);
    const guarded = compose(doorOf(breaker, ambient), lanes, breaker);
    const work: Work<OutgoingResponse> = (call) =>
      exchange({ config, limits, agent, request, url }, call);
    return reporting(config, { request, url }, (call) =>
      guarded.run((part) => time.run(work, part, request.timeoutMs), call),
    );
  };
  return {
    async request(request) {
      const url = new URL(request.url);
      if (config.reach === "public") assertPublicUrl(url);
      tally.call();
      const { isRepeatable = request.method === "GET", deadlineMs, signal } = request;
      try {
        return await again.run(once(request, url), openCall({ isRepeatable, deadlineMs, signal }));
      } catch (error) {
        throw toOutgoingError(error);
      }
    },
    figures: () => tally.figures(breakers.worst()),
    breakerOf: (origin) => breakers.stateOf(origin),
    stop: () => agent.destroy(),
  };
}

function openAgent(config: OutgoingConfig, limits: OutgoingLimits): Agent {
  return new Agent({
    connections: limits.concurrencyMax,
    pipelining: 1,
    connect: {
      timeout: limits.connectTimeoutMs,
      ...(config.reach === "public" ? { lookup: publicLookup(config.resolveHost) } : {}),
    },
  });
}

interface Asked {
  readonly request: OutgoingRequest;
  readonly url: URL;
}

/** Tells observers about each attempt. */
function reporting(
  { name, onCall }: OutgoingConfig,
  { request, url }: Asked,
  work: Work<OutgoingResponse>,
): Work<OutgoingResponse> {
  if (!onCall) return work;
  return async (call) => {
    const startedAt = performance.now();
    const report = { name, origin: url.origin, method: request.method, attempt: call.attempt };
    try {
      const answer = await work(call);
      onCall({ ...report, elapsedMs: performance.now() - startedAt, status: answer.status });
      return answer;
    } catch (cause) {
      const error = toOutgoingError(cause);
      onCall({ ...report, elapsedMs: performance.now() - startedAt, error });
      throw cause;
    }
  };
}

interface Exchange extends Asked {
  readonly config: OutgoingConfig;
  readonly limits: OutgoingLimits;
  readonly agent: Agent;
}

/** One request and its whole answer. */
async function exchange(
  { config, limits, agent, request, url }: Exchange,
  call: Call,
): Promise<OutgoingResponse> {
  const headers = {
    ...request.headers,
    // An interval, not a moment: two machines agree about how long a second is.
    ...(config.tellsTimeout ? { [timeoutHeader]: String(Math.ceil(call.remainingMs())) } : {}),
  };
  try {
    const answer = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: request.method,
      signal: call.signal,
      // The signal above bounds the whole exchange; these would only blur which limit was hit.
      headersTimeout: 0,
      bodyTimeout: 0,
      headers,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const body = await readBody(answer.body, limits.responseBytesMax);
    return { status: answer.statusCode, headers: answer.headers, body };
  } catch (error) {
    throw toOutgoingError(error);
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
