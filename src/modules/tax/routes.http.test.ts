import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { type RouteServer, serveRoutes } from "../../testing/route-server.ts";
import { taxFailureStatuses } from "./contract.ts";
import { createTax, taxRoutes } from "./index.ts";

describe("tax over HTTP", () => {
  let database: TestDatabase;
  let db: Db;
  let server: RouteServer;
  before(async () => {
    database = await createTestDatabase();
    db = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    server = await serveRoutes(taxRoutes(createTax({ db })), taxFailureStatuses);
  });
  after(async () => {
    await server.stop();
    await db.stop();
    await database.drop();
  });

  it("makes, lists, changes and deletes zones, categories and rates", async () => {
    const shop = server.shop(newId<"tenant">());
    const zone = await shop("POST", "/v1/tax/zones", {
      body: { name: "Austria", areas: [{ country: "AT" }], priceIncludesTax: true },
    });
    assert.equal(zone.status, 201);
    const zonePath = `/v1/tax/zones/${zone.body.id}`;
    const renamed = await shop("PATCH", zonePath, {
      body: { name: "AT" },
      headers: { "if-match": '"1"' },
    });
    assert.deepEqual((await shop("GET", zonePath)).body, renamed.body);
    const rate = { zoneId: zone.body.id, name: "VAT", rateBps: 1_000, category: "books" };
    assert.equal((await shop("POST", "/v1/tax/rates", { body: rate })).status, 404);
    await shop("PUT", "/v1/tax/categories/books", { body: { name: "Books" } });
    const made = await shop("POST", "/v1/tax/rates", { body: rate });
    assert.equal(made.status, 201);
    const path = `/v1/tax/rates/${made.body.id}`;
    const changed = await shop("PATCH", path, { body: { rateBps: 500, category: null } });
    assert.deepEqual((await shop("GET", path)).body, changed.body);
    const listed = await shop("GET", `/v1/tax/rates?zoneId=${zone.body.id}`);
    assert.deepEqual(listed.body.items, [changed.body]);
    assert.equal((await shop("DELETE", "/v1/tax/categories/books")).status, 204);
    assert.equal((await shop("DELETE", path)).status, 204);
    assert.equal((await shop("DELETE", zonePath)).status, 204);
    assert.equal((await shop("GET", zonePath)).status, 404);
    assert.deepEqual(server.logged, []);
  });
});
