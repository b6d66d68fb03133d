import { fail, ok, type Result } from "../../kernel/result.ts";
import type {
  Coupon,
  CouponId,
  Promotion,
  PromotionId,
  Redemption,
  RedemptionFailure,
} from "./contract.ts";

/** What stands in the database about some redemptions, under lock. */
export interface RedemptionState {
  readonly promotions: ReadonlyMap<PromotionId, Promotion>;
  readonly coupons: ReadonlyMap<CouponId, Coupon>;
  /** Uses in force by {@link customerKey}. */
  readonly customerUses: ReadonlyMap<string, number>;
  /** Uses in force by {@link orderKey}: redeeming them again changes nothing. */
  readonly inForce: ReadonlySet<string>;
}

/** One use to be written. */
export interface DecidedUse {
  readonly orderId: string;
  readonly customerId: string | null;
  readonly promotionId: PromotionId;
  readonly couponId: CouponId | null;
}

/** What a batch of redemptions comes to. */
export interface RedemptionDecision {
  /** One per redemption, in order. */
  readonly results: readonly Result<void, RedemptionFailure>[];
  /** New uses per redemption, in order; empty for a refused one. */
  readonly uses: readonly (readonly DecidedUse[])[];
}

/** Key of one customer's uses of a promotion. */
export function customerKey(promotionId: string, customerId: string): string {
  return `${promotionId}/${customerId}`;
}

/** Key of one order's use of a promotion. */
export function orderKey(orderId: string, promotionId: string): string {
  return `${orderId}/${promotionId}`;
}

/** Decides redemptions in arrival order; each takes all its uses or none. Pure. */
export function decideRedemptions(
  state: RedemptionState,
  redemptions: readonly Redemption[],
): RedemptionDecision {
  const counts = new Map<string, number>();
  const taken = new Set(state.inForce);
  const decided = redemptions.map((redemption) => {
    const fresh = redemption.uses.filter(
      ({ promotionId }) => !taken.has(orderKey(redemption.orderId, promotionId)),
    );
    const failure = findFailure(state, counts, { ...redemption, uses: fresh });
    if (failure) return { result: fail(failure), uses: [] };
    for (const { promotionId, couponId } of fresh) {
      taken.add(orderKey(redemption.orderId, promotionId));
      for (const key of keysOf({ promotionId, couponId, customerId: redemption.customerId })) {
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    const { orderId, customerId } = redemption;
    return {
      result: ok<void>(undefined),
      uses: fresh.map((use) => ({ ...use, orderId, customerId })),
    };
  });
  return { results: decided.map(({ result }) => result), uses: decided.map(({ uses }) => uses) };
}

function findFailure(
  state: RedemptionState,
  counts: ReadonlyMap<string, number>,
  { customerId, uses }: Redemption,
): RedemptionFailure | undefined {
  for (const { promotionId, couponId } of uses) {
    const promotion = state.promotions.get(promotionId);
    const coupon = couponId === null ? undefined : state.coupons.get(couponId);
    if (promotion?.status !== "active" || (couponId !== null && !isOf(coupon, promotionId))) {
      return { code: "promotions.no_longer_valid", promotionId };
    }
    const isFull =
      isReached(promotion, counts.get(promotionId)) ||
      (coupon !== undefined && isReached(coupon, counts.get(coupon.id)));
    if (isFull) return { code: "promotions.used_up", promotionId };
    const { usageLimitPerCustomer } = promotion;
    if (usageLimitPerCustomer === null) continue;
    // Nobody in particular cannot be counted: such a promotion needs a customer.
    const key = customerKey(promotionId, customerId ?? "");
    const used = (state.customerUses.get(key) ?? 0) + (counts.get(key) ?? 0);
    if (customerId === null || used >= usageLimitPerCustomer) {
      return { code: "promotions.customer_limit", promotionId };
    }
  }
  return undefined;
}

function isOf(coupon: Coupon | undefined, promotionId: PromotionId): boolean {
  return coupon?.status === "active" && coupon.promotionId === promotionId;
}

function isReached(
  { usageLimit, usedCount }: Pick<Promotion, "usageLimit" | "usedCount">,
  more = 0,
): boolean {
  return usageLimit !== null && usedCount + more >= usageLimit;
}

function keysOf(use: {
  readonly promotionId: PromotionId;
  readonly couponId: CouponId | null;
  readonly customerId: string | null;
}): readonly string[] {
  const keys: string[] = [use.promotionId];
  if (use.couponId !== null) keys.push(use.couponId);
  if (use.customerId !== null) keys.push(customerKey(use.promotionId, use.customerId));
  return keys;
}
