import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Type } from "typebox";
import type { TenantId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import type { StatementReport } from "../db/db.ts";
import { createHealth, type Dependency } from "./health.ts";
import { createLiveStreams, type LiveEvent } from "./live-streams.ts";
import { createMetrics } from "./metrics.ts";
import { type Route, type RouteReply, route } from "./route.ts";
import { createHttpServer, type HttpServerConfig } from "./server.ts";
import { createStatementScope } from "./statement-scope.ts";

const tenantId = "0190163d-8694-739b-aea5-966c26f8ad90" as TenantId;

type Handler = (request: {
  signal: AbortSignal | undefined;
  deadlineMs: number | undefined;
  lastEventId: string | undefined;
}) => Promise<RouteReply>;

function workRoute(handle: Handler, method: "GET" | "POST" = "GET"): Route {
  return route({
    method,
    path: "/v1/work",
    operationId: `work${method}`,
    summary: "Work",
    tag: "Work",
    access: "secret",
    schemas: method === "GET" ? {} : { body: Type.Unknown(), response: Type.Unknown() },
    handle: async ({ ctx, header }) =>
      ok(
        await handle({
          signal: ctx.signal,
          deadlineMs: ctx.deadlineMs,
          lastEventId: header("last-event-id"),
        }),
      ),
  });
}

async function setup(
  t: TestContext,
  routes: readonly Route[],
  config: Partial<HttpServerConfig> = {},
  dependencies: readonly Dependency[] = [],
) {
  const health = createHealth(dependencies);
  const warned: string[] = [];
  const server = await createHttpServer({
    routes,
    authenticate: ({ token }) =>
      ok({ kind: "secret", tenantId, actor: { kind: "api_key", id: token }, permissions: ["*"] }),
    failureStatuses: {},
    health,
    metrics: createMetrics(),
    info: { title: "Test", version: "1" },
    log: { info() {}, warn: (_, message) => warned.push(message), error() {} },
    ...config,
  });
  health.markStarted();
  const { url } = await server.listen({ port: 0 });
  t.after(() => server.close({ graceMs: 200 }));
  const ask = (to = "/v1/work", init: RequestInit = {}) =>
    fetch(url + to, { headers: { authorization: "Bearer sk_a" }, ...init });
  return { server, url, ask, warned, health };
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code;

describe("under load", () => {
  test("a caller over its limit gets 429 and is told when to come back; others are served", async (t) => {
    const { ask } = await setup(t, [workRoute(async () => ({ body: { ok: true } }))], {
      limits: { ratePerMinute: 3 },
    });
    const answers = [];
    for (let n = 0; n < 4; n++) answers.push(await ask());
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 429],
    );
    const policies = '"credential";q=3;w=60, "tenant";q=2400000;w=60';
    assert.equal(answers[0]?.headers.get("ratelimit-policy"), policies);
    const left = '"credential";r=0;t=60, "tenant";r=2399997;t=60';
    assert.equal(answers[2]?.headers.get("ratelimit"), left);
    assert.equal(answers[3]?.headers.get("ratelimit"), '"credential";r=0;t=60');
    assert.match(answers[3]?.headers.get("retry-after") ?? "", /^\d+$/);
    const problem = (await answers[3]?.json()) as Record<string, unknown>;
    assert.equal(problem["code"], "request.rate_limited");
    assert.deepEqual(problem["violated-policies"], ["credential"]);
    assert.equal(
      (await ask("/v1/work", { headers: { authorization: "Bearer sk_b" } })).status,
      200,
    );
  });

  test("a request beyond those in flight gets 503, probes are answered", async (t) => {
    const held = gate();
    const entered = gate();
    const work = workRoute(async () => {
      entered.open();
      await held.opened;
      return { body: {} };
    });
    const { ask, server } = await setup(t, [work], { limits: { inFlightMax: 1 } });
    const first = ask();
    await entered.opened;
    const second = await ask();
    assert.equal(second.status, 503);
    assert.equal(second.headers.get("retry-after"), "1");
    assert.equal((await ask("/health/live")).status, 200);
    assert.equal((await ask("/metrics")).status, 200);
    held.open();
    assert.equal((await first).status, 200);
    assert.equal(server.inFlight(), 0);
  });

  test("an answer that takes too long is given up with 503, and its signal aborts", async (t) => {
    const aborted = gate();
    const work = workRoute(async ({ signal }) => {
      signal?.addEventListener("abort", () => aborted.open());
      await aborted.opened;
      return { body: {} };
    }, "POST");
    const { ask } = await setup(t, [work], { limits: { handlerTimeoutMs: 50 } });
    const headers = { authorization: "Bearer sk_a", "content-type": "application/json" };
    const answer = await ask("/v1/work", { method: "POST", body: "{}", headers });
    assert.equal(answer.status, 503);
    assert.equal(await codeOf(answer), "server.deadline");
    await aborted.opened;
  });

  test("a caller that waits for less is answered then, and its work is told", async (t) => {
    const seen: { remainingMs?: number; aborted?: boolean } = {};
    const aborted = gate();
    const work = workRoute(async ({ deadlineMs = 0, signal }) => {
      seen.remainingMs = deadlineMs - performance.now();
      signal?.addEventListener("abort", () => aborted.open());
      await aborted.opened;
      return { body: {} };
    });
    const { ask } = await setup(t, [work], { limits: { handlerTimeoutMs: 10_000 } });
    const headers = { authorization: "Bearer sk_a", "brandos-timeout-ms": "80" };
    const startedAt = performance.now();
    const answer = await ask("/v1/work", { headers });
    assert.equal(answer.status, 503);
    assert.equal(await codeOf(answer), "server.deadline");
    assert.equal(answer.headers.get("retry-after"), "1");
    assert.ok(performance.now() - startedAt < 2_000);
    assert.ok((seen.remainingMs ?? 0) <= 80, `${seen.remainingMs}`);
    await aborted.opened;
  });

  test("a caller cannot wait for more than the server allows, nor for nonsense", async (t) => {
    let remainingMs = 0;
    const work = workRoute(async ({ deadlineMs = 0 }) => {
      remainingMs = deadlineMs - performance.now();
      return { body: {} };
    });
    const { ask } = await setup(t, [work], { limits: { handlerTimeoutMs: 5_000 } });
    const waiting = (timeoutMs: string) =>
      ask("/v1/work", {
        headers: { authorization: "Bearer sk_a", "brandos-timeout-ms": timeoutMs },
      });
    assert.equal((await waiting("86400000")).status, 200);
    assert.ok(remainingMs <= 5_000 && remainingMs > 0, `${remainingMs}`);
    for (const nonsense of ["0", "-1", "1.5", "soon", "86400001", "1e3", ""]) {
      const answer = await waiting(nonsense);
      assert.equal(answer.status, 400, nonsense);
      assert.equal(await codeOf(answer), "request.malformed");
    }
  });

  test("a caller that goes away aborts its signal, and is no longer in flight", async (t) => {
    const entered = gate();
    const aborted = gate();
    const work = workRoute(async ({ signal }) => {
      signal?.addEventListener("abort", () => aborted.open());
      entered.open();
      await aborted.opened;
      return { body: {} };
    });
    const { ask, server } = await setup(t, [work]);
    const caller = new AbortController();
    const asked = ask("/v1/work", {
      signal: caller.signal,
      headers: { authorization: "Bearer sk_a" },
    }).catch(() => "gone");
    await entered.opened;
    caller.abort();
    assert.equal(await asked, "gone");
    await aborted.opened;
    assert.equal(server.inFlight(), 0);
  });
});

describe("a stop", () => {
  test("lets requests finish, tells balancers, then closes; twice is once", async (t) => {
    const held = gate();
    const entered = gate();
    const work = workRoute(async () => {
      entered.open();
      await held.opened;
      return { body: { done: true } };
    });
    const { ask, server, url, health } = await setup(t, [work]);
    const asked = ask();
    await entered.opened;
    const closed = server.close({ noticeMs: 50 });
    assert.equal((await health.readiness()).state, "draining");
    const late = await ask("/health/ready");
    assert.equal(late.status, 503);
    assert.equal(late.headers.get("connection"), "close");
    held.open();
    assert.equal((await asked).status, 200);
    await Promise.all([closed, server.close()]);
    await assert.rejects(fetch(url));
  });

  test("cuts off who is not done after the grace", async (t) => {
    const entered = gate();
    const work = workRoute(async () => {
      entered.open();
      return new Promise<RouteReply>(() => {});
    });
    const { ask, server } = await setup(t, [work]);
    const asked = ask().catch(() => "cut");
    await entered.opened;
    await server.close({ graceMs: 50 });
    assert.equal(await asked, "cut");
  });
});

describe("a live stream", () => {
  test("tells events as they happen, resumes by id, and ends with the server", async (t) => {
    const streams = createLiveStreams();
    const resumed: (string | undefined)[] = [];
    let push = (_event: LiveEvent) => {};
    let stopped = 0;
    const work = workRoute(async (listener) =>
      streams.open(listener, (pushed, { lastEventId }) => {
        resumed.push(lastEventId);
        push = pushed;
        pushed({ id: "1", event: "order", data: { text: "a\nb" } });
        return () => stopped++;
      }),
    );
    const { ask, server } = await setup(t, [work], { streams });
    const answer = await ask("/v1/work", {
      headers: { authorization: "Bearer sk_a", "last-event-id": "0", "accept-encoding": "gzip" },
    });
    assert.equal(answer.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.equal(answer.headers.get("content-encoding"), null);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    const until = async (part: string) => {
      while (!text.includes(part)) {
        const { value, done } = await reader.read();
        assert.ok(!done, "the stream goes on");
        text += new TextDecoder().decode(value);
      }
    };
    await until('id: 1\nevent: order\ndata: {"text":"a\\nb"}\n\n');
    push({ id: "2", data: 2 });
    await until("id: 2\ndata: 2\n\n");
    assert.deepEqual(resumed, ["0"]);
    assert.equal(server.inFlight(), 0);
    assert.equal(streams.size, 1);
    await server.close();
    assert.equal((await reader.read()).done, true);
    assert.deepEqual([streams.size, stopped], [0, 1]);
  });

  test("ends when its listener goes away", async (t) => {
    const streams = createLiveStreams();
    const stopped = gate();
    const work = workRoute(async (listener) => streams.open(listener, () => stopped.open));
    const { ask } = await setup(t, [work], { streams });
    const caller = new AbortController();
    const answer = await ask("/v1/work", {
      signal: caller.signal,
      headers: { authorization: "Bearer sk_a" },
    });
    const reading = answer.text().catch(() => "gone");
    caller.abort();
    assert.equal(await reading, "gone");
    await stopped.opened;
    assert.equal(streams.size, 0);
  });

  test("beyond the cap is refused, and one that reads too slowly is ended", async () => {
    const streams = createLiveStreams({ streamsMax: 1, bufferMax: 2 });
    const listener = { signal: undefined, lastEventId: undefined };
    const { stream } = streams.open(listener, (push) => {
      for (let n = 0; n < 3; n++) push({ data: n });
      return () => {};
    });
    assert.throws(() => streams.open(listener, () => () => {}), /server.overloaded/);
    const read = [];
    for await (const chunk of stream?.body ?? []) read.push(chunk);
    assert.deepEqual(read, ["retry: 2000\n\n"]);
    assert.equal(streams.size, 0);
  });

  test("is kept open by a heartbeat", async () => {
    const streams = createLiveStreams({ heartbeatMs: 5 });
    const listener = { signal: undefined, lastEventId: undefined };
    const { stream } = streams.open(listener, () => () => {});
    const read: unknown[] = [];
    for await (const chunk of stream?.body ?? []) if (read.push(chunk) === 2) break;
    assert.deepEqual(read, ["retry: 2000\n\n", ": still here\n\n"]);
  });
});

describe("in development", () => {
  test("answers say what the database cost, and repeated statements are told", async (t) => {
    const scope = createStatementScope();
    const report = { name: "x.find", elapsedMs: 1 } as StatementReport;
    const work = workRoute(async () => {
      for (let n = 0; n < 11; n++) scope.onStatement(report);
      return { body: {} };
    });
    const { ask, warned } = await setup(t, [work], { scope, development: true });
    const answer = await ask();
    const timing = answer.headers.get("server-timing") ?? "";
    assert.match(timing, /^db;dur=11\.0;desc="11 statements", total;dur=/);
    assert.ok(warned.some((line) => /repeats within one request/.test(line)));
  });
});

describe("the figures", () => {
  test("are for this machine and the operator, not for strangers behind a proxy", async (t) => {
    const { ask } = await setup(t, [], { trustedProxies: ["127.0.0.1"] });
    const from = (address: string) => ({ headers: { "x-forwarded-for": address } });
    assert.equal((await ask("/metrics", from("127.0.0.1"))).status, 200);
    assert.equal((await ask("/metrics", from("203.0.113.9"))).status, 401);
    const open = await setup(t, [], { trustedProxies: ["127.0.0.1"], development: true });
    assert.equal((await open.ask("/metrics", from("203.0.113.9"))).status, 200);
  });
});

describe("readiness", () => {
  test("names the dependency that does not answer, and not its address", async (t) => {
    const dependencies = [
      { name: "postgres/home", check: async () => {} },
      { name: "postgres/eu1", check: () => Promise.reject(new Error("password=x at 10.0.0.1")) },
    ];
    const { ask } = await setup(t, [], {}, dependencies);
    const answer = await ask("/health/ready");
    assert.equal(answer.status, 503);
    const text = await answer.text();
    assert.match(
      text,
      /"name":"postgres\/eu1","required":true,"ok":false,"latencyMs":[\d.]+,"reason":"unreachable"/,
    );
    assert.doesNotMatch(text, /password|10\.0/);
  });

  test("does not depend on what only makes it faster", async (t) => {
    const dependencies = [
      { name: "postgres/home", check: async () => {} },
      { name: "redis/a", isRequired: false, check: () => Promise.reject(new Error("away")) },
    ];
    const { ask } = await setup(t, [], {}, dependencies);
    const answer = await ask("/health/ready");
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /"name":"redis\/a","required":false,"ok":false/);
  });
});

describe("the pages", () => {
  test("are served with their own routers' paths, and say so when they are not built", async (t) => {
    const dist = mkdtempSync(path.join(os.tmpdir(), "brandos-dist-"));
    t.after(() => rmSync(dist, { recursive: true }));
    const { ask } = await setup(t, [], { sites: { dist } });
    const missing = await ask("/console");
    assert.equal(missing.status, 503);
    assert.match(await missing.text(), /npm run build --workspace console/);
    mkdirSync(path.join(dist, "assets"));
    writeFileSync(path.join(dist, "index.html"), "<p>console</p>");
    writeFileSync(path.join(dist, "shop.html"), "<p>shop</p>");
    writeFileSync(path.join(dist, "assets", "app-1a2b.js"), "run()");
    for (const url of ["/console", "/console/", "/console/orders/7"]) {
      const page = await ask(url);
      assert.equal(await page.text(), "<p>console</p>", url);
      assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'self'/);
      assert.equal(page.headers.get("cache-control"), "no-cache");
    }
    assert.equal(await (await ask("/shop/acme")).text(), "<p>shop</p>");
    assert.equal(await (await ask("/shop/acme/products/1")).text(), "<p>shop</p>");
    const asset = await ask("/console/assets/app-1a2b.js");
    assert.match(asset.headers.get("cache-control") ?? "", /immutable/);
    assert.match(asset.headers.get("content-type") ?? "", /javascript/);
    assert.equal(await codeOf(await ask("/console/assets/none.js")), "request.not_found");
  });

  test("may be called from browsers of other origins, preflight included", async (t) => {
    const { ask } = await setup(t, [workRoute(async () => ({ body: {} }))], {
      corsOrigins: ["https://shop.example"],
    });
    const headers = { origin: "https://shop.example", "access-control-request-method": "GET" };
    const preflight = await ask("/v1/work", { method: "OPTIONS", headers });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "https://shop.example");
    const stranger = await ask("/v1/work", {
      headers: { origin: "https://evil.example", authorization: "Bearer sk_a" },
    });
    assert.notEqual(stranger.headers.get("access-control-allow-origin"), "https://evil.example");
  });

  test("are compressed when they are large", async (t) => {
    const work = workRoute(async () => ({ body: { text: "abc ".repeat(2_000) } }));
    const { ask } = await setup(t, [work]);
    const answer = await ask("/v1/work", {
      headers: { authorization: "Bearer sk_a", "accept-encoding": "gzip" },
    });
    assert.equal(answer.headers.get("content-encoding"), "gzip");
    assert.equal(((await answer.json()) as { text: string }).text.length, 8_000);
  });
});
