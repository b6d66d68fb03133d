import type { IdempotencyClaim } from "../../kernel/context.ts";
import type {
  CartAddress,
  CartFailure,
  CartId,
  CartLine,
  PricedCart,
} from "../../modules/carts/contract.ts";
import type { ReserveFailure } from "../../modules/inventory/contract.ts";
import type { OrderId } from "../../modules/orders/contract.ts";
import type { CaptureMode, NewPayment, PaymentId } from "../../modules/payments/contract.ts";
import type { RedemptionFailure } from "../../modules/promotions/contract.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";

/** How an order is to be paid. */
export interface PaymentChoice {
  /** Name of a provider: `simulator`, `manual`. */
  readonly provider: string;
  /** Token of the provider's vault; never a card number. */
  readonly instrumentToken?: string;
  /** Where the buyer's browser goes after a confirmation page of the provider. */
  readonly returnUrl?: string;
  readonly captureMode?: CaptureMode;
}

/** What is bought, by whom, to where: the content of a cart. */
export interface Basket {
  readonly currency: string;
  readonly lines: readonly CartLine[];
  readonly email: string | null;
  readonly customerId: string | null;
  readonly shippingAddress: CartAddress | null;
  readonly billingAddress: CartAddress | null;
  readonly shippingMethodId: string | null;
  readonly couponCodes: readonly string[];
}

/** An amount of an order that is no product: postage, a fee, a correction. */
export interface Charge {
  /** Code it is listed by: `POST`. */
  readonly sku: string;
  readonly title: string;
  readonly quantity: number;
  readonly totalMinor: number;
  /** Decimal unit price in major units, where it has more places than the currency. */
  readonly unitPriceExact?: string;
}

/** An order whose prices were agreed elsewhere: an import, a phone call. Nothing is computed anew. */
export interface AgreedOrder {
  readonly basket: Basket;
  readonly prices: PricedCart;
  readonly charges: readonly Charge[];
  readonly placedAt: Date;
  /** Decimal unit prices of lines in order, where they have more places than the currency. */
  readonly exactUnitPrices?: readonly (string | undefined)[];
}

/** Asks for an order: of a cart, of a basket given here and now, or at agreed prices. */
export interface PlaceOrder {
  /** Made by the caller, UUIDv7, so that a retry is the same order. */
  readonly orderId: OrderId;
  readonly from:
    | { readonly cartId: CartId }
    | { readonly basket: Basket }
    | { readonly agreed: AgreedOrder };
  /** Null only for an order that costs nothing. */
  readonly payment: PaymentChoice | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** The number the order has elsewhere. */
  readonly externalReference?: string;
}

/** Where a checkout stands, as its answer says. */
export type CheckoutStatus = "paid" | "authorised" | "pending" | "action_required" | "declined";

/** What a checkout came to; stored under its idempotency key and given again to every retry. */
export interface CheckoutOutcome {
  readonly orderId: OrderId;
  /** Human order number. */
  readonly number: number;
  readonly status: CheckoutStatus;
  readonly currency: string;
  readonly totalMinor: number;
  readonly paymentId: PaymentId | null;
  /** Run of the payment saga; null when the order was settled in one transaction. */
  readonly sagaId: string | null;
  /** The provider's reason, when declined: `card_declined`. */
  readonly failureCode: string | null;
  /** Page of the provider where the buyer has to confirm, when action_required. */
  readonly nextActionUrl: string | null;
}

/** Input of the payment saga: all it needs, also after a crash on another node. */
export interface PayOrder {
  readonly orderId: OrderId;
  readonly number: number;
  readonly cartId: CartId | null;
  readonly payment: NewPayment;
  /** Key whose stored outcome becomes final with the saga. */
  readonly claim: IdempotencyClaim | null;
}

/** Why an order is not placed. */
export type PlaceOrderFailure =
  | CartFailure
  | ReserveFailure
  | RedemptionFailure
  | IdempotencyFailure
  | { readonly code: "checkout.empty" }
  | { readonly code: "checkout.email_missing" }
  | { readonly code: "checkout.address_missing" }
  | { readonly code: "checkout.shipping_method_missing" }
  | {
      readonly code: "checkout.payment_missing";
      readonly totalMinor: number;
      readonly currency: string;
    }
  | { readonly code: "checkout.unknown_provider"; readonly provider: string }
  | { readonly code: "checkout.coupon_refused"; readonly coupon: string; readonly reason: string }
  | { readonly code: "checkout.order_exists"; readonly orderId: string }
  | { readonly code: "checkout.order_id_misdated"; readonly orderId: string };

/** A placed order whose payment was refused: it is cancelled and its stock is free again. */
export interface PaymentDeclined {
  readonly code: "checkout.payment_declined";
  readonly orderId: string;
  readonly failureCode: string;
}

/** There is no such order in this tenant. */
export interface OrderUnknown {
  readonly code: "checkout.order_not_found";
  readonly orderId: string;
}

/** What this process itself refuses with. */
export type CheckoutFailure =
  | Extract<PlaceOrderFailure, { code: `checkout.${string}` }>
  | PaymentDeclined
  | OrderUnknown;

/** Longest a checkout waits for its payment before it answers 202, milliseconds. */
export const settleWaitMs = 15_000;
/** How a charge without an answer is tried again, durably, by the order's saga. */
export const chargeRetry = { attemptsMax: 6, baseMs: 200, maxMs: 5_000 } as const;

/** HTTP status of each refusal. */
export const checkoutFailureStatuses: FailureStatuses<CheckoutFailure> = {
  "checkout.empty": 422,
  "checkout.email_missing": 422,
  "checkout.address_missing": 422,
  "checkout.shipping_method_missing": 422,
  "checkout.payment_missing": 422,
  "checkout.unknown_provider": 422,
  "checkout.coupon_refused": 422,
  "checkout.order_exists": 409,
  "checkout.order_id_misdated": 422,
  "checkout.payment_declined": 402,
  "checkout.order_not_found": 404,
};
