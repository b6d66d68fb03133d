import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Type } from "typebox";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { CoalescerFullError } from "../coalescer/coalescer.ts";
import { DbError } from "../db/errors.ts";
import { createHealth } from "./health.ts";
import { createMetrics } from "./metrics.ts";
import type { Authenticate } from "./principal.ts";
import type { ProblemPart } from "./problem.ts";
import { route } from "./route.ts";
import { createHttpServer, type HttpServer } from "./server.ts";

const tenantId = "0190163d-8694-739b-aea5-966c26f8ad90" as TenantId;

const authenticate: Authenticate = ({ token }) => {
  const actor = { kind: "api_key", id: token } as const;
  if (token === "sk_all") return ok({ kind: "secret", tenantId, actor, permissions: ["*"] });
  if (token === "sk_read")
    return ok({ kind: "secret", tenantId, actor, permissions: ["notes:read"] });
  if (token === "pk_shop") return ok({ kind: "publishable", tenantId, actor, permissions: [] });
  if (token === "op")
    return ok({ kind: "operator", actor: { kind: "operator", id: "op" }, permissions: ["*"] });
  if (token === "sk_suspended") return fail({ code: "tenants.suspended" });
  return fail({ code: "auth.invalid_credential" });
};

const Note = Type.Object({
  id: Type.String({ format: "uuid" }),
  text: Type.String({ maxLength: 100 }),
  kind: Type.Union([Type.Literal("memo"), Type.Literal("task")]),
  size: Type.Optional(Type.Integer({ minimum: 0 })),
});

const noteId = "0190163d-8694-739b-aea5-966c26f8ad91";

const routes = [
  route({
    method: "GET",
    path: "/v1/notes/{id}",
    operationId: "getNote",
    summary: "Get a note",
    tag: "Notes",
    access: "publishable",
    permission: "notes:read",
    failures: ["notes.not_found"],
    schemas: {
      params: Type.Object({ id: Type.String({ format: "uuid" }) }),
      query: Type.Object({
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
        tags: Type.Optional(Type.Array(Type.String())),
      }),
      response: Note,
    },
    handle: async ({ params, query }) => {
      if (params.id !== noteId) return fail({ code: "notes.not_found", noteId: params.id });
      return ok({
        version: 3,
        body: {
          id: params.id,
          text: query.tags?.join("+") ?? "",
          kind: "memo",
          size: query.limit,
          secret: "never",
        },
      });
    },
  }),
  route({
    method: "POST",
    path: "/v1/notes",
    operationId: "createNote",
    summary: "Write a note",
    tag: "Notes",
    access: "secret",
    permission: "notes:write",
    idempotency: "required",
    schemas: { body: Note, response: Type.Unknown() },
    handle: async ({ body, ctx }) =>
      ok({
        status: 201,
        body: {
          ...body,
          ctx: {
            requestId: ctx.requestId,
            traceparent: ctx.traceparent,
            idempotency: ctx.idempotency,
          },
        },
      }),
  }),
  route({
    method: "PATCH",
    path: "/v1/notes/{id}",
    operationId: "changeNote",
    summary: "Change",
    tag: "Notes",
    access: "secret",
    ifMatch: "required",
    schemas: {
      params: Type.Object({ id: Type.String() }),
      body: Type.Object({ text: Type.Optional(Type.String()) }),
      response: Type.Unknown(),
    },
    handle: async ({ ifMatch }) =>
      ifMatch === 3 ? ok({ body: { ifMatch } }) : fail({ code: "notes.version_conflict" }),
  }),
  route({
    method: "DELETE",
    path: "/v1/notes/{id}",
    operationId: "deleteNote",
    summary: "Delete",
    tag: "Notes",
    access: "secret",
    schemas: { params: Type.Object({ id: Type.String() }) },
    handle: async () => ok({}),
  }),
  route({
    method: "GET",
    path: "/v1/operators-only",
    operationId: "ops",
    summary: "Ops",
    tag: "Notes",
    access: "operator",
    schemas: { response: Type.Unknown() },
    handle: async () => ok({ body: { yes: true } }),
  }),
  route({
    method: "GET",
    path: "/v1/broken/{how}",
    operationId: "broken",
    summary: "Break",
    tag: "Notes",
    access: "public",
    schemas: { params: Type.Object({ how: Type.String() }), response: Type.Unknown() },
    handle: async ({ params }) => {
      if (params.how === "pool")
        throw new DbError("ERR_DB_POOL_EXHAUSTED", "busy", { retryable: true });
      if (params.how === "commit")
        throw new DbError("ERR_DB_COMMIT_UNKNOWN", "?", { retryable: false });
      if (params.how === "full") throw new CoalescerFullError("full");
      throw new Error("password=hunter2 at /srv/secret.ts");
    },
  }),
  route({
    method: "GET",
    path: "/v1/export",
    operationId: "exportNotes",
    summary: "Export",
    tag: "Notes",
    access: "secret",
    schemas: {},
    handle: async () =>
      ok({
        stream: {
          contentType: "text/csv",
          body: (async function* () {
            for (let n = 0; n < 3; n++) yield `line ${n}\n`;
          })(),
        },
      }),
  }),
  route({
    method: "POST",
    path: "/v1/import",
    operationId: "importNotes",
    summary: "Import",
    tag: "Notes",
    access: "secret",
    rawBody: true,
    bodyBytesMax: 1000,
    schemas: { response: Type.Unknown() },
    handle: async ({ rawBody }) => {
      let bytes = 0;
      if (rawBody) for await (const chunk of rawBody) bytes += (chunk as Buffer).length;
      return ok({ body: { bytes } });
    },
  }),
];

let server: HttpServer;
let url: string;
const logged: string[] = [];

before(async () => {
  const health = createHealth([]);
  server = await createHttpServer({
    routes,
    authenticate,
    health,
    metrics: createMetrics(),
    info: { title: "Test", version: "1" },
    failureStatuses: {
      "notes.not_found": 404,
      "notes.version_conflict": 412,
      "tenants.suspended": 403,
    },
    log: {
      info() {},
      warn: (_, message) => logged.push(message),
      error: (_, message) => logged.push(message),
    },
  });
  health.markStarted();
  ({ url } = await server.listen({ port: 0 }));
});
after(() => server.close());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server sends
  readonly body: any;
}

async function ask(path: string, init: RequestInit & { key?: string } = {}): Promise<Answer> {
  const headers = new Headers(init.headers);
  if (init.key !== undefined) headers.set("authorization", `Bearer ${init.key}`);
  if (init.body && !headers.has("content-type")) headers.set("content-type", "application/json");
  const response = await fetch(url + path, { ...init, headers });
  const text = await response.text();
  const json = /json/.test(response.headers.get("content-type") ?? "");
  return {
    status: response.status,
    headers: response.headers,
    body: json && text ? JSON.parse(text) : text,
  };
}

function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json/);
  assert.equal(answer.body.code, code);
  assert.equal(answer.body.status, status);
  assert.equal(answer.body.type, `urn:brandos:problem:${code}`);
  assert.ok(answer.body.title);
}

const write = (body: string, headers: Record<string, string> = {}) =>
  ask("/v1/notes", {
    method: "POST",
    key: "sk_all",
    body,
    headers: { "idempotency-key": "k1", ...headers },
  });
const good = { id: noteId, text: "hello", kind: "memo" };

describe("an operation", () => {
  test("answers what its schema names and nothing else", async () => {
    const answer = await ask(`/v1/notes/${noteId}?limit=5&tags=a,b`, { key: "pk_shop" });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.deepEqual(answer.body, { id: noteId, text: "a+b", kind: "memo", size: 5 });
    assert.equal(answer.headers.get("etag"), '"3"');
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.equal(answer.headers.get("brandos-version"), "2026-11-01");
  });
  test("answers 304 to a caller that has this version", async () => {
    const answer = await ask(`/v1/notes/${noteId}`, {
      key: "pk_shop",
      headers: { "if-none-match": '"2", W/"3"' },
    });
    assert.equal(answer.status, 304);
  });
  test("answers 204 without a body", async () => {
    assert.equal((await ask("/v1/notes/1", { method: "DELETE", key: "sk_all" })).status, 204);
  });
  test("streams", async () => {
    const answer = await ask("/v1/export", { key: "sk_all" });
    assert.equal(answer.headers.get("content-type"), "text/csv");
    assert.equal(answer.body, "line 0\nline 1\nline 2\n");
  });
  test("reads a raw body of any media type up to its limit", async () => {
    const post = (size: number) =>
      ask("/v1/import", {
        method: "POST",
        key: "sk_all",
        body: "x".repeat(size),
        headers: { "content-type": "text/csv" },
      });
    assert.deepEqual((await post(1000)).body, { bytes: 1000 });
    assertProblem(await post(1001), 413, "request.body_too_large");
  });
  test("hands on the caller's request id, trace and idempotency key", async () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const answer = await write(JSON.stringify(good), { "x-request-id": "mine-1", traceparent });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    const { ctx } = answer.body;
    assert.equal(ctx.requestId, "mine-1");
    assert.equal(answer.headers.get("x-request-id"), "mine-1");
    assert.match(ctx.traceparent, /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
    assert.equal(ctx.idempotency.key, "k1");
    assert.equal(ctx.idempotency.principal, "sk_all");
    assert.equal(ctx.idempotency.route, "POST /v1/notes");
    assert.match(ctx.idempotency.fingerprint, /^[0-9a-f]{64}$/);
    assert.ok(logged.some((line) => /ignored its Idempotency-Key/.test(line)));
  });
});

describe("a refused caller", () => {
  test("without a credential gets 401 and a challenge", async () => {
    const answer = await ask(`/v1/notes/${noteId}`);
    assertProblem(answer, 401, "auth.required");
    assert.equal(answer.headers.get("www-authenticate"), "Bearer");
  });
  test("with a bad credential gets 401", async () =>
    assertProblem(
      await ask(`/v1/notes/${noteId}`, { key: "sk_wrong" }),
      401,
      "auth.invalid_credential",
    ));
  test("of a suspended tenant gets 403", async () =>
    assertProblem(
      await ask(`/v1/notes/${noteId}`, { key: "sk_suspended" }),
      403,
      "tenants.suspended",
    ));
  test("with a publishable key where a secret one is needed gets 403", async () =>
    assertProblem(
      await ask("/v1/notes/1", { key: "pk_shop", method: "DELETE" }),
      403,
      "auth.forbidden",
    ));
  test("without the permission gets 403", async () =>
    assertProblem(
      await ask("/v1/notes", { key: "sk_read", method: "POST", body: "{}" }),
      403,
      "auth.forbidden",
    ));
  test("who is no operator gets 403", async () =>
    assertProblem(await ask("/v1/operators-only", { key: "sk_all" }), 403, "auth.forbidden"));
  test("who is the operator has to say for which tenant", async () => {
    assertProblem(await ask("/v1/export", { key: "op" }), 403, "auth.forbidden");
    assert.deepEqual((await ask("/v1/operators-only", { key: "op" })).body, { yes: true });
  });
});

describe("a bad request", () => {
  test("to nowhere gets 404", async () =>
    assertProblem(await ask("/v1/nothing"), 404, "request.not_found"));
  test("with another method gets 405 and the methods", async () => {
    const answer = await ask("/v1/notes/1", { method: "PUT", body: "{}" });
    assertProblem(answer, 405, "request.method_not_allowed");
    assert.equal(answer.headers.get("allow"), "DELETE, GET, HEAD, OPTIONS, PATCH");
  });
  test("for another media type gets 406 and 415", async () => {
    assertProblem(
      await ask(`/v1/notes/${noteId}`, { key: "pk_shop", headers: { accept: "image/png" } }),
      406,
      "request.not_acceptable",
    );
    assertProblem(
      await write("a,b", { "content-type": "text/csv" }),
      415,
      "request.unsupported_media_type",
    );
  });
  test("for an unknown version gets 400", async () =>
    assertProblem(
      await ask("/v1/nothing", { headers: { "brandos-version": "1999-01-01" } }),
      400,
      "request.unknown_version",
    ));
  test("names each wrong field by its pointer", async () => {
    const answer = await write(JSON.stringify({ id: "x", text: 1, kind: "other", siez: 1 }));
    assertProblem(answer, 400, "request.invalid");
    const pointers = answer.body.errors.map((part: ProblemPart) => part.pointer).toSorted();
    assert.deepEqual(pointers, ["/id", "/kind", "/siez", "/text"]);
  });
  test("names wrong parameters", async () => {
    const answer = await ask(`/v1/notes/${noteId}?limit=1e9&page=2`, { key: "pk_shop" });
    assertProblem(answer, 400, "request.invalid");
    assert.deepEqual(answer.body.errors.map((part: ProblemPart) => part.parameter).toSorted(), [
      "limit",
      "page",
    ]);
  });
  test("without a required Idempotency-Key gets 400", async () => {
    assertProblem(
      await ask("/v1/notes", { method: "POST", key: "sk_all", body: JSON.stringify(good) }),
      400,
      "request.idempotency_key_missing",
    );
    assertProblem(
      await write(JSON.stringify(good), { "idempotency-key": "x".repeat(256) }),
      400,
      "request.idempotency_key_invalid",
    );
  });
  test("without a required If-Match gets 428, with another version 412", async () => {
    const patch = (headers: Record<string, string>) =>
      ask("/v1/notes/1", { method: "PATCH", key: "sk_all", body: "{}", headers });
    assertProblem(await patch({}), 428, "request.version_required");
    assertProblem(await patch({ "if-match": '"2"' }), 412, "notes.version_conflict");
    assertProblem(await patch({ "if-match": 'W/"3"' }), 412, "request.precondition_failed");
    assertProblem(await patch({ "if-match": "3" }), 400, "request.malformed");
    assert.equal((await patch({ "if-match": '"3"' })).status, 200);
  });
  test("that is too large gets 413", async () =>
    assertProblem(await write(`"${"x".repeat(1_048_577)}"`), 413, "request.body_too_large"));
  const bodies: readonly (readonly [string, string])[] = [
    ["cut off", '{"id":'],
    ["a duplicate name", '{"id":"a","id":"b"}'],
    ["__proto__", '{"__proto__":{"a":1}}'],
    ["an escaped __proto__", '{"\\u005f_proto__":{}}'],
    ["NUL", '{"text":"a\\u0000"}'],
    ["a lone surrogate", '{"text":"\\ud800"}'],
    ["infinity", '{"size":1e309}'],
    ["2^53", '{"size":9007199254740992}'],
    ["10,000 levels", "[".repeat(10_000) + "]".repeat(10_000)],
  ];
  for (const [what, body] of bodies) {
    test(`with ${what} gets 400`, async () =>
      assertProblem(await write(body), 400, "request.malformed_json"));
  }
  test("with bytes that are not UTF-8 gets 400", async () => {
    const body = Buffer.from([0x22, 0xff, 0x22]) as unknown as string;
    assertProblem(
      await write(body, { "content-type": "application/json" }),
      400,
      "request.malformed_json",
    );
  });
  test("with NUL in a parameter gets 400", async () =>
    assertProblem(
      await ask(`/v1/notes/${noteId}?tags=%00`, { key: "pk_shop" }),
      400,
      "request.invalid",
    ));
  test("with an undecodable path gets 400", async () =>
    assertProblem(await ask("/v1/notes/%ff", { key: "pk_shop" }), 400, "request.malformed"));
});

describe("what breaks", () => {
  test("answers 500 without a word about the inside, and is logged", async () => {
    const answer = await ask("/v1/broken/else");
    assertProblem(answer, 500, "server.internal");
    assert.doesNotMatch(JSON.stringify(answer.body), /hunter2|secret\.ts/);
    assert.ok(logged.includes("a request broke"));
  });
  test("because of load answers 503 with Retry-After", async () => {
    for (const how of ["pool", "full"]) {
      const answer = await ask(`/v1/broken/${how}`);
      assertProblem(answer, 503, "server.overloaded");
      assert.equal(answer.headers.get("retry-after"), "1");
    }
    assertProblem(await ask("/v1/broken/commit"), 503, "server.outcome_unknown");
  });
});

describe("the pages for operators", () => {
  test("tell that the process lives, has started and can serve", async () => {
    assert.equal((await ask("/health/live")).status, 200);
    assert.equal((await ask("/health/started")).status, 200);
    assert.equal((await ask("/health/ready")).body.ready, true);
  });
  test("show figures per route", async () =>
    assert.match(
      (await ask("/metrics")).body,
      /brandos_http_request_duration_seconds_count\{route="\/v1\/notes\/:id"/,
    ));
  test("describe the API", async () => {
    const { body } = await ask("/openapi.json");
    assert.equal(body.openapi, "3.1.0");
    assert.equal(body.paths["/v1/notes"].post.operationId, "createNote");
    assert.deepEqual(Object.keys(body.paths["/v1/notes/{id}"]).toSorted(), [
      "delete",
      "get",
      "patch",
    ]);
  });
  test("serve the reference from the machine itself", async () => {
    const page = await ask("/docs");
    assert.equal(page.status, 200);
    for (const [, src] of page.body.matchAll(/(?:src|href)="([^"]+)"/g))
      assert.equal((await ask(src)).status, 200, src);
    assert.doesNotMatch(page.body, /https?:\/\//);
  });
});
