import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import { applyPromotions } from "./apply.ts";
import type {
  Coupon,
  Promotion,
  PromotionAction,
  PromotionCart,
  PromotionLine,
  PromotionRule,
} from "./contract.ts";

const now = new Date("2026-06-01T00:00:00Z");
const shirt = newId<"variant">();
const mug = newId<"variant">();
const sale = newId<"collection">();

function line(variantId: string, quantity: number, unitPriceMinor: number): PromotionLine {
  return { variantId, productId: variantId, collectionIds: [], quantity, unitPriceMinor };
}

function cart(lines: readonly PromotionLine[], more: Partial<PromotionCart> = {}): PromotionCart {
  return {
    currency: "EUR",
    lines,
    codes: [],
    customerId: null,
    countryCode: null,
    shippingMinor: 0,
    now,
    ...more,
  };
}

function rule(action: PromotionAction, more: Partial<Promotion> = {}): PromotionRule {
  const promotion: Promotion = {
    id: newId<"promotion">(),
    name: "Promotion",
    status: "active",
    trigger: "automatic",
    priority: 100,
    stacking: "combinable",
    stackingGroup: null,
    action,
    conditions: {},
    startsAt: null,
    endsAt: null,
    usageLimit: null,
    usageLimitPerCustomer: null,
    usedCount: 0,
    version: 1,
    ...more,
  };
  return { promotion, coupon: null };
}

function withCode(ruled: PromotionRule, code: string, more: Partial<Coupon> = {}): PromotionRule {
  const coupon: Coupon = {
    id: newId<"coupon">(),
    promotionId: ruled.promotion.id,
    code,
    status: "active",
    usageLimit: null,
    usedCount: 0,
    version: 1,
    ...more,
  };
  return { promotion: { ...ruled.promotion, trigger: "code" }, coupon };
}

const tenPercent: PromotionAction = { kind: "percentage", offBps: 1_000 };
const fiveEuro: PromotionAction = { kind: "fixed_amount", amountsMinor: { EUR: 500 } };

describe("applyPromotions", () => {
  it("takes a percentage off and splits it over the lines exactly", () => {
    const outcome = applyPromotions(cart([line(shirt, 1, 999), line(mug, 3, 333)]), [
      rule(tenPercent),
    ]);
    assert.deepEqual(outcome.lineDiscountsMinor, [100, 100]);
    assert.equal(outcome.applied[0]?.discountMinor, 200);
  });

  it("takes a fixed amount off the matching lines, at most what they cost", () => {
    const filtered = { ...fiveEuro, lines: { variantIds: [mug] } };
    const outcome = applyPromotions(cart([line(shirt, 1, 1_000), line(mug, 1, 300)]), [
      rule(filtered),
    ]);
    assert.deepEqual(outcome.lineDiscountsMinor, [0, 300]);
  });

  it("lets a later promotion take off only what earlier ones left", () => {
    const outcome = applyPromotions(cart([line(shirt, 1, 1_000)]), [
      rule(tenPercent, { priority: 2 }),
      rule(fiveEuro, { priority: 1 }),
    ]);
    assert.deepEqual(
      outcome.applied.map(({ discountMinor }) => discountMinor),
      [500, 50],
    );
  });

  it("makes shipping free, also while no method is chosen", () => {
    const free = rule({ kind: "free_shipping" });
    const chosen = applyPromotions(cart([line(shirt, 1, 1)], { shippingMinor: 490 }), [free]);
    assert.equal(chosen.shippingDiscountMinor, 490);
    const open = applyPromotions(cart([line(shirt, 1, 1)]), [free]);
    assert.equal(open.applied[0]?.isFreeShipping, true);
    assert.equal(open.shippingDiscountMinor, 0);
  });

  it("applies a coupon in any case and only for the cart that carries it", () => {
    const rules = [withCode(rule(tenPercent), "SUMMER"), withCode(rule(fiveEuro), "OTHER")];
    const outcome = applyPromotions(cart([line(shirt, 1, 1_000)], { codes: [" summer "] }), rules);
    assert.deepEqual(
      outcome.applied.map(({ code }) => code),
      ["SUMMER"],
    );
    assert.deepEqual(outcome.refused, []);
  });

  it("says why a code does not hold", () => {
    const lines = [line(shirt, 1, 1_000)];
    const reasons = (ruled: PromotionRule) =>
      applyPromotions(cart(lines, { codes: ["C", "NOPE"] }), [ruled]).refused.map(
        ({ code, reason }) => `${code} ${reason}`,
      );
    const cases: readonly (readonly [Partial<Promotion>, Partial<Coupon>, string])[] = [
      [{ status: "disabled" }, {}, "disabled"],
      [{}, { status: "disabled" }, "disabled"],
      [{ startsAt: new Date("2026-06-02") }, {}, "not_started"],
      [{ endsAt: now }, {}, "ended"],
      [{ usageLimit: 5, usedCount: 5 }, {}, "used_up"],
      [{}, { usageLimit: 1, usedCount: 1 }, "used_up"],
      [{ conditions: { minSubtotalMinor: { EUR: 1_001 } } }, {}, "min_subtotal"],
      [{ conditions: { minSubtotalMinor: { USD: 1 } } }, {}, "currency"],
      [{ conditions: { minQuantity: 2 } }, {}, "min_quantity"],
      [{ conditions: { lines: { collectionIds: [sale] } } }, {}, "no_matching_lines"],
      [{ conditions: { customerIds: ["somebody"] } }, {}, "customer"],
      [{ conditions: { countries: ["DE"] } }, {}, "country"],
      [{ action: { ...tenPercent, lines: { variantIds: [mug] } } }, {}, "no_effect"],
      [{ action: { kind: "fixed_amount", amountsMinor: { USD: 5 } } }, {}, "currency"],
    ];
    for (const [promotion, coupon, reason] of cases) {
      const ruled = withCode(rule(tenPercent, promotion), "C", coupon);
      assert.deepEqual(reasons(ruled), ["NOPE unknown_code", `C ${reason}`]);
    }
  });

  it("keeps exclusive promotions alone and one of each stacking group", () => {
    const lines = [line(shirt, 1, 1_000)];
    const exclusive = rule(tenPercent, { stacking: "exclusive", priority: 1 });
    const first = applyPromotions(cart(lines), [exclusive, rule(fiveEuro)]);
    assert.equal(first.applied.length, 1);
    assert.equal(first.refused[0]?.reason, "not_combinable");
    const late = applyPromotions(cart(lines), [
      rule(fiveEuro, { priority: 0 }),
      exclusive,
      rule(tenPercent),
    ]);
    assert.equal(late.applied.length, 2);
    const grouped = applyPromotions(cart(lines), [
      rule(fiveEuro, { stackingGroup: "g", priority: 1 }),
      rule(tenPercent, { stackingGroup: "g" }),
      rule(tenPercent, { stackingGroup: "h" }),
    ]);
    assert.equal(grouped.applied.length, 2);
  });

  it("counts two codes of one promotion once", () => {
    const base = rule(tenPercent);
    const rules = [withCode(base, "A"), withCode(base, "B")];
    const outcome = applyPromotions(cart([line(shirt, 1, 1_000)], { codes: ["A", "B"] }), rules);
    assert.equal(outcome.applied.length, 1);
    assert.deepEqual(
      outcome.refused.map(({ reason }) => reason),
      ["not_combinable"],
    );
  });
});

describe("buy X, get Y", () => {
  const action = (more: Partial<Extract<PromotionAction, { kind: "buy_x_get_y" }>> = {}) =>
    rule({ kind: "buy_x_get_y", buyQuantity: 2, getQuantity: 1, offBps: 10_000, ...more });

  it("gives the cheapest unit away", () => {
    const outcome = applyPromotions(cart([line(shirt, 2, 1_000), line(mug, 1, 300)]), [action()]);
    assert.deepEqual(outcome.lineDiscountsMinor, [0, 300]);
  });

  it("holds as often as the units suffice, and no oftener than it may", () => {
    const lines = [line(shirt, 7, 1_000)];
    assert.deepEqual(applyPromotions(cart(lines), [action()]).lineDiscountsMinor, [2_000]);
    const once = applyPromotions(cart(lines), [action({ timesMax: 1 })]);
    assert.deepEqual(once.lineDiscountsMinor, [1_000]);
  });

  it("buys from lines that cannot be got first", () => {
    const outcome = applyPromotions(cart([line(shirt, 2, 500), line(mug, 1, 900)]), [
      action({ buyQuantity: 1, getLines: { variantIds: [shirt] } }),
    ]);
    assert.deepEqual(outcome.lineDiscountsMinor, [500, 0]);
  });

  it("has no effect when too few units are there", () => {
    const outcome = applyPromotions(cart([line(shirt, 2, 500)]), [action()]);
    assert.deepEqual(outcome.applied, []);
  });
});

describe("any promotions on any cart", () => {
  const filters = fc.option(
    fc.record({ variantIds: fc.subarray([shirt, mug]) }, { requiredKeys: [] }),
    { nil: undefined },
  );
  const actions: fc.Arbitrary<PromotionAction> = fc.oneof(
    fc
      .record({ offBps: fc.integer({ min: 1, max: 10_000 }), lines: filters })
      .map(({ offBps, lines }) => ({
        kind: "percentage" as const,
        offBps,
        ...(lines ? { lines } : {}),
      })),
    fc
      .integer({ min: 1, max: 100_000 })
      .map((amount) => ({ kind: "fixed_amount" as const, amountsMinor: { EUR: amount } })),
    fc.constant({ kind: "free_shipping" as const }),
    fc.record({
      kind: fc.constant("buy_x_get_y" as const),
      buyQuantity: fc.integer({ min: 1, max: 4 }),
      getQuantity: fc.integer({ min: 1, max: 4 }),
      offBps: fc.integer({ min: 1, max: 10_000 }),
    }),
  );
  const rules = fc.array(
    fc
      .record({
        action: actions,
        priority: fc.integer({ min: 0, max: 3 }),
        stacking: fc.constantFrom("combinable" as const, "exclusive" as const),
      })
      .map(({ action, ...more }) => rule(action, more)),
    { maxLength: 6 },
  );
  const carts = fc
    .record({
      lines: fc.array(
        fc
          .tuple(
            fc.constantFrom(shirt, mug),
            fc.integer({ min: 1, max: 12 }),
            fc.integer({ min: 0, max: 50_000 }),
          )
          .map((values) => line(...values)),
        { maxLength: 5 },
      ),
      shippingMinor: fc.integer({ min: 0, max: 2_000 }),
    })
    .map(({ lines, shippingMinor }) => cart(lines, { shippingMinor }));

  it("never makes a line or the shipping negative, and the parts sum to the whole", () => {
    fc.assert(
      fc.property(carts, rules, (priced, ruled) => {
        const outcome = applyPromotions(priced, ruled);
        for (const [index, each] of priced.lines.entries()) {
          const discount = outcome.lineDiscountsMinor[index] ?? Number.NaN;
          assert.ok(discount >= 0 && discount <= each.quantity * each.unitPriceMinor);
          const parts = outcome.applied.map(
            ({ lineDiscountsMinor }) => lineDiscountsMinor[index] ?? 0,
          );
          assert.ok(parts.every((part) => part >= 0));
          assert.equal(
            parts.reduce((sum, part) => sum + part, 0),
            discount,
          );
        }
        assert.ok(outcome.shippingDiscountMinor >= 0);
        assert.ok(outcome.shippingDiscountMinor <= priced.shippingMinor);
        for (const applied of outcome.applied) {
          const sum = applied.lineDiscountsMinor.reduce((total, part) => total + part, 0);
          assert.equal(applied.discountMinor, sum + applied.shippingDiscountMinor);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("does not depend on the order in which rules were loaded", () => {
    fc.assert(
      fc.property(carts, rules, (priced, ruled) => {
        const forwards = applyPromotions(priced, ruled);
        const backwards = applyPromotions(priced, ruled.toReversed());
        assert.deepEqual(backwards.applied, forwards.applied);
        assert.deepEqual(backwards.lineDiscountsMinor, forwards.lineDiscountsMinor);
      }),
      { numRuns: 200 },
    );
  });
});
