import { fail, ok, type Result } from "../../kernel/result.ts";
import type { PricedCart } from "../../modules/carts/contract.ts";
import type { Journal, JournalId } from "../../modules/ledger/contract.ts";
import type { NewOrder, OrderId } from "../../modules/orders/contract.ts";
import type { Basket, PlaceOrder, PlaceOrderFailure } from "./contract.ts";

/** A basket that can become an order, with its prices. */
export interface Draft {
  readonly command: PlaceOrder;
  readonly basket: Basket;
  readonly prices: PricedCart;
}

/**
 * Checks that a priced basket is complete enough to be ordered.
 *
 * @param providers names of the payment providers there are
 */
export function draftOrder(
  command: PlaceOrder,
  basket: Basket,
  prices: PricedCart,
  providers: ReadonlySet<string>,
): Result<Draft, PlaceOrderFailure> {
  const { payment } = command;
  const [refused] = prices.refusedCodes;
  if (prices.lines.length === 0) return fail({ code: "checkout.empty" });
  if (!basket.email) return fail({ code: "checkout.email_missing" });
  if (!basket.shippingAddress) return fail({ code: "checkout.address_missing" });
  if (!prices.shipping) return fail({ code: "checkout.shipping_method_missing" });
  if (refused) {
    return fail({ code: "checkout.coupon_refused", coupon: refused.code, reason: refused.reason });
  }
  if (prices.totalMinor > 0 && !payment) {
    const { totalMinor, currency } = prices;
    return fail({ code: "checkout.payment_missing", totalMinor, currency });
  }
  if (payment && !providers.has(payment.provider)) {
    return fail({ code: "checkout.unknown_provider", provider: payment.provider });
  }
  return ok({ command, basket, prices });
}

/** The order that a draft becomes. */
export function orderOf(
  { command, basket, prices }: Draft,
  details: { readonly number: number; readonly status: "pending" | "paid"; readonly now: Date },
): NewOrder {
  return {
    id: command.orderId,
    number: details.number,
    status: details.status,
    currency: prices.currency,
    totals: {
      subtotalMinor: prices.subtotalMinor,
      discountMinor: prices.discountMinor,
      shippingMinor: prices.shippingMinor,
      taxMinor: prices.taxMinor,
      totalMinor: prices.totalMinor,
    },
    priceIncludesTax: prices.priceIncludesTax,
    customerId: basket.customerId,
    email: basket.email,
    externalReference: command.externalReference ?? null,
    shippingAddress: basket.shippingAddress,
    billingAddress: basket.billingAddress ?? basket.shippingAddress,
    shippingMethod: prices.shipping && {
      id: prices.shipping.methodId,
      name: prices.shipping.name,
      priceMinor: prices.shipping.priceMinor,
    },
    couponCodes: basket.couponCodes,
    ...(command.metadata ? { metadata: command.metadata } : {}),
    placedAt: details.now,
    lines: prices.lines.map((line) => ({
      variantId: line.variantId,
      sku: line.sku,
      title: line.title,
      quantity: line.quantity,
      unitPriceMinor: line.unitPriceMinor,
      discountMinor: line.discountMinor,
      taxMinor: line.taxMinor,
      totalMinor: line.totalMinor,
    })),
  };
}

/** The journal of an order has the order's own id: one order, one posting. */
export function placementJournalId(orderId: OrderId): JournalId {
  return orderId as string as JournalId;
}

/**
 * What placing an order posts: the buyer owes the total; the brand has earned the net amounts and
 * owes the tax. Undefined for an order that costs nothing.
 */
export function placementJournal(order: NewOrder, prices: PricedCart): Journal | undefined {
  if (prices.totalMinor === 0) return undefined;
  const { currency } = prices;
  const salesMinor = prices.lines.reduce((total, line) => total + line.netMinor, 0);
  return {
    id: placementJournalId(order.id),
    kind: "order.placed",
    description: `Order ${order.number}`,
    reference: `order:${order.id}`,
    occurredAt: order.placedAt,
    entries: [
      { account: "receivable", amountMinor: prices.totalMinor, currency },
      { account: "sales", amountMinor: -salesMinor, currency },
      { account: "shipping_revenue", amountMinor: -(prices.shipping?.netMinor ?? 0), currency },
      { account: "tax_payable", amountMinor: -prices.taxMinor, currency },
    ],
  };
}
