import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import type {
  ShippingMethod,
  ShippingPrice,
  ShippingRate,
  ShippingTable,
  ShippingZone,
} from "./contract.ts";
import { quoteShipping } from "./quote.ts";
import { findMethodProblem } from "./shipping.ts";

const zone = (name: string, areas: ShippingZone["areas"]): ShippingZone => ({
  id: newId<"shipping_zone">(),
  name,
  areas,
  version: 1,
});
const germany = zone("Germany", [{ country: "DE" }]);
const islands = zone("Islands", [{ country: "DE", postalPrefixes: ["25", "27498"] }]);
const world = zone("World", [{ country: "*" }]);
const rate = (
  { id: zoneId }: ShippingZone,
  price: ShippingPrice,
  more: Partial<ShippingRate> = {},
): ShippingRate => ({ zoneId, currency: "EUR", price, freeAboveMinor: null, ...more });
const flat = (amountMinor: number): ShippingPrice => ({ kind: "flat", amountMinor });
const method = (
  name: string,
  rates: readonly ShippingRate[],
  more: Partial<ShippingMethod> = {},
): ShippingMethod => ({
  id: newId<"shipping_method">(),
  name,
  description: "",
  status: "active",
  taxCategory: null,
  position: 0,
  deliveryDaysMin: 1,
  deliveryDaysMax: 3,
  rates,
  version: 1,
  ...more,
});
const tableOf = (...methods: readonly ShippingMethod[]): ShippingTable => ({
  zones: [germany, islands, world],
  methods,
});
const cart = { currency: "EUR", subtotalMinor: 5_000, weightGrams: 1_000 };
const prices = (table: ShippingTable, destination: object, more: object = {}) =>
  quoteShipping({ ...cart, ...more }, { countryCode: "DE", ...destination }, table).map(
    ({ amountMinor }) => amountMinor,
  );

describe("quoteShipping", () => {
  it("uses the zone that covers the destination most closely", () => {
    const table = tableOf(
      method("Parcel", [
        rate(world, flat(2_000)),
        rate(germany, flat(490)),
        rate(islands, flat(900)),
      ]),
    );
    assert.deepEqual(prices(table, { postalCode: "10115" }), [490]);
    assert.deepEqual(prices(table, { postalCode: "25 980" }), [900]);
    assert.deepEqual(prices(table, { countryCode: "JP" }), [2_000]);
  });

  it("offers nothing in a currency or to a place without a rate, nor by a disabled method", () => {
    const domestic = method("Parcel", [rate(germany, flat(490))]);
    assert.deepEqual(prices(tableOf(domestic), { countryCode: "FR" }), []);
    assert.deepEqual(prices(tableOf(domestic), {}, { currency: "USD" }), []);
    assert.deepEqual(prices(tableOf({ ...domestic, status: "disabled" }), {}), []);
  });

  it("finds the bracket of the weight, bounds included, and ships nothing above the last", () => {
    const brackets = [
      { upTo: 1_000, amountMinor: 490 },
      { upTo: 5_000, amountMinor: 990 },
    ];
    const table = tableOf(method("Parcel", [rate(germany, { kind: "by_weight", brackets })]));
    const at = (weightGrams: number) => prices(table, {}, { weightGrams });
    assert.deepEqual([at(0), at(1_000), at(1_001), at(5_001)], [[490], [490], [990], []]);
  });

  it("is free from a subtotal on", () => {
    const table = tableOf(method("Parcel", [rate(germany, flat(490), { freeAboveMinor: 5_000 })]));
    assert.deepEqual(prices(table, {}, { subtotalMinor: 4_999 }), [490]);
    assert.deepEqual(prices(table, {}, { subtotalMinor: 5_000 }), [0]);
  });

  it("never asks for a negative price, and for the bracket's whatever the value", () => {
    const brackets = fc
      .uniqueArray(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 8 })
      .map((bounds) => bounds.toSorted((a, b) => a - b))
      .map((bounds) => [
        ...bounds.map((upTo, index) => ({ upTo, amountMinor: 100 * (index + 1) })),
        { upTo: null, amountMinor: 9_900 },
      ]);
    fc.assert(
      fc.property(brackets, fc.integer({ min: 0, max: 200_000 }), (steps, subtotalMinor) => {
        const priced = method("Parcel", [rate(germany, { kind: "by_subtotal", brackets: steps })]);
        assert.equal(findMethodProblem(priced), undefined);
        const [amount] = prices(tableOf(priced), {}, { subtotalMinor });
        const naive = steps.find(({ upTo }) => subtotalMinor <= (upTo ?? Number.MAX_VALUE));
        assert.equal(amount, naive?.amountMinor);
      }),
    );
  });
});

describe("findMethodProblem", () => {
  it("finds brackets that do not ascend, gaps in the middle and rates given twice", () => {
    const by = (brackets: readonly { upTo: number | null; amountMinor: number }[]) =>
      findMethodProblem(method("Parcel", [rate(germany, { kind: "by_weight", brackets })]))?.field;
    const at = "rates.0.price.brackets";
    assert.equal(by([]), at);
    assert.equal(
      by([
        { upTo: 5, amountMinor: 1 },
        { upTo: 5, amountMinor: 1 },
      ]),
      `${at}.1.upTo`,
    );
    assert.equal(
      by([
        { upTo: null, amountMinor: 1 },
        { upTo: 5, amountMinor: 1 },
      ]),
      `${at}.0.upTo`,
    );
    assert.equal(by([{ upTo: 5, amountMinor: -1 }]), `${at}.0.amountMinor`);
    const twice = method("Parcel", [rate(germany, flat(1)), rate(germany, flat(2))]);
    assert.equal(findMethodProblem(twice)?.field, "rates");
  });
});
