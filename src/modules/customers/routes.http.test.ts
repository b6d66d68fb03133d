import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { type RouteServer, serveRoutes } from "../../testing/route-server.ts";
import { customerFailureStatuses } from "./contract.ts";
import { createCustomers, customerRoutes } from "./index.ts";

describe("customers over HTTP", () => {
  let database: TestDatabase;
  let db: Db;
  let server: RouteServer;
  before(async () => {
    database = await createTestDatabase();
    db = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    const customers = createCustomers({ db, clock: () => new Date("2026-01-01T00:00:00Z") });
    server = await serveRoutes(customerRoutes(customers), customerFailureStatuses);
  });
  after(async () => {
    await server.stop();
    await db.stop();
    await database.drop();
  });

  it("makes, finds and changes a customer with addresses and consents", async () => {
    const shop = server.shop(newId<"tenant">());
    const made = await shop("POST", "/v1/customers", { body: { email: "Anna@Example.com" } });
    assert.deepEqual([made.status, made.body.email], [201, "anna@example.com"]);
    const path = `/v1/customers/${made.body.id}`;
    const patch = { body: { name: "Anna" }, headers: { "if-match": '"1"' } };
    assert.equal((await shop("PATCH", path, patch)).body.version, 2);
    assert.equal((await shop("PATCH", path, patch)).status, 412);
    const address = {
      name: "Anna",
      line1: "Street 1",
      city: "Vienna",
      postalCode: "1010",
      countryCode: "AT",
      isDefaultShipping: true,
    };
    const added = await shop("POST", `${path}/addresses`, { body: address });
    assert.equal(added.status, 201);
    const consents = [{ purpose: "marketing.email", state: "granted", source: "test" }];
    const said = await shop("POST", `${path}/consents`, { body: { consents } });
    assert.equal(said.status, 201);
    const profile = await shop("GET", path);
    assert.equal(profile.headers.get("etag"), '"2"');
    assert.deepEqual(profile.body.addresses, [added.body]);
    assert.deepEqual(profile.body.consents, said.body.items);
    const listed = await shop("GET", "/v1/customers?email=ANNA");
    assert.equal(listed.body.items[0].id, made.body.id);
    const moved = { ...address, city: "Graz" };
    const put = await shop("PUT", `${path}/addresses/${added.body.id}`, { body: moved });
    assert.equal(put.body.city, "Graz");
    assert.equal((await shop("DELETE", `${path}/addresses/${added.body.id}`)).status, 204);
    assert.deepEqual(server.logged, []);
  });

  it("is closed to publishable keys and to other brands", async () => {
    const shop = server.shop(newId<"tenant">());
    const made = await shop("POST", "/v1/customers", { body: { email: "a@b.c" } });
    assert.equal((await shop.pk("GET", "/v1/customers")).status, 403);
    const other = server.shop(newId<"tenant">());
    assert.equal((await other("GET", `/v1/customers/${made.body.id}`)).status, 404);
  });

  it("refuses a country that is none and an email that is taken", async () => {
    const shop = server.shop(newId<"tenant">());
    const made = await shop("POST", "/v1/customers", { body: { email: "a@b.c" } });
    const twice = await shop("POST", "/v1/customers", { body: { email: "A@b.c" } });
    assert.deepEqual([twice.status, twice.body.code], [409, "customers.email_taken"]);
    const body = { name: "A", line1: "1", city: "B", postalCode: "", countryCode: "XX" };
    const nowhere = await shop("POST", `/v1/customers/${made.body.id}/addresses`, { body });
    assert.deepEqual([nowhere.status, nowhere.body.code], [422, "customers.invalid"]);
    for (const at of ["0000-01-01T00:00:00Z", "2026-12-31T23:59:60Z"]) {
      const consents = [{ purpose: "x", state: "granted", source: "y", at }];
      const path = `/v1/customers/${made.body.id}/consents`;
      const odd = await shop("POST", path, { body: { consents } });
      assert.ok(odd.status === 400 || odd.status === 422, `${at} gives ${odd.status}`);
    }
  });
});
