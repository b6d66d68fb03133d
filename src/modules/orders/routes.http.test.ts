import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { createHealth } from "../../platform/http/health.ts";
import { createMetrics } from "../../platform/http/metrics.ts";
import type { Authenticate } from "../../platform/http/principal.ts";
import { createHttpServer } from "../../platform/http/server.ts";
import { idempotencyFailureStatuses } from "../../platform/idempotency/contract.ts";
import { ordersFailureStatuses } from "./contract.ts";
import { orderRoutes } from "./index.ts";
import { freshCaller, place, someOrder, startOrders } from "./orders.fixture.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server sends
type Json = any;

describe("orders over HTTP", async () => {
  const fixture = await startOrders();
  const { orders } = fixture;
  /** Keys are `<kind> <tenant> <actor>`, so that a test makes its own. */
  const authenticate: Authenticate = ({ token }) => {
    const [kind, tenantId, id = "key"] = token.split("~");
    if (!tenantId) return fail({ code: "auth.invalid_credential" });
    const known = { tenantId: tenantId as TenantId, permissions: ["orders:*"] };
    if (kind === "sk") return ok({ kind: "secret", actor: { kind: "api_key", id }, ...known });
    if (kind === "pk") return ok({ kind: "publishable", actor: { kind: "api_key", id }, ...known });
    return ok({ kind: "publishable", actor: { kind: "customer", id }, ...known });
  };
  const server = await createHttpServer({
    routes: orderRoutes(orders),
    authenticate,
    health: createHealth([]),
    metrics: createMetrics(),
    info: { title: "Orders", version: "1" },
    failureStatuses: { ...ordersFailureStatuses, ...idempotencyFailureStatuses },
  });
  const { url } = await server.listen({ port: 0 });
  after(async () => {
    await server.close();
    await fixture.stop();
  });

  const setup = async (status: "pending" | "paid" = "pending") => {
    const ctx = freshCaller();
    const order = someOrder({ status, customerId: newId() });
    await place(fixture, ctx, [order]);
    const ask = async (
      method: string,
      path: string,
      { body, headers = {}, key = `sk~${ctx.tenantId}` }: Asking = {},
    ) => {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
      return {
        status: response.status,
        headers: response.headers,
        body: (isJson && text ? JSON.parse(text) : text) as Json,
      };
    };
    return { ctx, order, ask, path: `/v1/orders/${order.id}` };
  };
  interface Asking {
    readonly body?: unknown;
    readonly headers?: Record<string, string>;
    readonly key?: string;
  }

  it("shows an order with its version as ETag", async () => {
    const { ask, path, order } = await setup();
    const got = await ask("GET", path);
    assert.equal(got.status, 200, JSON.stringify(got.body));
    assert.equal(got.headers.get("etag"), '"1"');
    assert.deepEqual(got.body.total, { amountMinor: 3_490, currency: "EUR" });
    assert.equal(got.body.placedAt, order.placedAt.toISOString());
    assert.deepEqual(got.body.shippingAddress, order.shippingAddress);
    assert.deepEqual(got.body.metadata, { source: "test" });
    assert.equal(got.body.lines.length, 2);
    const again = await ask("GET", path, { headers: { "if-none-match": '"1"' } });
    assert.equal(again.status, 304);
  });

  it("edits under If-Match: 428 without, 412 when stale, 409 when too late", async () => {
    const { ask, path } = await setup("paid");
    const body = { shippingAddress: { city: "Hamburg", countryCode: "DE" } };
    assert.equal((await ask("PATCH", path, { body })).status, 428);
    const edited = await ask("PATCH", path, { body, headers: { "if-match": '"1"' } });
    assert.equal(edited.status, 200, JSON.stringify(edited.body));
    assert.equal(edited.headers.get("etag"), '"2"');
    assert.equal(edited.body.shippingAddress.city, "Hamburg");
    const stale = await ask("PATCH", path, { body, headers: { "if-match": '"1"' } });
    assert.deepEqual([stale.status, stale.body.code], [412, "orders.stale_version"]);
    assert.equal((await ask("POST", `${path}/fulfilments`, { body: {} })).status, 201);
    const late = await ask("PATCH", path, { body, headers: { "if-match": '"3"' } });
    assert.deepEqual([late.status, late.body.code], [409, "orders.not_editable"]);
    const unknown = await ask("PATCH", path, {
      body: { total: 1 },
      headers: { "if-match": '"3"' },
    });
    assert.equal(unknown.status, 400);
  });

  it("walks the life of an order and refuses what it does not have", async () => {
    const { ask, path } = await setup();
    const early = await ask("POST", `${path}/complete`);
    assert.deepEqual([early.status, early.body.code], [409, "orders.illegal_transition"]);
    assert.equal((await ask("POST", `${path}/confirm`)).body.status, "confirmed");
    const stale = await ask("POST", `${path}/cancel`, { body: {}, headers: { "if-match": '"1"' } });
    assert.deepEqual([stale.status, stale.body.code], [412, "orders.stale_version"]);
    const cancelled = await ask("POST", `${path}/cancel`, { body: { reason: "no stock" } });
    assert.deepEqual([cancelled.status, cancelled.body.status], [200, "cancelled"]);
    const timeline = await ask("GET", `${path}/timeline`);
    assert.deepEqual(
      timeline.body.items.map((item: Json) => item.type),
      ["orders.order_placed", "orders.order_confirmed", "orders.order_cancelled"],
    );
    assert.equal(timeline.body.items[2].data.reason, "no stock");
  });

  it("sends parcels and takes goods back", async () => {
    const { ask, path } = await setup("paid");
    const sent = await ask("POST", `${path}/fulfilments`, {
      body: { carrier: "DHL", trackingCode: "JD01", lines: [{ lineNo: 1, quantity: 1 }] },
    });
    assert.equal(sent.status, 201, JSON.stringify(sent.body));
    assert.equal(sent.body.fulfilments[0].trackingCode, "JD01");
    const over = await ask("POST", `${path}/fulfilments`, {
      body: { lines: [{ lineNo: 1, quantity: 1 }] },
    });
    assert.deepEqual([over.status, over.body.code], [409, "orders.too_many_units"]);
    const back = await ask("POST", `${path}/returns`, {
      body: { reason: "too small", lines: [{ lineNo: 2, quantity: 1, restock: false }] },
    });
    assert.equal(back.status, 201, JSON.stringify(back.body));
    assert.deepEqual(back.body.refund, { amountMinor: 1_000, currency: "EUR" });
    const got = await ask("GET", path);
    assert.equal(got.body.returns[0].id, back.body.id);
    assert.equal(got.body.lines[1].returnedQuantity, 1);
  });

  it("lists by cursor, by page and with totals", async () => {
    const { ctx, ask } = await setup();
    const at = (ms: number) => new Date(Date.now() + ms);
    await place(fixture, ctx, [
      someOrder({ number: 7, placedAt: at(10) }),
      someOrder({ number: 8, placedAt: at(20) }),
    ]);
    const first = await ask("GET", "/v1/orders?limit=2&withLines=true");
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.deepEqual(
      first.body.items.map((order: Json) => [order.number, order.lines.length]),
      [
        [8, 2],
        [7, 2],
      ],
    );
    const next = await ask("GET", `/v1/orders?limit=2&cursor=${first.body.nextCursor}`);
    assert.equal(next.body.items.length, 1);
    assert.equal(next.body.nextCursor, undefined);
    const page = await ask("GET", "/v1/orders?limit=2&page=2&withTotal=true");
    assert.deepEqual([page.body.page, page.body.total, page.body.items.length], [2, 3, 1]);
    const byNumber = await ask("GET", "/v1/orders?number=7");
    assert.equal(byNumber.body.items.length, 1);
    const bad = await ask("GET", "/v1/orders?cursor=nonsense");
    assert.deepEqual([bad.status, bad.body.code], [400, "request.bad_cursor"]);
    assert.equal((await ask("GET", "/v1/orders?status=lost")).status, 400);
    assert.equal((await ask("GET", "/v1/orders?limit=101")).status, 400);
  });

  it("changes a batch with a verdict per order, at once or in the background", async () => {
    const { ask, order } = await setup("paid");
    const body = {
      changes: [
        { orderId: order.id, to: "fulfilled", expectedVersion: 1 },
        { orderId: order.id, to: "confirmed" },
      ],
    };
    const done = await ask("POST", "/v1/orders/batch", { body });
    assert.equal(done.status, 200, JSON.stringify(done.body));
    assert.equal(done.body.refused, 1);
    assert.deepEqual(done.body.results[0], {
      orderId: order.id,
      ok: true,
      status: "fulfilled",
      version: 2,
    });
    assert.equal(done.body.results[1].failure.code, "orders.illegal_transition");
    assert.equal(done.body.results[1].failure.from, "fulfilled");
    const later = await ask("POST", "/v1/orders/batch?async=true", { body });
    assert.equal(later.status, 202, JSON.stringify(later.body));
    assert.equal(later.body.links.job, `/v1/jobs/${later.body.jobId}`);
    const state = await ask("GET", later.headers.get("location") ?? "");
    assert.deepEqual([state.status, state.body.done, state.body.total], [200, 0, 2]);
    const money = { changes: [{ orderId: order.id, to: "refunded" }] };
    assert.equal((await ask("POST", "/v1/orders/batch", { body: money })).status, 400);
  });

  it("streams an export as an attachment", async () => {
    const { ask, order } = await setup();
    const csv = await ask("GET", "/v1/orders/export");
    assert.equal(csv.status, 200);
    assert.match(csv.headers.get("content-type") ?? "", /^text\/csv/);
    assert.match(csv.headers.get("content-disposition") ?? "", /orders\.csv/);
    assert.equal(csv.body.split("\r\n").length, 3);
    const lines = await ask("GET", "/v1/orders/export?format=jsonl");
    assert.equal(JSON.parse(lines.body).id, order.id);
  });

  it("shows customers their own orders and nobody else's", async () => {
    const { ctx, ask, order } = await setup();
    await place(fixture, ctx, [someOrder()]);
    const key = `customer~${ctx.tenantId}~${order.customerId}`;
    const mine = await ask("GET", "/v1/me/orders", { key });
    assert.deepEqual(
      mine.body.items.map((item: Json) => item.id),
      [order.id],
    );
    assert.equal((await ask("GET", `/v1/me/orders/${order.id}`, { key })).status, 200);
    const other = `customer~${ctx.tenantId}~${newId()}`;
    assert.equal((await ask("GET", `/v1/me/orders/${order.id}`, { key: other })).status, 404);
    const shop = await ask("GET", "/v1/me/orders", { key: `pk~${ctx.tenantId}` });
    assert.deepEqual([shop.status, shop.body.code], [403, "orders.not_a_customer"]);
    assert.equal((await ask("GET", "/v1/orders", { key: `pk~${ctx.tenantId}` })).status, 403);
  });

  it("answers 404 to another tenant's key, whatever it asks", async () => {
    const { ask, path } = await setup();
    const key = `sk~${newId()}`;
    const stale = { "if-match": '"1"' };
    const asked = [
      ask("GET", path, { key }),
      ask("GET", `${path}/timeline`, { key }),
      ask("PATCH", path, { key, body: { email: null }, headers: stale }),
      ask("POST", `${path}/cancel`, { key, body: {} }),
      ask("POST", `${path}/confirm`, { key }),
      ask("POST", `${path}/fulfilments`, { key, body: {} }),
      ask("POST", `${path}/returns`, { key, body: { lines: [{ lineNo: 1, quantity: 1 }] } }),
    ];
    for (const answer of await Promise.all(asked)) {
      assert.deepEqual([answer.status, answer.body.code], [404, "orders.not_found"]);
    }
  });
});
