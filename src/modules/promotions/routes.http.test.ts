import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { type RouteServer, serveRoutes } from "../../testing/route-server.ts";
import { promotionFailureStatuses } from "./contract.ts";
import { createPromotions, promotionRoutes } from "./index.ts";

describe("promotions over HTTP", () => {
  let database: TestDatabase;
  let db: Db;
  let server: RouteServer;
  before(async () => {
    database = await createTestDatabase();
    db = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    server = await serveRoutes(promotionRoutes(createPromotions({ db })), promotionFailureStatuses);
  });
  after(async () => {
    await server.stop();
    await db.stop();
    await database.drop();
  });

  it("makes promotions of every kind and gives back what it took", async () => {
    const shop = server.shop(newId<"tenant">());
    const actions = [
      { kind: "percentage", offBps: 1_500, lines: { productIds: [newId()] } },
      { kind: "fixed_amount", amountsMinor: { EUR: 500, JPY: 800 } },
      { kind: "free_shipping" },
      { kind: "buy_x_get_y", buyQuantity: 2, getQuantity: 1, offBps: 10_000, timesMax: 3 },
    ];
    for (const action of actions) {
      const body = {
        name: action.kind,
        trigger: "automatic",
        action,
        conditions: { minSubtotalMinor: { EUR: 1 }, countries: ["DE"] },
        startsAt: "2026-01-01T00:00:00.000Z",
        endsAt: null,
      };
      const made = await shop("POST", "/v1/promotions", { body });
      assert.equal(made.status, 201, made.text);
      for (const [field, value] of Object.entries(body)) assert.deepEqual(made.body[field], value);
      assert.deepEqual((await shop("GET", `/v1/promotions/${made.body.id}`)).body, made.body);
    }
    const listed = await shop("GET", "/v1/promotions?trigger=automatic&limit=3");
    assert.equal(listed.body.items.length, 3);
    assert.ok(listed.body.nextCursor);
    assert.deepEqual(server.logged, []);
  });

  it("makes coupons and changes them", async () => {
    const shop = server.shop(newId<"tenant">());
    const promotion = await shop("POST", "/v1/promotions", {
      body: { name: "P", trigger: "code", action: { kind: "free_shipping" } },
    });
    const coupons = ["one", "two"].map((code) => ({ promotionId: promotion.body.id, code }));
    const made = await shop("POST", "/v1/coupons", { body: { coupons } });
    assert.deepEqual(
      made.body.items.map(({ code }: { code: string }) => code),
      ["ONE", "TWO"],
    );
    const path = `/v1/coupons/${made.body.items[0].id}`;
    const patch = { body: { status: "disabled", usageLimit: 3 }, headers: { "if-match": '"1"' } };
    const changed = await shop("PATCH", path, patch);
    assert.deepEqual([changed.body.status, changed.body.usageLimit], ["disabled", 3]);
    assert.equal((await shop("PATCH", path, patch)).status, 412);
    assert.deepEqual((await shop("GET", path)).body, changed.body);
    const found = await shop("GET", "/v1/coupons?code=two");
    assert.equal(found.body.items.length, 1);
    assert.equal((await shop("POST", "/v1/coupons", { body: { coupons } })).status, 409);
  });

  it("refuses actions that make no sense, and publishable keys", async () => {
    const shop = server.shop(newId<"tenant">());
    const post = (action: object) =>
      shop("POST", "/v1/promotions", { body: { name: "P", trigger: "code", action } });
    assert.equal((await post({ kind: "percentage", offBps: 10_001 })).status, 400);
    assert.equal((await post({ kind: "fixed_amount", amountsMinor: {} })).status, 422);
    assert.equal((await post({ kind: "gift" })).status, 400);
    const body = { name: "P", trigger: "code", action: { kind: "free_shipping" } };
    const odd = { ...body, startsAt: "2026-12-31T23:59:60Z" };
    const refused = await shop("POST", "/v1/promotions", { body: odd });
    assert.ok(refused.status === 400 || refused.status === 422);
    assert.equal((await shop.pk("GET", "/v1/promotions")).status, 403);
  });
});
