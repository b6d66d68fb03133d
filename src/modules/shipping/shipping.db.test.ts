import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { readVersions } from "../../platform/versions/versions.ts";
import { createTestDatabase } from "../../testing/database.ts";
import type { NewShippingMethod, ShippingZoneId } from "./contract.ts";
import { createShipping } from "./index.ts";

describe("shipping on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const shipping = createShipping({ db });
  const tableOf = (tenantId: TenantId) =>
    db.read(tenantId, async (tx) => shipping.shippingTable(tx, await readVersions(tx)));

  const setup = async () => {
    const ctx = systemContext(newId<"tenant">(), "test");
    const zone = await shipping.createZone(ctx, { name: "Germany", areas: [{ country: "DE" }] });
    assert.ok(zone.ok);
    return { ctx, tenantId: ctx.tenantId, zone: zone.value };
  };
  const parcel = (zoneId: ShippingZoneId): NewShippingMethod => ({
    name: "Parcel",
    deliveryDaysMin: 1,
    deliveryDaysMax: 3,
    rates: [
      {
        zoneId,
        currency: "EUR",
        price: { kind: "flat", amountMinor: 490 },
        freeAboveMinor: 5_000,
      },
    ],
  });

  it("loads what a quote needs and quotes it", async () => {
    const { ctx, tenantId, zone } = await setup();
    const made = await shipping.createMethod(ctx, parcel(zone.id));
    assert.ok(made.ok);
    await shipping.createMethod(ctx, { ...parcel(zone.id), name: "Off", status: "disabled" });
    const table = await tableOf(tenantId);
    assert.deepEqual(table, { zones: [zone], methods: [made.value] });
    const cart = { currency: "EUR", subtotalMinor: 100, weightGrams: 1 };
    const [quote] = shipping.quoteShipping(cart, { countryCode: "DE" }, table);
    assert.equal(quote?.amountMinor, 490);
    const other = await setup();
    assert.deepEqual((await tableOf(other.tenantId)).methods, []);
  });

  it("changes a method, replaces its rates and refuses a stale version", async () => {
    const { ctx, tenantId, zone } = await setup();
    const made = await shipping.createMethod(ctx, parcel(zone.id));
    assert.ok(made.ok);
    const target = { id: made.value.id, expectedVersion: 1 };
    const rates = parcel(zone.id).rates.map((rate) => ({ ...rate, currency: "CHF" }));
    const changed = await shipping.updateMethod(ctx, target, { rates, position: 3 });
    assert.ok(changed.ok);
    assert.deepEqual(await shipping.findMethod(tenantId, target.id), changed.value);
    assert.deepEqual(
      changed.value.rates.map(({ currency }) => currency),
      ["CHF"],
    );
    const stale = await shipping.updateMethod(ctx, target, { name: "x" });
    assert.deepEqual(stale, { ok: false, failure: { code: "shipping.stale", version: 2 } });
  });

  it("refuses zones that are unknown, in use, or of nowhere", async () => {
    const { ctx, tenantId, zone } = await setup();
    const unknown = newId<"shipping_zone">();
    assert.deepEqual(await shipping.createMethod(ctx, parcel(unknown)), {
      ok: false,
      failure: { code: "shipping.zone_not_found", zoneId: unknown },
    });
    const made = await shipping.createMethod(ctx, parcel(zone.id));
    assert.ok(made.ok);
    assert.deepEqual(await shipping.deleteZone(ctx, zone.id), {
      ok: false,
      failure: { code: "shipping.zone_in_use", zoneId: zone.id },
    });
    const nowhere = await shipping.updateZone(ctx, { id: zone.id }, { areas: [{ country: "XX" }] });
    assert.ok(!nowhere.ok && nowhere.failure.code === "shipping.invalid");
    assert.ok((await shipping.deleteMethod(ctx, made.value.id)).ok);
    assert.ok((await shipping.deleteZone(ctx, zone.id)).ok);
    assert.deepEqual(await shipping.listZones(tenantId), []);
  });

  it("refuses an id that is taken and records an event for each change", async () => {
    const { ctx, tenantId, zone } = await setup();
    const again = await shipping.createZone(ctx, { ...zone });
    assert.deepEqual(again, { ok: false, failure: { code: "shipping.id_taken", id: zone.id } });
    await shipping.deleteZone(ctx, zone.id);
    const rows = await database.query<{ type: string }>(
      "select type from platform.events where tenant_id = $1 order by id",
      [tenantId],
    );
    assert.deepEqual(
      rows.map(({ type }) => type),
      ["shipping.zone_saved", "shipping.zone_deleted"],
    );
  });

  it("quotes by every change as soon as it is made", async () => {
    const { ctx, tenantId, zone } = await setup();
    const names = async () => {
      const { zones, methods } = await tableOf(tenantId);
      return [...zones.map(({ name }) => name), ...methods.map(({ name }) => name)];
    };
    assert.deepEqual(await names(), ["Germany"]);
    await shipping.updateZone(ctx, { id: zone.id }, { name: "Austria" });
    assert.deepEqual(await names(), ["Austria"]);
    const made = await shipping.createMethod(ctx, parcel(zone.id));
    assert.ok(made.ok);
    assert.deepEqual(await names(), ["Austria", "Parcel"]);
    await shipping.updateMethod(ctx, { id: made.value.id }, { name: "Letter" });
    assert.deepEqual(await names(), ["Austria", "Letter"]);
    await shipping.deleteMethod(ctx, made.value.id);
    assert.deepEqual(await names(), ["Austria"]);
    await shipping.deleteZone(ctx, zone.id);
    assert.deepEqual(await names(), []);
  });
});
