import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { type RouteServer, serveRoutes } from "../../testing/route-server.ts";
import { catalogFailureStatuses } from "./contract.ts";
import { catalogRoutes, createCatalog } from "./index.ts";

describe("catalog over HTTP", () => {
  let database: TestDatabase;
  let db: Db;
  let server: RouteServer;
  let statements = 0;
  before(async () => {
    database = await createTestDatabase();
    db = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
      onStatement: () => statements++,
    });
    server = await serveRoutes(catalogRoutes(createCatalog({ db })), catalogFailureStatuses);
  });
  after(async () => {
    await server.stop();
    await db.stop();
    await database.drop();
  });

  const shirt = {
    handle: "shirt",
    title: "Shirt",
    status: "published",
    variants: [
      { sku: "S", prices: [{ currency: "EUR", amountMinor: 1999 }] },
      { sku: "OLD", status: "archived" },
    ],
  };
  const csv = { "content-type": "text/csv" };

  it("makes a product, shows it with its version and changes it under If-Match", async () => {
    const shop = server.shop(newId<"tenant">());
    const made = await shop("POST", "/v1/products", { body: shirt });
    assert.equal(made.status, 201);
    assert.equal(made.headers.get("etag"), '"1"');
    const path = `/v1/products/${made.body.id}`;
    assert.deepEqual((await shop("GET", path)).body, made.body);
    assert.deepEqual((await shop("GET", "/v1/products/shirt")).body, made.body);
    const patch = { body: { title: "Blouse" }, headers: { "if-match": '"1"' } };
    const changed = await shop("PATCH", path, patch);
    assert.deepEqual([changed.status, changed.body.title], [200, "Blouse"]);
    const stale = await shop("PATCH", path, patch);
    assert.deepEqual([stale.status, stale.body.code], [412, "catalog.stale"]);
    const variant = await shop("GET", `/v1/variants/${made.body.variants[0].id}`);
    assert.deepEqual([variant.body.sku, variant.body.product.version], ["S", 2]);
  });

  it("shows the shop what is published and for sale, and asks for it once", async () => {
    const shop = server.shop(newId<"tenant">());
    await shop("POST", "/v1/products/batch", {
      body: { products: [shirt, { handle: "secret", title: "Draft" }] },
    });
    const before = statements;
    const listed = await shop.pk("GET", "/v1/products");
    assert.equal(statements - before, 3, "opening the transaction, the version and the list");
    assert.deepEqual((await shop.pk("GET", "/v1/products")).body, listed.body);
    assert.equal(statements - before, 3, "from memory");
    assert.deepEqual(
      listed.body.items.map(({ handle }: { handle: string }) => handle),
      ["shirt"],
    );
    assert.equal(listed.body.items[0].variants.length, 1);
    assert.equal((await shop.pk("GET", "/v1/products/secret")).status, 404);
    assert.deepEqual((await shop.pk("GET", "/v1/products?status=draft")).body.items, []);
    assert.equal((await shop("GET", "/v1/products")).body.items.length, 2);
    assert.equal((await shop.pk("POST", "/v1/products", { body: shirt })).status, 403);
  });

  it("pages by signed cursors and counts where asked", async () => {
    const shop = server.shop(newId<"tenant">());
    const products = Array.from({ length: 5 }, (_, index) => ({
      handle: `h${index}`,
      title: `T${index}`,
    }));
    await shop("POST", "/v1/products/batch", { body: { products } });
    const first = await shop("GET", "/v1/products?limit=3&sort=title&withTotal=true");
    assert.equal(first.body.total, 5);
    const cursor = encodeURIComponent(first.body.nextCursor);
    const second = await shop("GET", `/v1/products?limit=3&sort=title&cursor=${cursor}`);
    assert.deepEqual(
      [...first.body.items, ...second.body.items].map(({ title }) => title),
      ["T0", "T1", "T2", "T3", "T4"],
    );
    assert.equal(second.body.nextCursor, undefined);
    const foreign = await server.shop(newId<"tenant">())(
      "GET",
      `/v1/products?sort=title&cursor=${cursor}`,
    );
    assert.deepEqual([foreign.status, foreign.body.code], [400, "request.bad_cursor"]);
    assert.equal((await shop("GET", `/v1/products?cursor=${cursor}`)).status, 400);
  });

  it("sets prices and keeps collections", async () => {
    const shop = server.shop(newId<"tenant">());
    const collection = await shop("POST", "/v1/collections", {
      body: { handle: "tops", title: "Tops" },
    });
    assert.equal(collection.status, 201);
    const made = await shop("POST", "/v1/products", { body: { ...shirt, collections: ["tops"] } });
    const [variant] = made.body.variants;
    const prices = [{ variantId: variant.id, currency: "JPY", amountMinor: 3000 }];
    const set = await shop("PUT", "/v1/prices", { body: { prices } });
    assert.deepEqual(set.body, { productsChanged: 1 });
    const listed = await shop.pk("GET", "/v1/products?collection=tops");
    assert.equal(listed.body.items[0].variants[0].prices.length, 2);
    assert.equal((await shop.pk("GET", "/v1/collections")).body.items.length, 1);
    const gone = await shop("DELETE", `/v1/collections/${collection.body.id}`);
    assert.equal(gone.status, 204);
    assert.equal((await shop.pk("GET", "/v1/collections/tops")).status, 404);
  });

  it("imports a file, reports what it refused and writes it all out again", async () => {
    const shop = server.shop(newId<"tenant">());
    const raw = "handle,title,sku,price_EUR\nmug,Mug,M,4.50\n,Nameless,N,1\nmug,,M2,x\n";
    const done = await shop("POST", "/v1/catalog/imports", { raw, headers: csv });
    assert.equal(done.status, 200);
    const { status, created, refused, id } = done.body;
    assert.deepEqual([status, created, refused], ["finished", 1, 2]);
    assert.deepEqual((await shop("GET", `/v1/catalog/imports/${id}`)).body, done.body);
    assert.equal((await shop("GET", "/v1/catalog/imports")).body.items.length, 1);
    const refusals = await shop("GET", `/v1/catalog/imports/${id}/refusals?limit=1`);
    assert.deepEqual([refusals.body.items[0].line, refusals.body.items[0].field], [3, "handle"]);
    assert.ok(refusals.body.nextCursor);
    const report = await shop("GET", `/v1/catalog/imports/${id}/refusals.csv`);
    assert.equal(report.text.trim().split("\n").length, 3);
    const out = await shop("GET", "/v1/catalog/export?format=csv");
    assert.match(out.text, /^handle,title,.*price_EUR,compare_at_EUR\nmug,Mug,.*,4\.50,\n$/);
    const lines = await shop("GET", "/v1/catalog/export");
    assert.equal(JSON.parse(lines.text).variants[0].sku, "M");
  });

  it("streams the progress of an import where asked", async () => {
    const shop = server.shop(newId<"tenant">());
    const rows = Array.from({ length: 1_200 }, (_, row) => `p${row},Product ${row}`).join("\n");
    const sent = await shop("POST", "/v1/catalog/imports?progress=true", {
      raw: `handle,title\n${rows}\n`,
      headers: csv,
    });
    const lines = sent.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.ok(lines.length > 1);
    assert.deepEqual([lines.at(-1).status, lines.at(-1).created], ["finished", 1_200]);
    const bad = await shop("POST", "/v1/catalog/imports?progress=true", {
      raw: "nonsense\n",
      headers: csv,
    });
    assert.equal(JSON.parse(bad.text).failure.code, "catalog.import_header");
  });

  it("refuses files of other kinds, with unknown columns, and a changed file under one id", async () => {
    const shop = server.shop(newId<"tenant">());
    const send = (raw: string, type: string, query = "") =>
      shop("POST", `/v1/catalog/imports${query}`, { raw, headers: { "content-type": type } });
    assert.equal((await send("x", "text/plain")).status, 415);
    assert.equal((await send("colour\nred\n", "text/csv")).status, 422);
    const id = `?id=${newId()}`;
    assert.equal((await send("handle,title\na,A\n", "text/csv", id)).status, 200);
    const other = await send("handle,title\nb,B\n", "text/csv", id);
    assert.deepEqual([other.status, other.body.code], [409, "catalog.import_differs"]);
  });

  it("answers a retried create with the same product", async () => {
    const shop = server.shop(newId<"tenant">());
    const request = { body: shirt, headers: { "idempotency-key": "once" } };
    const first = await shop("POST", "/v1/products", request);
    const second = await shop("POST", "/v1/products", request);
    assert.deepEqual([second.status, second.body], [201, first.body]);
    assert.equal((await shop("GET", "/v1/products")).body.items.length, 1);
    assert.deepEqual(server.logged, []);
  });
});
