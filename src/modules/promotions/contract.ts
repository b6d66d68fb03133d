import type { Id } from "../../kernel/ids.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

export type PromotionId = Id<"promotion">;
export type CouponId = Id<"coupon">;

/** Which lines of a cart count. All given conditions must hold; none given: every line. */
export interface LineFilter {
  readonly variantIds?: readonly string[];
  readonly productIds?: readonly string[];
  readonly collectionIds?: readonly string[];
}

/** What a promotion gives. */
export type PromotionAction =
  | {
      readonly kind: "percentage";
      /** Basis points off, 1 to 10,000. */
      readonly offBps: number;
      readonly lines?: LineFilter;
    }
  | {
      readonly kind: "fixed_amount";
      /** Off the whole, by currency (ISO 4217); a currency not named gets nothing. */
      readonly amountsMinor: Readonly<Record<string, number>>;
      readonly lines?: LineFilter;
    }
  | { readonly kind: "free_shipping" }
  | {
      readonly kind: "buy_x_get_y";
      readonly buyQuantity: number;
      readonly buyLines?: LineFilter;
      readonly getQuantity: number;
      readonly getLines?: LineFilter;
      /** Basis points off the units got: 10,000 makes them free. */
      readonly offBps: number;
      /** Most times in one cart; default without limit. */
      readonly timesMax?: number;
    };

/** When a promotion holds; absent conditions hold. */
export interface PromotionConditions {
  /** Smallest subtotal before discounts, by currency; a currency not named is not eligible. */
  readonly minSubtotalMinor?: Readonly<Record<string, number>>;
  /** Smallest number of units in the cart. */
  readonly minQuantity?: number;
  /** At least one line must match. */
  readonly lines?: LineFilter;
  readonly customerIds?: readonly string[];
  /** Countries of the shipping address, ISO 3166-1 alpha-2. */
  readonly countries?: readonly string[];
}

/** A discount with its rules. */
export interface Promotion {
  readonly id: PromotionId;
  readonly name: string;
  readonly status: "active" | "disabled";
  /** `code`: only with one of its coupons. */
  readonly trigger: "automatic" | "code";
  /** Lower goes first; equal ones in the order of their ids. */
  readonly priority: number;
  /** `exclusive` never meets another promotion in one cart. */
  readonly stacking: "combinable" | "exclusive";
  /** At most one promotion of a group holds in one cart. */
  readonly stackingGroup: string | null;
  readonly action: PromotionAction;
  readonly conditions: PromotionConditions;
  /** Inclusive. */
  readonly startsAt: Date | null;
  /** Exclusive. */
  readonly endsAt: Date | null;
  readonly usageLimit: number | null;
  readonly usageLimitPerCustomer: number | null;
  readonly usedCount: number;
  readonly version: number;
}

/** A code that switches a promotion on. */
export interface Coupon {
  readonly id: CouponId;
  readonly promotionId: PromotionId;
  /** Upper case. */
  readonly code: string;
  readonly status: "active" | "disabled";
  readonly usageLimit: number | null;
  readonly usedCount: number;
  readonly version: number;
}

/** What the decision needs of a promotion that may hold: itself and the coupon that called it. */
export interface PromotionRule {
  readonly promotion: Promotion;
  /** Null for automatic ones. */
  readonly coupon: Coupon | null;
}

/** One line of the cart that is being priced. */
export interface PromotionLine {
  readonly variantId: string;
  readonly productId: string;
  readonly collectionIds: readonly string[];
  /** 1 or more. */
  readonly quantity: number;
  readonly unitPriceMinor: number;
}

/** The cart that is being priced. */
export interface PromotionCart {
  /** ISO 4217. */
  readonly currency: string;
  readonly lines: readonly PromotionLine[];
  /** Codes as the shopper typed them. */
  readonly codes: readonly string[];
  readonly customerId: string | null;
  readonly countryCode: string | null;
  /** Price of the chosen shipping before discounts; 0 while none is chosen. */
  readonly shippingMinor: number;
  readonly now: Date;
}

/** Why a promotion or a code does not hold for a cart. */
export type PromotionRefusalReason =
  | "unknown_code"
  | "disabled"
  | "not_started"
  | "ended"
  | "used_up"
  | "currency"
  | "min_subtotal"
  | "min_quantity"
  | "no_matching_lines"
  | "customer"
  | "country"
  | "not_combinable"
  | "no_effect";

/** A promotion or code that does not hold. */
export interface RefusedPromotion {
  readonly promotionId: PromotionId | null;
  /** The code, folded, where one was given. */
  readonly code: string | null;
  readonly reason: PromotionRefusalReason;
}

/** A promotion that holds, and what it takes off. */
export interface AppliedPromotion {
  readonly promotionId: PromotionId;
  readonly couponId: CouponId | null;
  readonly code: string | null;
  readonly name: string;
  /** One per line of the cart, in its order, 0 or more. */
  readonly lineDiscountsMinor: readonly number[];
  /** 0 or more. */
  readonly shippingDiscountMinor: number;
  /** Sum of all its parts. */
  readonly discountMinor: number;
  /** Whether it makes shipping free, also while no method is chosen. */
  readonly isFreeShipping: boolean;
}

/** What promotions make of a cart. */
export interface PromotionOutcome {
  /** One per line, in order: 0 to the line's subtotal. */
  readonly lineDiscountsMinor: readonly number[];
  /** 0 to the shipping price. */
  readonly shippingDiscountMinor: number;
  /** In the order they were applied. */
  readonly applied: readonly AppliedPromotion[];
  readonly refused: readonly RefusedPromotion[];
}

/** Counts the promotions of one order as used; all of them or none. */
export interface Redemption {
  readonly orderId: string;
  readonly customerId: string | null;
  readonly uses: readonly {
    readonly promotionId: PromotionId;
    readonly couponId: CouponId | null;
  }[];
}

/** A promotion to be made. */
export interface NewPromotion {
  /** Made by the caller so that a retry is the same command. */
  readonly id?: PromotionId;
  readonly name: string;
  readonly status?: "active" | "disabled";
  readonly trigger: "automatic" | "code";
  /** Default 100. */
  readonly priority?: number;
  readonly stacking?: "combinable" | "exclusive";
  readonly stackingGroup?: string | null;
  readonly action: PromotionAction;
  readonly conditions?: PromotionConditions;
  readonly startsAt?: Date | null;
  readonly endsAt?: Date | null;
  readonly usageLimit?: number | null;
  readonly usageLimitPerCustomer?: number | null;
}

/** What may be set on a promotion; absent leaves it. */
export type PromotionPatch = Partial<Omit<NewPromotion, "id" | "trigger">>;

/** A coupon to be made. */
export interface NewCoupon {
  readonly id?: CouponId;
  readonly promotionId: PromotionId;
  /** Letters, digits, `_`, `.`, `-`; 1 to 64; folded to upper case. */
  readonly code: string;
  readonly status?: "active" | "disabled";
  readonly usageLimit?: number | null;
}

/** Most coupons in one call. */
export const couponsPerCallMax = 1_000;

export type RedemptionFailure =
  | { readonly code: "promotions.used_up"; readonly promotionId: string }
  | { readonly code: "promotions.customer_limit"; readonly promotionId: string }
  | { readonly code: "promotions.no_longer_valid"; readonly promotionId: string };

export type PromotionFailure =
  | RedemptionFailure
  | { readonly code: "promotions.not_found"; readonly promotionId: string }
  | { readonly code: "promotions.coupon_not_found"; readonly coupon: string }
  | { readonly code: "promotions.code_taken"; readonly couponCode: string }
  | { readonly code: "promotions.id_taken"; readonly id: string }
  | { readonly code: "promotions.stale"; readonly version: number }
  | { readonly code: "promotions.invalid"; readonly field: string; readonly reason: string };

/** HTTP status of each refusal. */
export const promotionFailureStatuses: FailureStatuses<PromotionFailure> = {
  "promotions.used_up": 409,
  "promotions.customer_limit": 409,
  "promotions.no_longer_valid": 409,
  "promotions.not_found": 404,
  "promotions.coupon_not_found": 404,
  "promotions.code_taken": 409,
  "promotions.id_taken": 409,
  "promotions.stale": 412,
  "promotions.invalid": 422,
};

/** Data of each event type, all version 1. Streams: `promotion:<id>`, `coupon:<id>`. */
export interface PromotionEvents {
  readonly "promotions.promotion_created": {
    readonly promotionId: PromotionId;
    readonly name: string;
    readonly version: number;
  };
  readonly "promotions.promotion_updated": {
    readonly promotionId: PromotionId;
    readonly name: string;
    readonly version: number;
  };
  readonly "promotions.coupon_created": {
    readonly couponId: CouponId;
    readonly promotionId: PromotionId;
    readonly couponCode: string;
  };
  readonly "promotions.coupon_updated": {
    readonly couponId: CouponId;
    readonly promotionId: PromotionId;
    readonly couponCode: string;
  };
  /** Stream `promotion:<id>`, one per order and promotion. */
  readonly "promotions.redeemed": {
    readonly promotionId: PromotionId;
    readonly couponId: CouponId | null;
    readonly orderId: string;
  };
  readonly "promotions.released": {
    readonly promotionId: PromotionId;
    readonly couponId: CouponId | null;
    readonly orderId: string;
  };
}

/** The event types of this module. */
export const promotionEventTypes: readonly (keyof PromotionEvents)[] = [
  "promotions.promotion_created",
  "promotions.promotion_updated",
  "promotions.coupon_created",
  "promotions.coupon_updated",
  "promotions.redeemed",
  "promotions.released",
];
