import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { type RouteServer, serveRoutes } from "../../testing/route-server.ts";
import { shippingFailureStatuses } from "./contract.ts";
import { createShipping, shippingRoutes } from "./index.ts";

describe("shipping over HTTP", () => {
  let database: TestDatabase;
  let db: Db;
  let server: RouteServer;
  before(async () => {
    database = await createTestDatabase();
    db = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    server = await serveRoutes(shippingRoutes(createShipping({ db })), shippingFailureStatuses);
  });
  after(async () => {
    await server.stop();
    await db.stop();
    await database.drop();
  });

  it("makes, lists, changes and deletes zones and methods", async () => {
    const shop = server.shop(newId<"tenant">());
    const areas = [{ country: "DE", postalPrefixes: ["1"] }, { country: "*" }];
    const zone = await shop("POST", "/v1/shipping/zones", { body: { name: "Z", areas } });
    assert.equal(zone.status, 201);
    assert.deepEqual(zone.body.areas, areas);
    const prices = [
      { kind: "flat", amountMinor: 490 },
      {
        kind: "by_weight",
        brackets: [
          { upTo: 1_000, amountMinor: 1 },
          { upTo: null, amountMinor: 2 },
        ],
      },
    ];
    const rates = prices.map((price, index) => ({
      zoneId: zone.body.id,
      currency: index === 0 ? "EUR" : "USD",
      price,
    }));
    const method = await shop("POST", "/v1/shipping/methods", { body: { name: "M", rates } });
    assert.equal(method.status, 201, method.text);
    assert.deepEqual(
      method.body.rates.map(({ price }: { price: object }) => price),
      prices,
    );
    const path = `/v1/shipping/methods/${method.body.id}`;
    const changed = await shop("PATCH", path, { body: { rates: rates.slice(0, 1) } });
    assert.deepEqual((await shop("GET", path)).body, changed.body);
    assert.deepEqual((await shop("GET", "/v1/shipping/methods")).body.items, [changed.body]);
    const inUse = await shop("DELETE", `/v1/shipping/zones/${zone.body.id}`);
    assert.deepEqual([inUse.status, inUse.body.code], [409, "shipping.zone_in_use"]);
    assert.equal((await shop("DELETE", path)).status, 204);
    assert.equal((await shop("DELETE", `/v1/shipping/zones/${zone.body.id}`)).status, 204);
    assert.deepEqual((await shop("GET", "/v1/shipping/zones")).body.items, []);
    assert.deepEqual(server.logged, []);
  });
});
