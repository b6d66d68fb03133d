import { fail, ok, type Result } from "../../kernel/result.ts";
import type { PricedCart } from "../../modules/carts/contract.ts";
import type { Journal, JournalEntry, JournalId } from "../../modules/ledger/contract.ts";
import type { NewOrder, NewOrderLine, OrderId } from "../../modules/orders/contract.ts";
import type { AgreedOrder, Basket, PlaceOrder, PlaceOrderFailure } from "./contract.ts";

/** A basket that can become an order, with its prices. */
export interface Draft {
  readonly command: PlaceOrder;
  readonly basket: Basket;
  readonly prices: PricedCart;
  /** Set for an order at agreed prices. */
  readonly agreed?: AgreedOrder;
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

/** What the charges of a draft come to. */
function chargesMinor({ agreed }: Draft): number {
  return (agreed?.charges ?? []).reduce((total, charge) => total + charge.totalMinor, 0);
}

/** What a draft costs, charges included. */
export function totalOf(draft: Draft): number {
  return draft.prices.totalMinor + chargesMinor(draft);
}

/** The order that a draft becomes. */
export function orderOf(
  draft: Draft,
  details: { readonly number: number; readonly status: "pending" | "paid"; readonly now: Date },
): NewOrder {
  const { command, basket, prices, agreed } = draft;
  return {
    id: command.orderId,
    number: details.number,
    status: details.status,
    currency: prices.currency,
    totals: {
      subtotalMinor: prices.subtotalMinor + chargesMinor(draft),
      discountMinor: prices.discountMinor,
      shippingMinor: prices.shippingMinor,
      taxMinor: prices.taxMinor,
      totalMinor: totalOf(draft),
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
    placedAt: agreed?.placedAt ?? details.now,
    lines: [...productLines(draft), ...chargeLines(draft)],
  };
}

function productLines({ prices, agreed }: Draft): readonly NewOrderLine[] {
  return prices.lines.map((line, index) => ({
    variantId: line.variantId,
    sku: line.sku,
    title: line.title,
    quantity: line.quantity,
    unitPriceMinor: line.unitPriceMinor,
    ...exactly(agreed?.exactUnitPrices?.[index]),
    discountMinor: line.discountMinor,
    taxMinor: line.taxMinor,
    totalMinor: line.totalMinor,
  }));
}

function chargeLines({ agreed }: Draft): readonly NewOrderLine[] {
  return (agreed?.charges ?? []).map((charge) => ({
    variantId: null,
    sku: charge.sku,
    title: charge.title,
    quantity: charge.quantity,
    unitPriceMinor: Math.round(charge.totalMinor / charge.quantity),
    ...exactly(charge.unitPriceExact),
    discountMinor: 0,
    taxMinor: 0,
    totalMinor: charge.totalMinor,
  }));
}

function exactly(unitPriceExact: string | undefined): { readonly unitPriceExact?: string } {
  return unitPriceExact === undefined ? {} : { unitPriceExact };
}

/** The journal of an order has the order's own id: one order, one posting. */
export function placementJournalId(orderId: OrderId): JournalId {
  return orderId as string as JournalId;
}

/**
 * What placing an order posts: the buyer owes the total; the brand has earned the net amounts and
 * owes the tax. Undefined for an order that costs nothing.
 */
export function placementJournal(order: NewOrder, draft: Draft): Journal | undefined {
  const { prices } = draft;
  const { currency } = prices;
  if (totalOf(draft) === 0) return undefined;
  const salesMinor = prices.lines.reduce((total, line) => total + line.netMinor, 0);
  return {
    id: placementJournalId(order.id),
    kind: "order.placed",
    description: `Order ${order.number}`,
    reference: `order:${order.id}`,
    occurredAt: order.placedAt,
    entries: [
      { account: "receivable", amountMinor: totalOf(draft), currency },
      { account: "sales", amountMinor: -salesMinor, currency },
      { account: "shipping_revenue", amountMinor: -(prices.shipping?.netMinor ?? 0), currency },
      { account: "charges_revenue", amountMinor: -chargesMinor(draft), currency },
      { account: "tax_payable", amountMinor: -prices.taxMinor, currency },
    ],
  };
}

/**
 * What an order posts that is paid where it is placed: both journals as one, in which the buyer owes
 * nothing. Its legs are the sums of theirs.
 */
export function saleJournal(
  placement: Journal,
  payments: readonly { readonly entries: readonly JournalEntry[] }[],
): Journal {
  const legs = new Map<string, JournalEntry>();
  for (const entry of [placement, ...payments].flatMap(({ entries }) => entries)) {
    const key = `${entry.account} ${entry.currency}`;
    const amountMinor = (legs.get(key)?.amountMinor ?? 0) + entry.amountMinor;
    legs.set(key, { ...entry, amountMinor });
  }
  return { ...placement, kind: "order.sold", entries: [...legs.values()] };
}
