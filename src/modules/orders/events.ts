import type { AttributedEvent, EventOrigin, NewEvent } from "../../platform/events/events.ts";
import {
  type Fulfilment,
  type NewOrder,
  type OrderChange,
  type OrderEvents,
  type OrderEventType,
  type OrderId,
  type OrderPatch,
  type OrderRefund,
  type OrderReturn,
  type OrderState,
  type OrderStatus,
  type OrderStepData,
  placedLinesMax,
} from "./contract.ts";
import { patchedFields } from "./order.ts";

/** Name of an order's stream of events. */
export function orderStream(orderId: OrderId): string {
  return `order:${orderId}`;
}

/** Events with who caused them. */
export function attributed(origin: EventOrigin, events: readonly NewEvent[]): AttributedEvent[] {
  return events.map((event) => ({ origin, event }));
}

function event<Type extends OrderEventType>(
  type: Type,
  stream: string,
  data: OrderEvents[Type],
  occurredAt?: Date,
): NewEvent {
  const known = { type, version: 1, stream, data };
  return occurredAt ? { ...known, occurredAt } : known;
}

const stepEvents = {
  confirmed: "orders.order_confirmed",
  paid: "orders.order_paid",
  fulfilled: "orders.order_fulfilled",
  completed: "orders.order_completed",
  cancelled: "orders.order_cancelled",
  refunded: "orders.order_refunded",
} as const satisfies Partial<Record<OrderStatus, OrderEventType>>;

/** `orders.order_placed`; and `orders.order_paid` for an order that arrives paid. */
export function orderPlaced(order: NewOrder): NewEvent[] {
  const { id: orderId, number, currency, totals, placedAt } = order;
  const status = order.status ?? "pending";
  const customerId = order.customerId ?? null;
  const lineCount = order.lines.length;
  const carried = lineCount > placedLinesMax ? [] : order.lines;
  const lines = carried.map(({ variantId, sku, quantity, totalMinor }) => ({
    variantId,
    sku,
    quantity,
    totalMinor,
  }));
  const data = { orderId, number, status, currency, totals, customerId, lineCount, lines };
  const placed = event("orders.order_placed", orderStream(orderId), data, placedAt);
  if (status !== "paid") return [placed];
  const { totalMinor } = totals;
  const step: OrderStepData = {
    orderId,
    number,
    from: "pending",
    orderVersion: 1,
    currency,
    totalMinor,
    customerId,
  };
  return [placed, event("orders.order_paid", orderStream(orderId), step, placedAt)];
}

/** The event of a step of the state machine. */
export function orderStepped(
  before: OrderState,
  after: OrderState,
  change: Pick<OrderChange, "reason" | "at">,
): NewEvent {
  const { id: orderId, number, currency, totalMinor, customerId, version: orderVersion } = after;
  const { status: from } = before;
  const type = stepEvents[after.status as keyof typeof stepEvents];
  const data = { orderId, number, from, orderVersion, currency, totalMinor, customerId };
  const said = change.reason === undefined ? data : { ...data, reason: change.reason };
  return event(type, orderStream(orderId), said, change.at);
}

/** `orders.refund_recorded`. */
export function refundRecorded(after: OrderState, refund: OrderRefund): NewEvent {
  const { id: orderId, currency, refundedMinor } = after;
  const data = { orderId, currency, amountMinor: refund.amountMinor, refundedMinor };
  const said = refund.reason === undefined ? data : { ...data, reason: refund.reason };
  return event("orders.refund_recorded", orderStream(orderId), said, refund.at);
}

/** `orders.order_edited`. */
export function orderEdited(after: OrderState, patch: OrderPatch): NewEvent {
  const data = { orderId: after.id, orderVersion: after.version, fields: patchedFields(patch) };
  return event("orders.order_edited", orderStream(after.id), data);
}

/** `orders.fulfilment_created`. */
export function fulfilmentCreated(fulfilment: Fulfilment, at: Date | undefined): NewEvent {
  const { id: fulfilmentId, orderId, lines, trackingCode } = fulfilment;
  const data = { orderId, fulfilmentId, lines, trackingCode };
  return event("orders.fulfilment_created", orderStream(orderId), data, at);
}

/** `orders.return_recorded`, in the order's stream; in `return:<id>` without a receipt. */
export function returnRecorded(made: OrderReturn, at: Date | undefined): NewEvent {
  const { id: returnId, orderId, currency, refundMinor } = made;
  const lines = made.lines.map(({ variantId, sku, quantity, refundMinor, restock }) => ({
    variantId,
    sku,
    quantity,
    refundMinor,
    restock,
  }));
  const stream = orderId === null ? `return:${returnId}` : orderStream(orderId);
  const data = { returnId, orderId, currency, refundMinor, lines };
  return event("orders.return_recorded", stream, data, at);
}
