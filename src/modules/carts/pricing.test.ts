import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import { unitPriceOf } from "../catalog/quote.ts";
import { applyPromotions } from "../promotions/apply.ts";
import type { PromotionRule } from "../promotions/contract.ts";
import { quoteShipping } from "../shipping/quote.ts";
import { quoteTax } from "../tax/quote.ts";
import { createPricing, type PriceableCart, type PricingTables } from "./pricing.ts";

const pricing = createPricing({ unitPriceOf, applyPromotions, quoteShipping, quoteTax });
const now = new Date("2026-03-01T12:00:00Z");
const [zoneId, methodId, taxZoneId] = [
  newId<"shipping_zone">(),
  newId<"shipping_method">(),
  newId<"tax_zone">(),
];
const variants = Array.from({ length: 5 }, () => newId<"variant">());
const address = { name: "A B", line1: "1 St", city: "Wien", postalCode: "1010", countryCode: "AT" };

interface World {
  readonly prices: readonly number[];
  readonly includesTax: boolean;
  readonly rateBps: number;
  readonly offBps: number;
  readonly shippingMinor: number;
}

function tablesOf(world: World): PricingTables {
  const quotes = variants.map((variantId, index) => ({
    variantId,
    productId: newId<"product">(),
    sku: `SKU-${index}`,
    title: `Thing ${index}`,
    currency: "EUR",
    tiers: [{ minQuantity: 1, amountMinor: world.prices[index] ?? 100, compareAtMinor: null }],
    taxCategory: "standard",
    weightGrams: 100,
    backorder: false,
    isPublished: true,
    collectionIds: [],
  }));
  return {
    quotes: new Map(quotes.map((quote) => [quote.variantId as string, quote])),
    promotions: world.offBps > 0 ? [promotionOf(world.offBps)] : [],
    shipping: {
      zones: [{ id: zoneId, name: "EU", areas: [{ country: "AT" }], version: 1 }],
      methods: [
        {
          id: methodId,
          name: "Standard",
          description: "",
          status: "active",
          taxCategory: null,
          position: 1,
          deliveryDaysMin: null,
          deliveryDaysMax: null,
          version: 1,
          rates: [
            {
              zoneId,
              currency: "EUR",
              price: { kind: "flat", amountMinor: world.shippingMinor },
              freeAboveMinor: 50_000,
            },
          ],
        },
      ],
    },
    tax: {
      zones: [
        {
          id: taxZoneId,
          name: "AT",
          areas: [{ country: "AT" }],
          priceIncludesTax: world.includesTax,
          version: 1,
        },
      ],
      rates: [
        {
          id: newId<"tax_rate">(),
          zoneId: taxZoneId,
          category: null,
          name: "VAT",
          rateBps: world.rateBps,
          isCompound: false,
          appliesToShipping: true,
          priority: 1,
          version: 1,
        },
      ],
    },
  };
}

function promotionOf(offBps: number): PromotionRule {
  return {
    coupon: null,
    promotion: {
      id: newId<"promotion">(),
      name: "Sale",
      status: "active",
      trigger: "automatic",
      priority: 100,
      stacking: "combinable",
      stackingGroup: null,
      action: { kind: "percentage", offBps },
      conditions: {},
      startsAt: null,
      endsAt: null,
      usageLimit: null,
      usageLimitPerCustomer: null,
      usedCount: 0,
      version: 1,
    },
  };
}

function cartOf(quantities: readonly number[]): PriceableCart {
  return {
    currency: "EUR",
    lines: quantities.map((quantity, index) => ({ variantId: variants[index] ?? "", quantity })),
    customerId: null,
    shippingAddress: address,
    shippingMethodId: methodId,
    couponCodes: [],
  };
}

const plain: World = {
  prices: [1_999, 500, 1, 7, 100],
  includesTax: true,
  rateBps: 2_000,
  offBps: 0,
  shippingMinor: 590,
};

describe("pricing a cart", () => {
  it("adds up lines, discount, shipping and tax", () => {
    const priced = pricing.price(cartOf([2, 1]), tablesOf({ ...plain, offBps: 1_000 }), now);
    assert(priced.ok);
    const { subtotalMinor, discountMinor, shippingMinor, taxMinor, totalMinor } = priced.value;
    assert.deepEqual([subtotalMinor, discountMinor, shippingMinor], [4_498, 450, 590]);
    assert.equal(totalMinor, 4_498 - 450 + 590);
    assert(taxMinor > 0);
  });

  it("adds the tax on top where prices do not include it", () => {
    const tables = tablesOf({ ...plain, includesTax: false, shippingMinor: 0 });
    const priced = pricing.price(cartOf([1]), tables, now);
    assert(priced.ok);
    assert.deepEqual([priced.value.taxMinor, priced.value.totalMinor], [400, 2_399]);
  });

  it("ships for free above the bound, judged after discounts", () => {
    const tables = tablesOf({ ...plain, prices: [50_000], offBps: 100 });
    const discounted = pricing.price(cartOf([1]), tables, now);
    assert(discounted.ok);
    assert.equal(discounted.value.shippingMinor, 590);
    const full = pricing.price(cartOf([1]), tablesOf({ ...plain, prices: [50_000] }), now);
    assert(full.ok);
    assert.equal(full.value.shippingMinor, 0);
  });

  it("refuses variants that are not sold or have no price, and methods that do not ship there", () => {
    const tables = tablesOf(plain);
    const unknown = { ...cartOf([1]), lines: [{ variantId: newId(), quantity: 1 }] };
    const refusal = (cart: PriceableCart) => {
      const priced = pricing.price(cart, tables, now);
      return priced.ok ? "priced" : priced.failure.code;
    };
    assert.equal(refusal(unknown), "carts.unknown_variant");
    const abroad = { ...cartOf([1]), shippingAddress: { ...address, countryCode: "US" } };
    assert.equal(refusal(abroad), "carts.unknown_shipping_method");
  });

  it("always sums up exactly, whatever the prices, rates and discounts", () => {
    const world = fc.record({
      prices: fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 5, maxLength: 5 }),
      includesTax: fc.boolean(),
      rateBps: fc.integer({ min: 0, max: 5_000 }),
      offBps: fc.integer({ min: 0, max: 10_000 }),
      shippingMinor: fc.integer({ min: 0, max: 10_000 }),
    });
    const quantities = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(world, quantities, (given, units) => {
        const priced = pricing.price(cartOf(units), tablesOf(given), now);
        assert(priced.ok);
        const { lines, shipping, ...totals } = priced.value;
        const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
        const nets = sum(lines.map(({ netMinor }) => netMinor)) + (shipping?.netMinor ?? 0);
        assert.equal(nets + totals.taxMinor, totals.totalMinor);
        const onTop = totals.priceIncludesTax ? 0 : totals.taxMinor;
        assert.equal(
          totals.subtotalMinor - totals.discountMinor + totals.shippingMinor + onTop,
          totals.totalMinor,
        );
        assert(lines.every((line) => line.netMinor >= 0 && line.taxMinor >= 0));
        assert(lines.every((line) => line.netMinor + line.taxMinor === line.totalMinor));
      }),
    );
  });
});
