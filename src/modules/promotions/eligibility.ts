import type {
  LineFilter,
  Promotion,
  PromotionCart,
  PromotionLine,
  PromotionRefusalReason,
  PromotionRule,
} from "./contract.ts";

/** Folds a code as shoppers type it: without surrounding space, upper case. */
export function foldCode(code: string): string {
  return code.trim().toUpperCase();
}

/** Whether a line matches every condition a filter names; a filter without any matches all. */
export function matchesLine(filter: LineFilter | undefined, line: PromotionLine): boolean {
  if (!filter) return true;
  const { variantIds, productIds, collectionIds } = filter;
  if (variantIds && !variantIds.includes(line.variantId)) return false;
  if (productIds && !productIds.includes(line.productId)) return false;
  if (!collectionIds) return true;
  return line.collectionIds.some((id) => collectionIds.includes(id));
}

function subtotalOf(lines: readonly PromotionLine[]): number {
  return lines.reduce((sum, line) => sum + line.quantity * line.unitPriceMinor, 0);
}

/**
 * Why a rule does not hold for a cart, its neighbours left aside.
 *
 * @returns undefined when it may hold
 */
export function findRefusal(
  cart: PromotionCart,
  { promotion, coupon }: PromotionRule,
): PromotionRefusalReason | undefined {
  if (promotion.status !== "active") return "disabled";
  if (coupon && coupon.status !== "active") return "disabled";
  if (promotion.startsAt && cart.now < promotion.startsAt) return "not_started";
  if (promotion.endsAt && cart.now >= promotion.endsAt) return "ended";
  if (isUsedUp(promotion) || (coupon && isUsedUp(coupon))) return "used_up";
  return findUnmetCondition(cart, promotion);
}

function findUnmetCondition(
  cart: PromotionCart,
  { action, conditions }: Promotion,
): PromotionRefusalReason | undefined {
  const { minSubtotalMinor, minQuantity, lines, customerIds, countries } = conditions;
  if (action.kind === "fixed_amount" && !action.amountsMinor[cart.currency]) return "currency";
  if (minSubtotalMinor) {
    const least = minSubtotalMinor[cart.currency];
    if (least === undefined) return "currency";
    if (subtotalOf(cart.lines) < least) return "min_subtotal";
  }
  const units = cart.lines.reduce((sum, line) => sum + line.quantity, 0);
  if (minQuantity !== undefined && units < minQuantity) return "min_quantity";
  if (lines && !cart.lines.some((line) => matchesLine(lines, line))) return "no_matching_lines";
  if (customerIds && !(cart.customerId && customerIds.includes(cart.customerId))) return "customer";
  if (countries && !(cart.countryCode && countries.includes(cart.countryCode))) return "country";
  return undefined;
}

function isUsedUp({
  usageLimit,
  usedCount,
}: {
  readonly usageLimit: number | null;
  readonly usedCount: number;
}): boolean {
  return usageLimit !== null && usedCount >= usageLimit;
}
