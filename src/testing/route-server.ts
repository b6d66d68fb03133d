import type { TenantId } from "../kernel/ids.ts";
import { fail, ok } from "../kernel/result.ts";
import { createHealth } from "../platform/http/health.ts";
import { createMetrics } from "../platform/http/metrics.ts";
import type { FailureStatuses, Route } from "../platform/http/route.ts";
import { createHttpServer } from "../platform/http/server.ts";
import { idempotencyFailureStatuses } from "../platform/idempotency/contract.ts";

/** Some routes behind a real server on a free port. */
export interface RouteServer extends AsyncDisposable {
  readonly url: string;
  /** Warnings and errors the server logged. */
  readonly logged: readonly string[];
  /** A brand that talks to the server; `pk` asks with its publishable key. */
  shop(tenantId: TenantId): Shop;
  stop(): Promise<void>;
}

/** One brand's way to the server. */
export interface Shop {
  (method: string, path: string, request?: ShopRequest): Promise<ShopAnswer>;
  readonly pk: (method: string, path: string, request?: ShopRequest) => Promise<ShopAnswer>;
}

/** What is sent beside the address. */
export interface ShopRequest {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, with a content type among the headers. */
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface ShopAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON body; undefined when there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server sends
  readonly body: any;
}

/** Serves the routes of a module for tests. */
export async function serveRoutes(
  routes: readonly Route[],
  failureStatuses: FailureStatuses,
): Promise<RouteServer> {
  const logged: string[] = [];
  const tell = (fields: object, message: string) => {
    const { err, operation } = fields as { err?: Error; operation?: string };
    logged.push(`${message} ${operation ?? ""} ${err?.stack ?? ""}`);
  };
  const health = createHealth([]);
  const server = await createHttpServer({
    routes,
    authenticate({ token }) {
      const [kind, tenantId] = token.split("_");
      if (!tenantId || (kind !== "secret" && kind !== "publishable")) {
        return fail({ code: "auth.invalid_credential" });
      }
      const actor = { kind: "api_key", id: kind } as const;
      const permissions = kind === "secret" ? ["*"] : [];
      return ok({ kind, tenantId: tenantId as TenantId, actor, permissions });
    },
    health,
    metrics: createMetrics(),
    info: { title: "Test", version: "1" },
    failureStatuses: { ...failureStatuses, ...idempotencyFailureStatuses },
    log: { info() {}, warn: tell, error: tell },
  });
  health.markStarted();
  const { url } = await server.listen({ port: 0 });
  const stop = () => server.close();
  return {
    url,
    logged,
    shop: (tenantId) => {
      const as =
        (kind: string) =>
        (method: string, path: string, request: ShopRequest = {}) =>
          send(`${url}${path}`, method, { ...request, token: `${kind}_${tenantId}` });
      return Object.assign(as("secret"), { pk: as("publishable") });
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function send(
  url: string,
  method: string,
  { body, raw, headers = {}, token }: ShopRequest & { readonly token: string },
): Promise<ShopAnswer> {
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const answer = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(payload === undefined ? {} : { body: payload }),
  });
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get("content-type") ?? "");
  const isLines = /ndjson/.test(answer.headers.get("content-type") ?? "");
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    body: isJson && !isLines && text !== "" ? JSON.parse(text) : undefined,
  };
}
