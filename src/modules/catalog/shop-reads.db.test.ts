import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import type { Invalidation } from "../../platform/cache/cache.ts";
import { createMemoryInvalidationBus } from "../../platform/cache/memory-bus.ts";
import { createMemorySharedTier } from "../../platform/cache/memory-tier.ts";
import { createDb } from "../../platform/db/db.ts";
import { createTestDatabase } from "../../testing/database.ts";
import type { ProductInput } from "./contract.ts";
import { createCatalog } from "./index.ts";
import { staleAfter } from "./shop-reads.ts";

describe("what shops are told", async () => {
  const database = await createTestDatabase();
  const seen: string[] = [];
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onStatement: ({ name }) => seen.push(name),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });

  /** Two nodes that share a tier, and hear of changes when `hear` is called. */
  const setup = async () => {
    const bus = createMemoryInvalidationBus();
    const tier = createMemorySharedTier();
    const open = () => createCatalog({ db, cache: { invalidations: bus, tier } });
    const [catalog, other] = [open(), open()];
    const ctx = systemContext(newId<"tenant">(), "test");
    const { tenantId } = ctx;
    const put = async (...products: ProductInput[]) => {
      const made = await catalog.upsertProducts(ctx, products);
      return made.map((each) => (each.ok ? each.value.product : assert.fail("was refused")));
    };
    let heard = 0;
    const hear = async () => {
      const events = await eventsOf(tenantId);
      bus.announce(events.slice(heard).map(staleAfter));
      heard = events.length;
    };
    const title = async (from = catalog, name = "shirt") =>
      (await from.shop.product(tenantId, name))?.title;
    return { catalog, other, ctx, tenantId, put, hear, title };
  };
  const eventsOf = async (tenantId: TenantId) =>
    (await database.query(
      `select tenant_id as "tenantId", type, data from platform.events
       where tenant_id = '${tenantId}' order by horizon, position`,
    )) as unknown as Parameters<typeof staleAfter>[0][];
  const shirt = (title: string): ProductInput => ({ handle: "shirt", title, status: "published" });
  const asked = () => seen.filter((name) => name.startsWith("catalog.find_product")).length;

  it("is asked for once for all nodes, and again once it changed", async () => {
    const { other, put, hear, title, catalog } = await setup();
    await put(shirt("Old"));
    const before = asked();
    assert.equal(await title(), "Old");
    assert.equal(await title(other), "Old");
    assert.equal(asked() - before, 1);
    await put(shirt("New"));
    assert.equal(await title(), "Old", "nobody has heard of it yet");
    await hear();
    assert.equal(await title(other), "New");
    assert.equal(await title(catalog), "New");
    assert.equal(asked() - before, 2);
  });

  it("is nothing that is not published, and what becomes published is found", async () => {
    const { put, hear, title, tenantId, catalog } = await setup();
    await put({ handle: "shirt", title: "Draft" });
    assert.equal(await title(), undefined);
    const [product] = await put(shirt("Out now"));
    await hear();
    assert.equal(await title(), "Out now");
    assert.equal(await title(catalog, product?.id), "Out now");
    await put({ handle: "shirt", title: "Gone", status: "archived" });
    await hear();
    assert.equal(await title(), undefined);
    const page = await catalog.shop.products(tenantId, { status: "published" }, { limit: 10 });
    assert.deepEqual(page, []);
  });

  it("changes in lists and under an old name as well", async () => {
    const { put, hear, title, tenantId, catalog, ctx } = await setup();
    const [product] = await put(shirt("One"));
    assert(product);
    const titles = async () => {
      const page = await catalog.shop.products(tenantId, { status: "published" }, { limit: 10 });
      return page.map((each) => each.product.title);
    };
    const count = () => catalog.shop.count(tenantId, { status: "published" });
    assert.deepEqual([await titles(), await count()], [["One"], 1]);
    assert.equal(await title(catalog, "blouse"), undefined);
    const renamed = await catalog.update(ctx, { id: product.id }, { handle: "blouse" });
    assert(renamed.ok);
    await put({ handle: "hat", title: "Hat", status: "published" });
    await hear();
    assert.equal(await title(), undefined, "nothing is under the old name");
    assert.equal(await title(catalog, "blouse"), "One");
    assert.deepEqual([(await titles()).toSorted(), await count()], [["Hat", "One"], 2]);
  });

  it("of collections changes with them, and products say where they are", async () => {
    const { put, hear, tenantId, catalog, ctx } = await setup();
    const made = await catalog.createCollection(ctx, { handle: "summer", title: "Summer" });
    assert(made.ok);
    await put({ ...shirt("S"), collections: ["summer"] });
    const find = () => catalog.shop.collection(tenantId, "summer");
    const places = async () => (await catalog.shop.product(tenantId, "shirt"))?.collectionIds;
    assert.equal((await find())?.title, "Summer");
    assert.deepEqual(await places(), [made.value.id]);
    assert.equal((await catalog.shop.collections(tenantId, { limit: 10 })).length, 1);
    assert((await catalog.deleteCollection(ctx, made.value.id)).ok);
    await hear();
    assert.equal(await find(), undefined);
    assert.deepEqual(await places(), []);
    assert.deepEqual(await catalog.shop.collections(tenantId, { limit: 10 }), []);
  });

  it("is never another brand's", async () => {
    const [mine, theirs] = [await setup(), await setup()];
    await mine.put(shirt("Mine"));
    await theirs.put(shirt("Theirs"));
    assert.equal(await mine.title(), "Mine");
    // Through the same cache, under the same key.
    const found = await mine.catalog.shop.product(theirs.tenantId, "shirt");
    assert.equal(found?.title, "Theirs");
    assert.equal(await mine.title(), "Mine");
  });

  it("is as of the catalog's version when the news says more than nothing", () => {
    const tenantId = newId<"tenant">();
    const data = { productId: "p", handle: "shirt", catalogVersion: 7 };
    const stale: Invalidation = staleAfter({ tenantId, type: "catalog.product_updated", data });
    assert.equal(stale.position, 7);
    assert.deepEqual(stale.keys, ['["product","p"]', '["product","shirt"]']);
    assert.deepEqual(stale.tags, ["lists", "p"]);
  });
});
