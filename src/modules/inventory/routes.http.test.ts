import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { createHealth } from "../../platform/http/health.ts";
import { createMetrics } from "../../platform/http/metrics.ts";
import { createHttpServer, type HttpServer } from "../../platform/http/server.ts";
import { idempotencyFailureStatuses } from "../../platform/idempotency/contract.ts";
import { inventoryFailureStatuses } from "./contract.ts";
import { inventoryRoutes } from "./index.ts";
import { brokenInvariants, type InventoryBench, openInventoryBench } from "./setup.fixture.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server sends
type Body = any;

let bench: InventoryBench;
let server: HttpServer;
let url: string;
before(async () => {
  bench = await openInventoryBench();
  const health = createHealth([]);
  server = await createHttpServer({
    routes: inventoryRoutes(bench.inventory),
    authenticate({ token }) {
      const actor = { kind: "api_key", id: "key" } as const;
      const tenantId = token as TenantId | undefined;
      if (!tenantId) return fail({ code: "auth.invalid_credential" });
      return ok({ kind: "secret", tenantId, actor, permissions: ["*"] });
    },
    health,
    metrics: createMetrics(),
    info: { title: "Test", version: "1" },
    failureStatuses: { ...inventoryFailureStatuses, ...idempotencyFailureStatuses },
    log: { info() {}, warn() {}, error() {} },
  });
  health.markStarted();
  ({ url } = await server.listen({ port: 0 }));
});
after(async () => {
  await server.close();
  await bench.stop();
});

/** A brand that talks to the server with its own key. */
function openShop() {
  const tenantId = newId<"tenant">();
  return {
    db: bench.db,
    tenantId,
    async ask(method: string, path: string, body?: unknown, headers: object = {}) {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${tenantId}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: (text === "" ? undefined : JSON.parse(text)) as Body };
    },
  };
}

test("stock is received, reserved, sold, moved, counted and listed over HTTP", async () => {
  const shop = openShop();
  const variantId = newId();
  const berlin = await shop.ask("POST", "/v1/locations", { code: "berlin", name: "Berlin" });
  assert.equal(berlin.status, 201);
  const taken = await shop.ask("POST", "/v1/locations", { code: "berlin", name: "Again" });
  assert.deepEqual([taken.status, taken.body.code], [409, "inventory.location_taken"]);
  const paris = await shop.ask("POST", "/v1/locations", {
    code: "paris",
    name: "Paris",
    priority: 200,
  });
  const locationId = berlin.body.id;
  const received = await shop.ask("POST", "/v1/stock/adjustments", {
    reason: "received",
    lines: [{ variantId, locationId, quantity: 10 }],
  });
  assert.equal(received.status, 201);
  const reserved = await shop.ask("POST", "/v1/reservations", {
    lines: [{ variantId, quantity: 3 }],
    ttlMs: 60_000,
    reference: "cart:1",
  });
  assert.equal(reserved.status, 201);
  assert.equal(reserved.body.allocations[0].quantity, 3);
  assert.ok(new Date(reserved.body.expiresAt) > new Date());
  const path = `/v1/reservations/${reserved.body.id}`;
  assert.equal((await shop.ask("GET", path)).body.state, "active");
  assert.equal((await shop.ask("POST", `${path}/commit`)).body.state, "committed");
  const late = await shop.ask("DELETE", path);
  assert.deepEqual([late.status, late.body.code], [409, "inventory.reservation_closed"]);
  const moved = await shop.ask("POST", "/v1/stock/transfers", {
    from: locationId,
    to: paris.body.id,
    lines: [{ variantId, quantity: 2 }],
  });
  assert.equal(moved.status, 201);
  const counted = await shop.ask("PUT", "/v1/stock", {
    items: [{ variantId, locationId, onHand: 4, lowAt: 5 }],
  });
  assert.deepEqual(counted.body, { changed: 1 });
  const stock = await shop.ask("GET", `/v1/stock?variantId=${variantId}`);
  const levels = stock.body.items.map((each: Body) => [each.locationId, each.onHand]);
  assert.deepEqual(new Set(levels.map(String)), new Set([`${locationId},4`, `${paris.body.id},2`]));
  const nobodys = newId();
  const shelf = await shop.ask("GET", `/v1/availability?variantIds=${variantId},${nobodys}`);
  assert.deepEqual(shelf.body.items, [
    { variantId, state: "in_stock" },
    { variantId: nobodys, state: "sold_out" },
  ]);
  const low = await shop.ask("GET", "/v1/stock?low=true");
  assert.equal(low.body.items.length, 1);
  const movements = await shop.ask("GET", "/v1/stock/movements?limit=2");
  assert.equal(movements.body.items.length, 2);
  const rest = await shop.ask(
    "GET",
    `/v1/stock/movements?limit=10&cursor=${movements.body.nextCursor}`,
  );
  const reasons = [...movements.body.items, ...rest.body.items].map((each: Body) => each.reason);
  assert.deepEqual(reasons, ["counted", "transferred", "transferred", "sale", "received"]);
  assert.deepEqual(await brokenInvariants(shop), []);
});

for (const strategy of ["atomic", "optimistic", "pessimistic", "flash"]) {
  test(`${strategy}: an idempotency key makes a retried reservation the same one`, async () => {
    const shop = openShop();
    const variantId = newId();
    const place = await shop.ask("POST", "/v1/locations", { code: "main", name: "Main" });
    const locationId = place.body.id;
    await shop.ask("PUT", "/v1/stock", { items: [{ variantId, locationId, onHand: 10 }] });
    const reserve = (quantity: number) =>
      shop.ask(
        "POST",
        "/v1/reservations",
        { lines: [{ variantId, quantity }], strategy },
        { "idempotency-key": "one" },
      );
    const first = await reserve(2);
    const second = await reserve(2);
    assert.deepEqual([second.status, second.body], [first.status, first.body]);
    assert.equal((await reserve(3)).status, 422);
    const stock = await shop.ask("GET", "/v1/stock");
    assert.equal(stock.body.items[0].reserved, 2);
  });
}

test("another brand's reservation, stock and locations do not exist", async () => {
  const shop = openShop();
  const stranger = openShop();
  const variantId = newId();
  const place = await shop.ask("POST", "/v1/locations", { code: "main", name: "Main" });
  const locationId = place.body.id;
  await shop.ask("PUT", "/v1/stock", { items: [{ variantId, locationId, onHand: 10 }] });
  const reserved = await shop.ask("POST", "/v1/reservations", {
    lines: [{ variantId, quantity: 1 }],
  });
  const path = `/v1/reservations/${reserved.body.id}`;
  for (const [method, target] of [
    ["GET", path],
    ["DELETE", path],
    ["POST", `${path}/commit`],
  ] as const) {
    assert.equal((await stranger.ask(method, target)).status, 404);
  }
  assert.deepEqual((await stranger.ask("GET", "/v1/stock")).body.items, []);
  assert.deepEqual((await stranger.ask("GET", "/v1/locations")).body.items, []);
  const put = await stranger.ask("PUT", "/v1/stock", {
    items: [{ variantId, locationId, onHand: 99 }],
  });
  assert.deepEqual([put.status, put.body.code], [404, "inventory.location_not_found"]);
});

test("malformed requests are refused before they reach the stock", async () => {
  const shop = openShop();
  const variantId = newId();
  const bad = [
    { lines: [] },
    { lines: [{ variantId, quantity: 0 }] },
    { lines: [{ variantId, quantity: 1.5 }] },
    { lines: [{ variantId: "x", quantity: 1 }] },
    { lines: [{ variantId, quantity: 1 }], ttlMs: -1 },
    { lines: [{ variantId, quantity: 1 }], strategy: "hopeful" },
    { lines: [{ variantId, quantity: 1 }], surprise: true },
  ];
  for (const body of bad) {
    const answer = await shop.ask("POST", "/v1/reservations", body);
    assert.equal(answer.status, 400, JSON.stringify(body));
  }
  const huge = { lines: Array.from({ length: 3 }, () => ({ variantId, quantity: 1_000_000_000 })) };
  const answer = await shop.ask("POST", "/v1/reservations", huge);
  assert.deepEqual([answer.status, answer.body.code], [422, "inventory.invalid_lines"]);
});
