import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { readVersions } from "../../platform/versions/versions.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { createTax } from "./index.ts";

describe("tax on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const tax = createTax({ db });
  const tableOf = (tenantId: TenantId) =>
    db.read(tenantId, async (tx) => tax.taxTable(tx, await readVersions(tx)));

  const setup = async () => {
    const ctx = systemContext(newId<"tenant">(), "test");
    const zone = await tax.createZone(ctx, {
      name: "Austria",
      areas: [{ country: "AT" }],
      priceIncludesTax: true,
    });
    assert.ok(zone.ok);
    const rate = await tax.createRate(ctx, {
      zoneId: zone.value.id,
      name: "VAT 20 %",
      rateBps: 2_000,
    });
    assert.ok(rate.ok);
    return { ctx, tenantId: ctx.tenantId, zone: zone.value, rate: rate.value };
  };

  it("loads what a quote needs and quotes it", async () => {
    const { tenantId, zone, rate } = await setup();
    const table = await tableOf(tenantId);
    assert.deepEqual(table, { zones: [zone], rates: [rate] });
    const quote = tax.quoteTax(
      {
        currency: "EUR",
        lines: [{ amountMinor: 1_200, category: "standard" }],
        shipping: null,
        destination: { countryCode: "AT" },
      },
      table,
    );
    assert.equal(quote.taxMinor, 200);
    const other = await setup();
    assert.equal((await tableOf(other.tenantId)).rates[0]?.id, other.rate.id);
  });

  it("changes zones and rates, and refuses stale versions", async () => {
    const { ctx, tenantId, zone, rate } = await setup();
    const target = { id: rate.id, expectedVersion: 1 };
    const changed = await tax.updateRate(ctx, target, { rateBps: 1_000, isCompound: true });
    assert.ok(changed.ok);
    assert.deepEqual(await tax.findRate(tenantId, rate.id), changed.value);
    const stale = await tax.updateRate(ctx, target, {});
    assert.deepEqual(stale, { ok: false, failure: { code: "tax.stale", version: 2 } });
    const zoned = await tax.updateZone(ctx, { id: zone.id }, { priceIncludesTax: false });
    assert.ok(zoned.ok);
    assert.deepEqual(await tax.findZone(tenantId, zone.id), zoned.value);
  });

  it("needs a category before a rate may name it, and keeps one that is named", async () => {
    const { ctx, tenantId, zone, rate } = await setup();
    const books = { zoneId: zone.id, name: "VAT 10 %", rateBps: 1_000, category: "books" };
    assert.deepEqual(await tax.createRate(ctx, books), {
      ok: false,
      failure: { code: "tax.category_not_found", category: "books" },
    });
    await tax.saveCategory(ctx, { code: "books", name: "Books" });
    const made = await tax.createRate(ctx, books);
    assert.ok(made.ok);
    assert.deepEqual(await tax.deleteCategory(ctx, "books"), {
      ok: false,
      failure: { code: "tax.category_in_use", category: "books" },
    });
    assert.ok((await tax.deleteRate(ctx, made.value.id)).ok);
    assert.ok((await tax.deleteCategory(ctx, "books")).ok);
    assert.deepEqual(await tax.listCategories(tenantId), []);
    assert.deepEqual(await tax.listRates(tenantId, zone.id), [rate]);
  });

  it("allows two compound rates of a category, also when they come at once", async () => {
    const { ctx, zone } = await setup();
    const compound = { zoneId: zone.id, name: "Compound", rateBps: 100, isCompound: true };
    const results = await Promise.all([1, 2, 3, 4].map(() => tax.createRate(ctx, compound)));
    assert.equal(results.filter(({ ok }) => ok).length, 2);
  });

  it("deletes a zone with its rates", async () => {
    const { ctx, tenantId, zone } = await setup();
    assert.ok((await tax.deleteZone(ctx, zone.id)).ok);
    assert.deepEqual(await tableOf(tenantId), { zones: [], rates: [] });
  });

  it("taxes by every change as soon as it is made", async () => {
    const { ctx, tenantId, zone } = await setup();
    const rates = async () => (await tableOf(tenantId)).rates.map(({ rateBps }) => rateBps).sort();
    const before = await rates();
    const made = await tax.createRate(ctx, {
      zoneId: zone.id,
      name: "New",
      rateBps: 1,
      priority: 9,
    });
    assert.ok(made.ok);
    assert.deepEqual(await rates(), [1, ...before]);
    await tax.updateRate(ctx, { id: made.value.id }, { rateBps: 2 });
    assert.deepEqual(await rates(), [...before, 2].sort());
    await tax.deleteRate(ctx, made.value.id);
    assert.deepEqual(await rates(), before);
    await tax.updateZone(ctx, { id: zone.id }, { name: "Elsewhere" });
    assert.deepEqual(
      (await tableOf(tenantId)).zones.map(({ name }) => name),
      ["Elsewhere"],
    );
    await tax.deleteZone(ctx, zone.id);
    assert.deepEqual(await tableOf(tenantId), { zones: [], rates: [] });
  });
});
