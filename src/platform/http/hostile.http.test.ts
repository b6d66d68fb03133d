import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { Type } from "typebox";
import type { TenantId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import { createHealth } from "./health.ts";
import { createMetrics } from "./metrics.ts";
import { route } from "./route.ts";
import { createHttpServer, type HttpServer } from "./server.ts";

const tenantId = "0190163d-8694-739b-aea5-966c26f8ad90" as TenantId;
let server: HttpServer;
let port: number;

before(async () => {
  const health = createHealth([]);
  health.markStarted();
  server = await createHttpServer({
    routes: [
      route({
        method: "GET",
        path: "/v1/things/{id}",
        operationId: "getThing",
        summary: "Get",
        tag: "Things",
        access: "secret",
        schemas: { params: Type.Object({ id: Type.String() }), response: Type.Unknown() },
        handle: async ({ params }) => ok({ body: params }),
      }),
      route({
        method: "POST",
        path: "/v1/things",
        operationId: "addThing",
        summary: "Add",
        tag: "Things",
        access: "secret",
        schemas: { body: Type.Object({ name: Type.String() }), response: Type.Unknown() },
        handle: async ({ body }) => ok({ body }),
      }),
    ],
    authenticate: ({ token }) =>
      token === "sk_good"
        ? ok({ kind: "secret", tenantId, actor: { kind: "api_key", id: "k" }, permissions: ["*"] })
        : { ok: false, failure: { code: "auth.invalid_credential" } },
    failureStatuses: {},
    health,
    metrics: createMetrics(),
    info: { title: "Test", version: "1" },
    limits: { headersTimeoutMs: 300, requestTimeoutMs: 600, headerBytesMax: 4_096 },
  });
  ({ port } = await server.listen({ port: 0 }));
});
after(() => server.close({ graceMs: 100 }));

/** Sends bytes as they are. @returns everything that came back until the server hung up or fell silent */
function send(bytes: string, { silenceMs = 150 } = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes));
    let received = "";
    let timer = setTimeout(() => socket.destroy(), 3_000);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), silenceMs);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(received);
    });
  });
}

const auth = "Authorization: Bearer sk_good\r\n";
const host = () => `Host: localhost:${port}\r\n`;
const get = (target: string, headers = "") =>
  send(`GET ${target} HTTP/1.1\r\n${host()}${auth}${headers}\r\n`);

function assertProblem(answer: string, status: number, code: string): void {
  assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), answer.slice(0, 300));
  assert.match(answer, /content-type: application\/problem\+json/i);
  assert.match(answer, new RegExp(`"code":"${code.replace(".", "\\.")}"`));
}

describe("a request that intermediaries read in two ways is refused:", () => {
  test("two Host headers", async () => {
    const answer = await get("/v1/things/1", "Host: evil.example\r\n");
    assertProblem(answer, 400, "request.malformed");
  });
  test("a target that names another host", async () => {
    assertProblem(await get("http://evil.example/v1/things/1"), 400, "request.malformed");
    assertProblem(await get(`http://localhost:${port}/v1/../x`), 400, "request.malformed");
    assertProblem(await get(`http://user@localhost:${port}/v1/things/1`), 400, "request.malformed");
  });
  for (const path of [
    "/v1/things/..%2f..%2fsecret",
    "/v1/things/..%2Fx",
    "/v1/things/%2e%2e/x",
    "/v1/things/../x",
    "/v1/./things/1",
    "/v1/things/a%5cb",
    "/v1/things/a\\b",
    "/v1/things/%00",
  ]) {
    test(`the path ${path}`, async () => assertProblem(await get(path), 400, "request.malformed"));
  }
  test("a body on GET", async () => {
    const answer = await get("/v1/things/1", "Content-Length: 5\r\n");
    assertProblem(answer, 400, "request.malformed");
    assert.match(answer, /connection: close/i);
    const chunked = await get("/v1/things/1", "Transfer-Encoding: chunked\r\n");
    assertProblem(chunked, 400, "request.malformed");
  });
  test("Content-Length beside Transfer-Encoding", async () => {
    const answer = await send(
      `POST /v1/things HTTP/1.1\r\n${host()}${auth}Content-Type: application/json\r\n` +
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    assertProblem(answer, 400, "request.malformed");
  });
  test("two lengths", async () => {
    const answer = await send(
      `POST /v1/things HTTP/1.1\r\n${host()}${auth}Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}`,
    );
    assertProblem(answer, 400, "request.malformed");
  });
});

describe("what is not a usable request", () => {
  test("gets a problem and is hung up on when it is not HTTP", async () => {
    assertProblem(await send("HELLO\r\n\r\n"), 400, "request.malformed");
  });
  test("gets 431 when its headers are too large", async () => {
    const answer = await get("/v1/things/1", `X-Filler: ${"x".repeat(8_000)}\r\n`);
    assertProblem(answer, 431, "request.headers_too_large");
  });
  test("gets 408 when its headers trickle in", async () => {
    const answer = await send(`GET /v1/things/1 HTTP/1.1\r\n${host()}X-Slow: `);
    assertProblem(answer, 408, "request.timeout");
  });
  test("gets 400 with an id no UUID could be, a control character, or an unknown method", async () => {
    assertProblem(await get(`/v1/things/${"x".repeat(201)}`), 414, "request.uri_too_long");
    const traced = await send(`TRACE /v1/things/1 HTTP/1.1\r\n${host()}\r\n`);
    assert.match(traced, /^HTTP\/1.1 40[45] /);
  });
  test("is refused before its body is read when it has no credential", async () => {
    const answer = await send(
      `POST /v1/things HTTP/1.1\r\n${host()}Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n`,
    );
    assertProblem(answer, 401, "auth.required");
  });
});

test("a legal absolute target about ourselves is served", async () => {
  const answer = await get(`http://localhost:${port}/v1/things/7`);
  assert.match(answer, /^HTTP\/1.1 200 /);
});

test("after all of that the server still answers", async () => {
  assert.match(await get("/v1/things/1"), /^HTTP\/1.1 200 /);
});
