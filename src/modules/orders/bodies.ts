import type { OrderBatch } from "./batch.ts";
import type { OrderLine, OrderReturn } from "./contract.ts";
import type { ListedOrder, OrderPage } from "./lists.ts";
import type { OrderDetail } from "./queries.ts";
import type { TimelineEntry } from "./timeline.ts";

function moneyIn(currency: string) {
  return (amountMinor: number) => ({ amountMinor, currency });
}

/** An order of a list, as HTTP shows it. `export.ts` writes the same shape in SQL. */
export function summaryBody(order: ListedOrder) {
  const money = moneyIn(order.currency);
  const { totals, lines } = order;
  return {
    id: order.id,
    number: order.number,
    externalReference: order.externalReference,
    status: order.status,
    version: order.version,
    subtotal: money(totals.subtotalMinor),
    discount: money(totals.discountMinor),
    shipping: money(totals.shippingMinor),
    tax: money(totals.taxMinor),
    total: money(totals.totalMinor),
    refunded: money(order.refundedMinor),
    priceIncludesTax: order.priceIncludesTax,
    itemQuantity: order.itemQuantity,
    customerId: order.customerId,
    email: order.email,
    placedAt: isoTime(order.placedAt),
    updatedAt: isoTime(order.updatedAt),
    ...(lines ? { lines: lines.map((line) => lineBody(line, order.currency)) } : {}),
  };
}

/** A page of orders. */
export function pageBody({ items, ...rest }: OrderPage) {
  return { ...rest, items: items.map(summaryBody) };
}

function lineBody(line: OrderLine, currency: string) {
  const money = moneyIn(currency);
  return {
    lineNo: line.lineNo,
    variantId: line.variantId,
    sku: line.sku,
    title: line.title,
    quantity: line.quantity,
    unitPrice: money(line.unitPriceMinor),
    ...(line.unitPriceExact === undefined ? {} : { unitPriceExact: line.unitPriceExact }),
    discount: money(line.discountMinor),
    tax: money(line.taxMinor),
    total: money(line.totalMinor),
    fulfilledQuantity: line.fulfilledQuantity,
    returnedQuantity: line.returnedQuantity,
    returned: money(line.returnedMinor),
  };
}

/** A whole order. */
export function orderBody({ order, fulfilments, returns }: OrderDetail) {
  const { shippingMethod } = order;
  return {
    ...summaryBody(order),
    shippingAddress: order.shippingAddress,
    billingAddress: order.billingAddress,
    shippingMethod: shippingMethod && {
      ...(shippingMethod.id === undefined ? {} : { id: shippingMethod.id }),
      name: shippingMethod.name,
      price: moneyIn(order.currency)(shippingMethod.priceMinor),
    },
    couponCodes: order.couponCodes,
    metadata: order.metadata,
    fulfilments: fulfilments.map(({ orderId: _, createdAt, ...one }) => ({
      ...one,
      createdAt: isoTime(createdAt),
    })),
    returns: returns.map(returnBody),
  };
}

/** A return. */
export function returnBody(made: OrderReturn) {
  const money = moneyIn(made.currency);
  return {
    id: made.id,
    orderId: made.orderId,
    refund: money(made.refundMinor),
    reason: made.reason,
    externalReference: made.externalReference,
    lines: made.lines.map(({ refundMinor, ...line }) => ({ ...line, refund: money(refundMinor) })),
    createdAt: isoTime(made.createdAt),
  };
}

/** A background batch. */
export function batchBody(batch: OrderBatch) {
  const { createdAt, finishedAt } = batch;
  return {
    ...batch,
    createdAt: isoTime(createdAt),
    finishedAt: finishedAt && isoTime(finishedAt),
  };
}

/** A timeline. */
export function timelineBody(entries: readonly TimelineEntry[]) {
  return { items: entries.map((entry) => ({ ...entry, at: isoTime(entry.at) })) };
}

function isoTime(at: Date): string {
  return at.toISOString();
}
