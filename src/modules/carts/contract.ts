import type { Id } from "../../kernel/ids.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

export type CartId = Id<"cart">;

/** Units of one variant in a cart. */
export interface CartLine {
  readonly variantId: string;
  /** 1 to 9,999. */
  readonly quantity: number;
}

/** A postal address as the customer typed it. */
export interface CartAddress {
  readonly name: string;
  readonly line1: string;
  readonly line2?: string;
  readonly city: string;
  readonly region?: string;
  readonly postalCode: string;
  /** ISO 3166-1 alpha-2, upper case. */
  readonly countryCode: string;
  readonly phone?: string;
}

/** A cart as it is stored; never changed in place. */
export interface Cart {
  readonly id: CartId;
  readonly status: "open" | "ordered";
  /** ISO 4217. */
  readonly currency: string;
  readonly lines: readonly CartLine[];
  readonly email: string | null;
  readonly customerId: string | null;
  readonly shippingAddress: CartAddress | null;
  readonly billingAddress: CartAddress | null;
  readonly shippingMethodId: string | null;
  readonly couponCodes: readonly string[];
  /** The order it became. */
  readonly orderId: string | null;
  readonly version: number;
}

/** What may be set on a cart; absent leaves it, null clears it. */
export interface CartPatch {
  readonly email?: string | null;
  readonly customerId?: string | null;
  readonly shippingAddress?: CartAddress | null;
  readonly billingAddress?: CartAddress | null;
  readonly shippingMethodId?: string | null;
  readonly couponCodes?: readonly string[];
  /** Replaces all lines. */
  readonly lines?: readonly CartLine[];
  /** Sets single lines: quantity 0 takes a line out. */
  readonly setLines?: readonly CartLine[];
  /** Adds to what is there. */
  readonly addLines?: readonly CartLine[];
}

/** Changes a cart, or makes it. */
export interface ChangeCart {
  readonly id: CartId;
  /** Given when the cart may be made by this change. */
  readonly create?: { readonly currency: string };
  readonly patch: CartPatch;
  /** Refuse unless the cart has this version. */
  readonly expectedVersion?: number;
}

/** Most distinct variants in one cart. */
export const cartLinesMax = 200;
/** Most units of one variant in one cart. */
export const cartQuantityMax = 9_999;

/** One line of a cart with everything it comes to, in minor units of the cart's currency. */
export interface PricedLine extends CartLine {
  readonly productId: string;
  readonly sku: string;
  readonly title: string;
  readonly unitPriceMinor: number;
  /** Former price, to be shown struck through. */
  readonly compareAtMinor: number | null;
  readonly discountMinor: number;
  readonly taxMinor: number;
  /** Without tax: what the brand earns. */
  readonly netMinor: number;
  /** With tax: what the customer pays. */
  readonly totalMinor: number;
}

/** The chosen way of shipping and its price. */
export interface PricedShipping {
  readonly methodId: string;
  readonly name: string;
  /** Before discounts, as priced. */
  readonly priceMinor: number;
  readonly netMinor: number;
  readonly taxMinor: number;
}

/** A promotion that holds for a cart. */
export interface PricedPromotion {
  readonly promotionId: string;
  readonly couponId: string | null;
  readonly code: string | null;
  readonly name: string;
  readonly discountMinor: number;
}

/**
 * A cart with its prices: `total = subtotal - discount + shipping (+ tax, unless prices include it)`,
 * and `total` is the sum of all net amounts and all taxes.
 */
export interface PricedCart {
  readonly currency: string;
  readonly lines: readonly PricedLine[];
  readonly shipping: PricedShipping | null;
  readonly promotions: readonly PricedPromotion[];
  /** Codes that do not hold, and why. */
  readonly refusedCodes: readonly { readonly code: string; readonly reason: string }[];
  readonly priceIncludesTax: boolean;
  readonly subtotalMinor: number;
  /** Of lines and shipping together. */
  readonly discountMinor: number;
  readonly shippingMinor: number;
  readonly taxMinor: number;
  readonly totalMinor: number;
}

/** A cart as callers see it. */
export interface CartView {
  readonly cart: Cart;
  /** Null when it cannot be priced as it is: `problem` says why. */
  readonly priced: PricedCart | null;
  readonly problem: CartFailure | null;
}

export type CartFailure =
  | { readonly code: "carts.not_found"; readonly cartId: string }
  | { readonly code: "carts.exists"; readonly cartId: string }
  | { readonly code: "carts.already_ordered"; readonly cartId: string; readonly orderId: string }
  | { readonly code: "carts.stale"; readonly cartId: string; readonly version: number }
  | { readonly code: "carts.too_many_lines"; readonly linesMax: number }
  | {
      readonly code: "carts.bad_quantity";
      readonly variantId: string;
      readonly quantityMax: number;
    }
  | { readonly code: "carts.unknown_variant"; readonly variantId: string }
  | { readonly code: "carts.no_price"; readonly variantId: string; readonly currency: string }
  | { readonly code: "carts.unknown_shipping_method"; readonly shippingMethodId: string };

/** HTTP status of each refusal. */
export const cartFailureStatuses: FailureStatuses<CartFailure> = {
  "carts.not_found": 404,
  "carts.exists": 409,
  "carts.already_ordered": 409,
  "carts.stale": 412,
  "carts.too_many_lines": 422,
  "carts.bad_quantity": 422,
  "carts.unknown_variant": 422,
  "carts.no_price": 422,
  "carts.unknown_shipping_method": 422,
};
