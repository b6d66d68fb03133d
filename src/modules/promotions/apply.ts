import { allocate, basisPointsOf } from "../../kernel/money.ts";
import { buyXGetY } from "./buy-x-get-y.ts";
import type {
  AppliedPromotion,
  LineFilter,
  PromotionCart,
  PromotionOutcome,
  PromotionRefusalReason,
  PromotionRule,
  RefusedPromotion,
} from "./contract.ts";
import { findRefusal, foldCode, matchesLine } from "./eligibility.ts";

/**
 * Decides what promotions make of a cart. Pure and exact: each discount is split over its lines by
 * largest remainder, no line and no shipping fee goes below zero.
 *
 * Rules are tried by ascending priority, then id; each takes off what its predecessors left. An
 * exclusive one holds only alone, and the first of a stacking group shuts out the others.
 *
 * @param rules automatic promotions and those with coupons; coupons whose code the cart does not
 *   carry are passed over, so that one list serves many carts
 */
export function applyPromotions(
  cart: PromotionCart,
  rules: readonly PromotionRule[],
): PromotionOutcome {
  const codes = [...new Set(cart.codes.map(foldCode))];
  const known = new Set(rules.flatMap(({ coupon }) => (coupon ? [coupon.code] : [])));
  const refused: RefusedPromotion[] = codes
    .filter((code) => !known.has(code))
    .map((code) => ({ promotionId: null, code, reason: "unknown_code" }));
  const candidates = rules
    .filter(({ coupon }) => !coupon || codes.includes(coupon.code))
    .toSorted(byPriority);
  let state: PricingState = {
    remainingMinor: cart.lines.map((line) => line.quantity * line.unitPriceMinor),
    shippingMinor: cart.shippingMinor,
    applied: [],
    held: [],
  };
  for (const rule of candidates) {
    const outcome = tryRule(cart, state, rule);
    if ("next" in outcome) state = outcome.next;
    else refused.push(refusal(rule, outcome.reason));
  }
  return {
    lineDiscountsMinor: cart.lines.map(
      (line, index) => line.quantity * line.unitPriceMinor - (state.remainingMinor[index] ?? 0),
    ),
    shippingDiscountMinor: cart.shippingMinor - state.shippingMinor,
    applied: state.applied,
    refused,
  };
}

/** How far the pricing of a cart has come. */
interface PricingState {
  /** What is left of each line. */
  readonly remainingMinor: readonly number[];
  readonly shippingMinor: number;
  readonly applied: readonly AppliedPromotion[];
  /** The rules behind `applied`. */
  readonly held: readonly PromotionRule[];
}

type Trial = { readonly next: PricingState } | { readonly reason: PromotionRefusalReason };

function tryRule(cart: PromotionCart, state: PricingState, rule: PromotionRule): Trial {
  const reason = findRefusal(cart, rule);
  if (reason) return { reason };
  if (!combines(rule, state.held)) return { reason: "not_combinable" };
  const { promotion, coupon } = rule;
  const { action } = promotion;
  const lineDiscountsMinor = discountLines(cart, state, rule);
  const isFreeShipping = action.kind === "free_shipping";
  const isRepeated = isFreeShipping && state.applied.some((each) => each.isFreeShipping);
  const shippingDiscountMinor = isFreeShipping ? state.shippingMinor : 0;
  const discountMinor = lineDiscountsMinor.reduce((sum, each) => sum + each, shippingDiscountMinor);
  if (isRepeated || (discountMinor === 0 && !isFreeShipping)) return { reason: "no_effect" };
  const applied: AppliedPromotion = {
    promotionId: promotion.id,
    couponId: coupon?.id ?? null,
    code: coupon?.code ?? null,
    name: promotion.name,
    lineDiscountsMinor,
    shippingDiscountMinor,
    discountMinor,
    isFreeShipping,
  };
  const next = {
    remainingMinor: state.remainingMinor.map(
      (amount, index) => amount - (lineDiscountsMinor[index] ?? 0),
    ),
    shippingMinor: state.shippingMinor - shippingDiscountMinor,
    applied: [...state.applied, applied],
    held: [...state.held, rule],
  };
  return { next };
}

function combines(rule: PromotionRule, held: readonly PromotionRule[]): boolean {
  if (held.length === 0) return true;
  const { id, stacking, stackingGroup } = rule.promotion;
  if (stacking === "exclusive") return false;
  return held.every(
    ({ promotion }) =>
      promotion.stacking !== "exclusive" &&
      promotion.id !== id &&
      (stackingGroup === null || promotion.stackingGroup !== stackingGroup),
  );
}

/** @returns what the rule takes off each line: 0 to what is left of it */
function discountLines(
  cart: PromotionCart,
  { remainingMinor }: PricingState,
  { promotion: { action } }: PromotionRule,
): readonly number[] {
  switch (action.kind) {
    case "free_shipping":
      return remainingMinor.map(() => 0);
    case "buy_x_get_y":
      return buyXGetY(cart.lines, remainingMinor, action);
    case "percentage": {
      const weights = eligible(cart, remainingMinor, action.lines);
      return spread(basisPointsOf(sumOf(weights), action.offBps), weights);
    }
    case "fixed_amount": {
      const weights = eligible(cart, remainingMinor, action.lines);
      const amountMinor = action.amountsMinor[cart.currency] ?? 0;
      return spread(Math.min(amountMinor, sumOf(weights)), weights);
    }
  }
}

function eligible(
  cart: PromotionCart,
  remainingMinor: readonly number[],
  filter: LineFilter | undefined,
): readonly number[] {
  return cart.lines.map((line, index) =>
    matchesLine(filter, line) ? (remainingMinor[index] ?? 0) : 0,
  );
}

function spread(amountMinor: number, weights: readonly number[]): readonly number[] {
  return amountMinor === 0 ? weights.map(() => 0) : allocate(amountMinor, weights);
}

function sumOf(amounts: readonly number[]): number {
  return amounts.reduce((sum, amount) => sum + amount, 0);
}

function refusal(
  { promotion, coupon }: PromotionRule,
  reason: PromotionRefusalReason,
): RefusedPromotion {
  return { promotionId: promotion.id, code: coupon?.code ?? null, reason };
}

function byPriority(a: PromotionRule, b: PromotionRule): number {
  if (a.promotion.priority !== b.promotion.priority) {
    return a.promotion.priority - b.promotion.priority;
  }
  if (a.promotion.id !== b.promotion.id) return a.promotion.id < b.promotion.id ? -1 : 1;
  return (a.coupon?.code ?? "") < (b.coupon?.code ?? "") ? -1 : 1;
}
