import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { createLimiter, type LimitStore } from "../limits/limits.ts";
import { createMemoryLimitStore } from "../limits/memory-store.ts";
import { createHealth } from "./health.ts";
import type { HttpLimits } from "./limits.ts";
import { createMetrics } from "./metrics.ts";
import { type Route, type RouteReply, route } from "./route.ts";
import { createHttpServer } from "./server.ts";

const tenants = ["0190163d-8694-739b-aea5-966c26f8ad90", "0190163d-8694-739b-aea5-966c26f8ad91"];

function routeOf(change: Partial<Route>, handle = async (): Promise<RouteReply> => ({ body: {} })) {
  return route({
    method: "GET",
    path: "/v1/work",
    operationId: "work",
    summary: "Work",
    tag: "Work",
    access: "publishable",
    schemas: {},
    handle: async () => ok(await handle()),
    ...change,
  });
}

const routes = [
  routeOf({}),
  routeOf({ path: "/v1/pay", operationId: "pay", limits: "strict" }),
  routeOf({ path: "/v1/shop", operationId: "shop", access: "public" }),
];

/** A server of its own; those with one store are nodes of one deployment. */
async function serve(
  t: TestContext,
  limits: Partial<HttpLimits>,
  { store = createMemoryLimitStore() as LimitStore, served = routes as readonly Route[] } = {},
) {
  const health = createHealth([]);
  const limiter = createLimiter({ store, pauseMs: 60_000 });
  const metrics = createMetrics();
  const server = await createHttpServer({
    routes: served,
    // `sk 0 a` is the secret key a of the first brand.
    authenticate({ token }) {
      const [kind, tenant = "", id = ""] = token.split("-");
      const tenantId = tenants[Number(tenant)] as TenantId | undefined;
      if (!tenantId) return fail({ code: "auth.invalid_credential" });
      const actor = { kind: "api_key", id: `${tenant}${id}` } as const;
      return ok({
        kind: kind === "sk" ? "secret" : "publishable",
        tenantId,
        actor,
        permissions: ["*"],
      });
    },
    failureStatuses: {},
    health,
    metrics,
    info: { title: "Test", version: "1" },
    trustedProxies: ["127.0.0.1"],
    limits,
    limiter,
  });
  health.markStarted();
  const { url } = await server.listen({ port: 0 });
  t.after(async () => {
    await server.close({ graceMs: 200 });
    await limiter.stop();
  });
  const ask = (path: string, key?: string, from = "10.0.0.1") =>
    fetch(url + path, {
      headers: {
        "x-forwarded-for": from,
        // A compressor keeps the first lines of a stream for company.
        "accept-encoding": "identity",
        ...(key ? { authorization: `Bearer ${key}` } : {}),
      },
    });
  return Object.assign(ask, { figures: () => metrics.registry.metrics() });
}

const statuses = async (asked: readonly Promise<Response>[]) =>
  (await Promise.all(asked)).map(({ status }) => status).toSorted((a, b) => a - b);

/** A store that is in another process, as far as anybody can tell. */
function far(store: LimitStore): LimitStore {
  return { apply: async (calls) => store.apply(calls) };
}

describe("rate limits", () => {
  test("hold over several servers with one store, to the request", async (t) => {
    const store = far(createMemoryLimitStore());
    const limits = { ratePerMinute: 40 };
    const nodes = [await serve(t, limits, { store }), await serve(t, limits, { store })];
    let served = 0;
    for (let round = 0; round < 8; round++) {
      const asked = Array.from({ length: 8 }, (_, at) => nodes[at % 2]?.("/v1/work", "sk-0-a"));
      const answers = await statuses(asked as Promise<Response>[]);
      served += answers.filter((status) => status === 200).length;
    }
    assert.equal(served, 40);
    assert.equal((await nodes[0]?.("/v1/work", "sk-0-b"))?.status, 200);
  });

  test("of a brand count all of its keys, and those of others apart", async (t) => {
    const ask = await serve(t, { tenantRatePerMinute: 3 });
    for (const key of ["sk-0-a", "sk-0-b", "pk-0-c"]) {
      assert.equal((await ask("/v1/work", key)).status, 200);
    }
    const refused = await ask("/v1/work", "sk-0-d");
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("ratelimit-policy"), '"tenant";q=3;w=60');
    assert.equal(Number(refused.headers.get("retry-after")), 60);
    assert.equal((await ask("/v1/work", "sk-1-a")).status, 200);
  });

  test("where shoppers pay are per address; a server's own key is not one of them", async (t) => {
    const ask = await serve(t, { shopperRatePerMinute: 2 });
    const pay = (from: string, key = "pk-0-a") => ask("/v1/pay", key, from);
    assert.deepEqual(
      await statuses([pay("10.0.0.1"), pay("10.0.0.1"), pay("10.0.0.1")]),
      [200, 200, 429],
    );
    assert.equal((await pay("10.0.0.2")).status, 200);
    assert.equal((await pay("10.0.0.1", "pk-1-a")).status, 200);
    assert.equal((await ask("/v1/work", "pk-0-a")).status, 200);
    const own = Array.from({ length: 5 }, () => pay("10.0.0.1", "sk-0-a"));
    assert.deepEqual(await statuses(own), [200, 200, 200, 200, 200]);
  });

  test("count who guesses keys by address, and then do not look at keys of it any more", async (t) => {
    const ask = await serve(t, { anonymousRatePerMinute: 3 });
    const guess = () => ask("/v1/work", "sk-9-a");
    assert.deepEqual(await statuses([guess(), guess(), ask("/v1/work")]), [401, 401, 401]);
    assert.equal((await guess()).status, 429);
    assert.equal((await ask("/v1/shop")).status, 429);
    assert.equal((await ask("/v1/shop", undefined, "10.0.0.2")).status, 200);
    assert.equal((await ask("/v1/work", "sk-0-a")).status, 200);
  });

  test("count a caller's whole /64 as one address", async (t) => {
    const ask = await serve(t, { anonymousRatePerMinute: 2 });
    const shop = (from: string) => ask("/v1/shop", undefined, from);
    const own = [shop("2001:db8:0:1::1"), shop("2001:db8:0:1:ffff::2"), shop("2001:db8:0:1::3")];
    assert.deepEqual((await statuses(own)).toSorted(), [200, 200, 429]);
    assert.equal((await shop("2001:db8:0:2::1")).status, 200);
  });

  test("of 0 are none, and say nothing", async (t) => {
    const off = { ratePerMinute: 0, tenantRatePerMinute: 0, anonymousRatePerMinute: 0 };
    const ask = await serve(t, off);
    const answer = await ask("/v1/work", "sk-0-a");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("ratelimit"), null);
  });

  test("without their store are strict where money or keys are, and open elsewhere", async (t) => {
    const store: LimitStore = {
      apply: async () => {
        throw new Error("the store is away");
      },
    };
    const ask = await serve(t, { ratePerMinute: 30, anonymousRatePerMinute: 30 }, { store });
    const many = (path: string, key: string) =>
      statuses(Array.from({ length: 32 }, () => ask(path, key)));
    const served = (answers: readonly number[]) =>
      answers.filter((status) => status !== 429).length;
    assert.equal(served(await many("/v1/pay", "sk-0-a")), 3);
    assert.equal(served(await many("/v1/work", "sk-0-b")), 30);
    assert.equal(served(await many("/v1/work", "sk-9-b")), 3, "guesses");
    const figures = await ask.figures();
    assert.match(figures, /brandos_rate_limit_without_store_total\{limit="credential"\} 64\n/);
    assert.match(
      figures,
      /brandos_rate_limit_refusals_total\{limit="credential",source="fallback"\} 31\n/,
    );
    assert.match(
      figures,
      /brandos_rate_limit_refusals_total\{limit="address",source="fallback"\} 29\n/,
    );
  });
});

describe("exports", () => {
  test("stream so many at once per brand, over all servers, and free their place at the end", async (t) => {
    const store = far(createMemoryLimitStore());
    const ends: (() => void)[] = [];
    const handle = async (): Promise<RouteReply> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.push(resolve);
      const body = (async function* () {
        yield "first\n";
        await promise;
        yield "last\n";
      })();
      return { stream: { contentType: "text/csv", body } };
    };
    const served = [routeOf({ operationId: "export", isExport: true }, handle)];
    const limits = { exportsMax: 2 };
    const here = await serve(t, limits, { store, served });
    const there = await serve(t, limits, { store, served });
    const [first, second] = [await here("/v1/work", "sk-0-a"), await there("/v1/work", "sk-0-b")];
    assert.deepEqual([first.status, second.status], [200, 200]);
    const refused = await here("/v1/work", "sk-0-c");
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("ratelimit-policy"), '"exports";q=2;qu="concurrent-requests"');
    assert.equal((await there("/v1/work", "sk-1-a")).status, 200);
    // One reads to the end, the other goes away in the middle.
    ends[0]?.();
    assert.equal(await first.text(), "first\nlast\n");
    await second.body?.cancel();
    for (const node of [here, there]) {
      let next = await node("/v1/work", "sk-0-d");
      while (next.status === 429) next = await node("/v1/work", "sk-0-d");
      assert.equal(next.status, 200);
    }
    for (const end of ends) end();
  });
});
