/** How calls are repeated when the server is busy or out of reach. */
export interface RetryOptions {
  /** Attempts at most, the first included; default 4. */
  readonly attemptsMax?: number;
  /** Wait before the second attempt, milliseconds; doubles each time; default 250. */
  readonly firstDelayMs?: number;
  /** Longest wait between attempts, milliseconds, `Retry-After` included; default 10,000. */
  readonly delayMaxMs?: number;
}

/** What {@link retryingFetch} needs of its surroundings. */
export interface RetryingFetchDeps {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly retry?: RetryOptions;
  /** Waits, or rejects when the signal aborts. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1, exclusive. */
  readonly random?: () => number;
  /** Makes idempotency keys; default: random UUIDs. */
  readonly newKey?: () => string;
}

const safe = new Set(["GET", "HEAD", "OPTIONS"]);
const passing = new Set([429, 503]);

/**
 * A `fetch` that tries again after 429, 503 and failures of the network, with backoff and jitter or
 * as long as `Retry-After` asks. Every unsafe call carries one `Idempotency-Key` over all of its
 * attempts, so that a repeated call takes effect once.
 */
export function retryingFetch(deps: RetryingFetchDeps): (request: Request) => Promise<Response> {
  const { fetch, sleep = sleepFor, random = Math.random } = deps;
  const newKey = deps.newKey ?? (() => crypto.randomUUID());
  const { attemptsMax = 4, firstDelayMs = 250, delayMaxMs = 10_000 } = deps.retry ?? {};
  const backoff = (attempt: number) =>
    Math.min(delayMaxMs, firstDelayMs * 2 ** (attempt - 1)) * (0.5 + random() / 2);
  return async (given) => {
    const request = safe.has(given.method) ? given : withKey(given, newKey);
    for (let attempt = 1; ; attempt++) {
      const last = attempt >= attemptsMax;
      let delayMs: number;
      try {
        const response = await fetch(last ? request : request.clone());
        if (last || !passing.has(response.status)) return response;
        const asked = retryAfterMs(response.headers.get("retry-after"));
        if (asked !== undefined && asked > delayMaxMs) return response;
        await response.body?.cancel();
        delayMs = asked ?? backoff(attempt);
      } catch (error) {
        if (last || request.signal.aborted) throw error;
        delayMs = backoff(attempt);
      }
      await sleep(delayMs, request.signal);
    }
  };
}

function withKey(request: Request, newKey: () => string): Request {
  if (request.headers.has("idempotency-key")) return request;
  const headers = new Headers(request.headers);
  headers.set("idempotency-key", newKey());
  return new Request(request, { headers });
}

/**
 * Reads `Retry-After`: seconds, or a date.
 *
 * @returns milliseconds from now; undefined without the header, or when it says nothing
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export function retryAfterMs(header: string | null, now = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** Waits. @throws the signal's reason when it aborts */
export function sleepFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
