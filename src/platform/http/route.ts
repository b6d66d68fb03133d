import type { Readable } from "node:stream";
import type { Static, TSchema } from "typebox";
import type { Context } from "../../kernel/context.ts";
import type { Failure, Result } from "../../kernel/result.ts";
import type { Principal } from "./principal.ts";

/** Who may call a route: a brand's secret key, also its publishable key, the operator, or anybody. */
export type RouteAccess = "secret" | "publishable" | "operator" | "public";

/** Shapes of what a route takes and gives; they validate, and they are the API reference. */
export interface RouteSchemas {
  readonly params?: TSchema;
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** Body of the success answer; absent for 204. */
  readonly response?: TSchema;
}

/** What a handler is given, already validated. */
export interface RouteRequest<S extends RouteSchemas> {
  readonly ctx: Context;
  readonly params: S["params"] extends TSchema ? Static<S["params"]> : undefined;
  readonly query: S["query"] extends TSchema ? Static<S["query"]> : undefined;
  readonly body: S["body"] extends TSchema ? Static<S["body"]> : undefined;
  /** Version the caller insists on, from `If-Match: "<version>"`. */
  readonly ifMatch?: number;
  /** Raw request body as a stream, for routes with `rawBody`. */
  readonly rawBody?: Readable;
  /** Who asks, as the credential says; absent on public routes. */
  readonly principal?: Principal;
  /** Address of the client, behind as many proxies as are trusted. */
  readonly ip: string;
  /** A single header of the request, by lower-case name. */
  readonly header: (name: string) => string | undefined;
}

/** What a handler answers on success. */
export interface RouteReply {
  /** Default: 200, or 204 without a body. */
  readonly status?: 200 | 201 | 202 | 204 | 207 | 302 | 303;
  readonly body?: unknown;
  /** Streamed body with its content type; memory stays flat. */
  readonly stream?: {
    readonly contentType: string;
    readonly body: AsyncIterable<string | Uint8Array>;
  };
  /** Version of the representation; sent as a strong ETag. */
  readonly version?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One operation of the HTTP API. */
export interface Route<S extends RouteSchemas = RouteSchemas> {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path with parameters: `/v1/orders/{id}`. */
  readonly path: string;
  /** Unique name in OpenAPI and in the SDK: `placeOrder`. */
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: string;
  readonly access: RouteAccess;
  /** Needed permission, `orders:write`. */
  readonly permission?: string;
  /** Whether an `Idempotency-Key` is demanded, honoured or meaningless; default: honoured on unsafe methods. */
  readonly idempotency?: "required" | "optional" | "none";
  /** Whether a version in `If-Match` is demanded (428 without) or just handed over; default: optional. */
  readonly ifMatch?: "required" | "optional";
  /**
   * How its rate limits are counted while their store is away: `open` admits the whole limit in each
   * process, `strict` (credentials, money) a tenth of it. Default: open.
   */
  readonly limits?: "open" | "strict";
  /** Whether its answer is an export that streams: a brand may have so many at once. */
  readonly isExport?: boolean;
  /** Largest request body, bytes; default 1 MiB. */
  readonly bodyBytesMax?: number;
  /** True hands the body over unparsed (imports, webhooks with signatures). */
  readonly rawBody?: boolean;
  readonly schemas: S;
  /** Codes this route may refuse with; listed in the API reference with their statuses. */
  readonly failures?: readonly string[];
  readonly handle: (request: RouteRequest<S>) => Promise<Result<RouteReply, Failure>>;
}

/** Declares a route; infers the handler's types from the schemas. */
export function route<const S extends RouteSchemas>(definition: Route<S>): Route {
  return definition as unknown as Route;
}

/** HTTP status of every failure a module can return. A module's table is total by type. */
export type FailureStatuses<F extends Failure = Failure> = Readonly<
  Record<F["code"], 400 | 402 | 403 | 404 | 409 | 410 | 412 | 413 | 415 | 422 | 429 | 502 | 503>
>;
