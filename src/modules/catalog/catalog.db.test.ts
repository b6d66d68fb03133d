import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { createTestDatabase } from "../../testing/database.ts";
import type { ProductInput, VariantId } from "./contract.ts";
import { createCatalog } from "./index.ts";

describe("catalog on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const catalog = createCatalog({ db });

  const setup = () => {
    const tenantId = newId<"tenant">();
    const ctx = systemContext(tenantId, "test");
    const events = async () =>
      (
        await database.query<{ type: string }>(
          "select type from platform.events where tenant_id = $1 order by id",
          [tenantId],
        )
      ).map(({ type }) => type);
    const version = (id: TenantId) => db.read(id, catalog.catalogVersion);
    return { tenantId, ctx, events, version };
  };
  const shirt = (more: Partial<ProductInput> = {}): ProductInput => ({
    handle: "shirt",
    title: "Shirt",
    status: "published",
    variants: [
      {
        sku: "SH-S",
        optionValues: { Size: "S" },
        weightGrams: 200,
        prices: [
          { currency: "EUR", amountMinor: 1999, compareAtMinor: 2499 },
          { currency: "EUR", amountMinor: 1799, minQuantity: 10 },
          { currency: "JPY", amountMinor: 3000 },
        ],
      },
      {
        sku: "SH-M",
        optionValues: { Size: "M" },
        prices: [{ currency: "EUR", amountMinor: 2099 }],
      },
    ],
    ...more,
  });

  it("makes a product with variants, options and prices, and finds it again", async () => {
    const { ctx, tenantId, events } = setup();
    const made = await catalog.create(ctx, shirt());
    assert.ok(made.ok);
    assert.deepEqual(made.value.options, [{ name: "Size", values: ["S", "M"] }]);
    assert.equal(made.value.variants[0]?.title, "S");
    assert.deepEqual(await catalog.find(tenantId, made.value.id), made.value);
    assert.deepEqual(await catalog.find(tenantId, "shirt"), made.value);
    assert.deepEqual(await events(), ["catalog.product_created"]);
  });

  it("makes one product when a create with the caller's id is retried", async () => {
    const { ctx, events } = setup();
    const input = shirt({ id: newId<"product">() });
    const once = await catalog.create(ctx, input);
    const twice = await catalog.create(ctx, input);
    assert.ok(once.ok && twice.ok);
    assert.deepEqual(twice.value, once.value);
    assert.equal((await events()).length, 1);
  });

  it("refuses a handle, an SKU and an id that are taken", async () => {
    const { ctx } = setup();
    const made = await catalog.create(ctx, shirt());
    assert.ok(made.ok);
    assert.deepEqual(await catalog.create(ctx, shirt()), {
      ok: false,
      failure: { code: "catalog.handle_taken", handle: "shirt" },
    });
    assert.deepEqual(await catalog.create(ctx, shirt({ handle: "other" })), {
      ok: false,
      failure: { code: "catalog.sku_taken", sku: "SH-S" },
    });
    const { id } = made.value;
    assert.deepEqual(await catalog.create(ctx, shirt({ id, handle: "third", variants: [] })), {
      ok: false,
      failure: { code: "catalog.id_taken", id },
    });
  });

  it("keeps what a patch leaves out and refuses a stale version", async () => {
    const { ctx, events } = setup();
    const made = await catalog.create(ctx, shirt());
    assert.ok(made.ok);
    const { id } = made.value;
    const changed = await catalog.update(
      ctx,
      { id, expectedVersion: 1 },
      {
        title: "Blue shirt",
        variants: [{ sku: "SH-S", prices: [{ currency: "EUR", amountMinor: 1500 }] }],
      },
    );
    assert.ok(changed.ok);
    assert.equal(changed.value.version, 2);
    assert.equal(changed.value.variants.length, 2);
    assert.deepEqual(
      changed.value.variants[0]?.prices.map(({ currency, amountMinor }) => [currency, amountMinor]),
      [
        ["EUR", 1500],
        ["JPY", 3000],
      ],
    );
    const stale = await catalog.update(ctx, { id, expectedVersion: 1 }, { title: "Red" });
    assert.deepEqual(stale, { ok: false, failure: { code: "catalog.stale", version: 2 } });
    assert.deepEqual(await catalog.find(ctx.tenantId, id), changed.value);
    assert.deepEqual(await events(), ["catalog.product_created", "catalog.product_updated"]);
  });

  it("writes nothing and says nothing when an upsert changes nothing", async () => {
    const { ctx, tenantId, events, version } = setup();
    const [first] = await catalog.upsertProducts(ctx, [shirt()]);
    const before = await version(tenantId);
    const [second] = await catalog.upsertProducts(ctx, [shirt()]);
    assert.ok(first?.ok && second?.ok);
    assert.equal(first.value.outcome, "created");
    assert.equal(second.value.outcome, "unchanged");
    assert.deepEqual(second.value.product, first.value.product);
    assert.equal(await version(tenantId), before);
    assert.equal((await events()).length, 1);
  });

  it("refuses single products of an upsert and keeps the others", async () => {
    const { ctx, tenantId } = setup();
    const results = await catalog.upsertProducts(ctx, [
      shirt(),
      { handle: "bad handle", title: "x" },
      { handle: "thief", title: "Thief", variants: [{ sku: "SH-S" }] },
      { handle: "untitled" },
      { handle: "mug", title: "Mug", variants: [{ sku: "MUG" }] },
      { handle: "mug", variants: [{ sku: "MUG-2" }] },
    ]);
    assert.deepEqual(
      results.map((result) => (result.ok ? result.value.outcome : result.failure.code)),
      ["created", "catalog.invalid", "catalog.sku_taken", "catalog.invalid", "created", "updated"],
    );
    const mug = await catalog.find(tenantId, "mug");
    assert.deepEqual(
      mug?.variants.map(({ sku }) => sku),
      ["MUG", "MUG-2"],
    );
  });

  it("upserts in a fixed number of statements, whatever the number of products", async () => {
    const { ctx, tenantId } = setup();
    const inputs = (count: number, from: number) =>
      Array.from({ length: count }, (_, index) => ({
        handle: `p${from + index}`,
        title: `Product ${index}`,
        variants: [{ sku: `S${from + index}`, prices: [{ currency: "EUR", amountMinor: index }] }],
      }));
    const statements = async (products: readonly ProductInput[]) => {
      let count = 0;
      const counting = createDb({
        urlsOf: () => database.urls,
        placementOf: async () => ({ database: "home", schema: "shared" }),
        onStatement: () => count++,
      });
      await createCatalog({ db: counting }).upsertProducts(ctx, products);
      await counting.stop();
      return count;
    };
    const few = await statements(inputs(2, 0));
    assert.equal(await statements(inputs(300, 1_000)), few);
    assert.equal(await catalog.count(tenantId, {}), 302);
  });

  it("lets racing upserts of one handle make one product", async () => {
    const { ctx, tenantId } = setup();
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        catalog.upsertProducts(ctx, [shirt({ title: `Shirt ${index}` })]),
      ),
    );
    const outcomes = results.flat().map((result) => result.ok && result.value.outcome);
    assert.equal(outcomes.filter((outcome) => outcome === "created").length, 1);
    assert.equal((await catalog.find(tenantId, "shirt"))?.version, 8);
  });

  it("quotes variants in one currency with tiers, collections and publication", async () => {
    const { ctx, tenantId, version } = setup();
    const collection = await catalog.createCollection(ctx, { handle: "tops", title: "Tops" });
    assert.ok(collection.ok);
    const made = await catalog.create(ctx, shirt({ collections: ["tops"] }));
    assert.ok(made.ok);
    const ids = made.value.variants.map(({ id }) => id);
    const quotes = await db.read(tenantId, (tx) =>
      catalog.quoteVariants(tx, [...ids, newId<"variant">()], "EUR"),
    );
    assert.equal(quotes.length, 2);
    const small = quotes.find(({ sku }) => sku === "SH-S");
    assert.ok(small);
    assert.equal(small.title, "Shirt – S");
    assert.equal(small.isPublished, true);
    assert.deepEqual(small.collectionIds, [collection.value.id]);
    assert.equal(catalog.unitPriceOf(small, 9)?.price.amountMinor, 1999);
    assert.equal(catalog.unitPriceOf(small, 10)?.price.amountMinor, 1799);
    const yen = await db.read(tenantId, (tx) => catalog.quoteVariants(tx, ids, "JPY"));
    assert.deepEqual(yen.map(({ sku, tiers }) => [sku, tiers.length]).sort(), [
      ["SH-M", 0],
      ["SH-S", 1],
    ]);
    const before = await version(tenantId);
    await catalog.update(ctx, { id: made.value.id }, { status: "archived" });
    assert.equal(await version(tenantId), before + 1);
    const archived = await db.read(tenantId, (tx) => catalog.quoteVariants(tx, ids, "EUR"));
    assert.ok(archived.every(({ isPublished }) => !isPublished));
  });

  it("sets and removes prices of many variants, or none of them", async () => {
    const { ctx, tenantId } = setup();
    const made = await catalog.create(ctx, shirt());
    assert.ok(made.ok);
    const [small, medium] = made.value.variants.map(({ id }) => id) as [VariantId, VariantId];
    const set = await catalog.setPrices(ctx, [
      { variantId: small, currency: "EUR", minQuantity: 10, amountMinor: null },
      { variantId: small, currency: "USD", amountMinor: 2199 },
      { variantId: medium, currency: "EUR", amountMinor: 1 },
    ]);
    assert.deepEqual(set, { ok: true, value: { productsChanged: 1 } });
    const product = await catalog.find(tenantId, "shirt");
    assert.deepEqual(
      product?.variants.map(({ prices }) =>
        prices.map(({ currency, amountMinor }) => `${currency} ${amountMinor}`),
      ),
      [["EUR 1999", "JPY 3000", "USD 2199"], ["EUR 1"]],
    );
    const unknown = newId<"variant">();
    const refused = await catalog.setPrices(ctx, [
      { variantId: medium, currency: "EUR", amountMinor: 5 },
      { variantId: unknown, currency: "EUR", amountMinor: 5 },
    ]);
    assert.deepEqual(refused, {
      ok: false,
      failure: { code: "catalog.variant_not_found", variantId: unknown },
    });
    assert.deepEqual(await catalog.find(tenantId, "shirt"), product);
  });

  it("changes a variant by its id, its SKU too", async () => {
    const { ctx } = setup();
    const made = await catalog.create(ctx, shirt());
    assert.ok(made.ok);
    const [small] = made.value.variants;
    assert.ok(small);
    const changed = await catalog.updateVariant(
      ctx,
      { id: small.id },
      { sku: "NEW", backorder: true },
    );
    assert.ok(changed.ok);
    assert.deepEqual(changed.value.variants[0], { ...small, sku: "NEW", backorder: true });
    const taken = await catalog.updateVariant(ctx, { id: small.id }, { sku: "SH-M" });
    assert.ok(!taken.ok);
    const variantId = newId<"variant">();
    assert.deepEqual(await catalog.updateVariant(ctx, { id: variantId }, {}), {
      ok: false,
      failure: { code: "catalog.variant_not_found", variantId },
    });
  });

  it("pages through products in both orders without losing or repeating one", async () => {
    const { ctx, tenantId } = setup();
    const titles = ["b", "A", "a", "ä", "c", "B", "a"];
    await catalog.upsertProducts(
      ctx,
      titles.map((title, index) => ({ handle: `h${index}`, title })),
    );
    for (const sort of ["newest", "title"] as const) {
      const seen: string[] = [];
      let position: { id: string; titleKey: string } | undefined;
      do {
        const page = await catalog.list(tenantId, { sort }, { after: position, limit: 2 });
        seen.push(...page.map(({ product }) => product.id));
        const last = page.at(-1);
        position = last && { id: last.product.id, titleKey: last.titleKey };
      } while (position);
      assert.equal(seen.length, titles.length, sort);
      assert.equal(new Set(seen).size, titles.length, sort);
    }
  });

  it("finds products by part of the title, beginning of an SKU, collection and status", async () => {
    const { ctx, tenantId } = setup();
    await catalog.createCollection(ctx, { handle: "sale", title: "Sale" });
    await catalog.upsertProducts(ctx, [
      shirt({ collections: ["sale"] }),
      { handle: "mug", title: "100% Mug", variants: [{ sku: "mug-1" }] },
    ]);
    const handles = async (filter: Parameters<typeof catalog.list>[1]) =>
      (await catalog.list(tenantId, filter, { limit: 10 })).map(({ product }) => product.handle);
    assert.deepEqual(await handles({ search: "HIR" }), ["shirt"]);
    assert.deepEqual(await handles({ search: "sh-" }), ["shirt"]);
    assert.deepEqual(await handles({ search: "MUG-" }), ["mug"]);
    assert.deepEqual(await handles({ search: "%" }), ["mug"]);
    assert.deepEqual(await handles({ collection: "sale" }), ["shirt"]);
    assert.deepEqual(await handles({ status: "draft" }), ["mug"]);
    assert.deepEqual(await handles({ search: "_" }), []);
  });

  it("shows one tenant nothing of another, and lets both use the same names", async () => {
    const one = setup();
    const two = setup();
    const first = await catalog.create(one.ctx, shirt());
    const second = await catalog.create(two.ctx, shirt());
    assert.ok(first.ok && second.ok);
    assert.equal(await catalog.find(two.tenantId, first.value.id), undefined);
    assert.equal((await catalog.list(two.tenantId, {}, { limit: 10 })).length, 1);
    const stolen = await catalog.create(two.ctx, shirt({ id: first.value.id, handle: "x" }));
    assert.ok(!stolen.ok && stolen.failure.code === "catalog.sku_taken");
  });

  it("makes, changes and deletes collections", async () => {
    const { ctx, tenantId, events } = setup();
    const made = await catalog.createCollection(ctx, { handle: "tops", title: "Tops" });
    assert.ok(made.ok);
    await catalog.create(ctx, shirt({ collections: [made.value.id] }));
    const taken = await catalog.createCollection(ctx, { handle: "tops", title: "Other" });
    assert.deepEqual(taken, {
      ok: false,
      failure: { code: "catalog.handle_taken", handle: "tops" },
    });
    const target = { id: made.value.id, expectedVersion: 1 };
    const changed = await catalog.updateCollection(ctx, target, { title: "Shirts" });
    assert.ok(changed.ok && changed.value.version === 2);
    assert.ok((await catalog.deleteCollection(ctx, made.value.id)).ok);
    assert.deepEqual((await catalog.find(tenantId, "shirt"))?.collectionIds, []);
    assert.deepEqual(await events(), [
      "catalog.collection_created",
      "catalog.product_created",
      "catalog.collection_updated",
      "catalog.collection_deleted",
    ]);
  });
});
