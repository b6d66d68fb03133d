import createFetchClient, { type Client } from "openapi-fetch";
import { type RetryOptions, retryingFetch } from "./retry.ts";
import type { components, paths } from "./schema.d.ts";
import { followEvents, type ServerSentEvent } from "./sse.ts";

export { iterate, type Page } from "./pages.ts";
export { type Answer, type Problem, ProblemError, type ProblemPart, take } from "./problem.ts";
export { type RetryOptions, retryAfterMs } from "./retry.ts";
export type { ServerSentEvent } from "./sse.ts";
export type { components, paths };

/** How to reach the server, and as whom. */
export interface ClientOptions {
  /** `https://shop.example.com`; in a browser, the page's own origin by default. */
  readonly baseUrl?: string;
  /** Secret, publishable or operator key. Without one only public operations answer. */
  readonly key?: string;
  /** Id of the brand an operator's key acts for. */
  readonly tenantId?: string;
  readonly retry?: RetryOptions;
  /** Default: the global `fetch`. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** How to follow events. */
export interface StreamOptions {
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Only events of this type. */
  readonly type?: string;
  /** Position after which to begin; default: now. */
  readonly lastEventId?: string;
  /** Told when the connection is there, and when it is gone and will be tried again. */
  readonly onState?: (state: "open" | "waiting") => void;
}

/** A client of the API: `GET`, `POST`, … typed by path, and the live stream of events. */
export interface BrandosClient extends Client<paths> {
  /** Events as they happen, over reconnects, none twice and none missed. */
  events(options: StreamOptions): AsyncGenerator<ServerSentEvent>;
}

/**
 * Makes a client.
 *
 * Unsafe calls carry an `Idempotency-Key` that stays the same over retries; give your own in
 * `headers` when the key must outlive the page. Use `take(client.GET(…))` to get data or a thrown
 * {@link ProblemError}.
 */
export function createClient(options: ClientOptions = {}): BrandosClient {
  const { baseUrl = "", key, tenantId } = options;
  const headers: Record<string, string> = {
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    ...(tenantId === undefined ? {} : { "brandos-tenant": tenantId }),
  };
  const plain = options.fetch ?? ((request: Request) => globalThis.fetch(request));
  const fetch = retryingFetch({ fetch: plain, ...(options.retry ? { retry: options.retry } : {}) });
  const client = createFetchClient<paths>({ baseUrl, headers, fetch });
  return Object.assign(client, {
    events({ type, ...stream }: StreamOptions) {
      const query = type === undefined ? "" : `?${new URLSearchParams({ type })}`;
      const url = `${baseUrl || globalThis.location.origin}/v1/events/stream${query}`;
      const open = (lastEventId: string | undefined, signal: AbortSignal) => {
        const resume: Record<string, string> =
          lastEventId === undefined ? {} : { "last-event-id": lastEventId };
        return plain(
          new Request(url, { headers: { ...headers, ...resume }, signal, cache: "no-store" }),
        );
      };
      return followEvents({ ...stream, open });
    },
  });
}
